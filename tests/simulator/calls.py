"""Short calls to a simulator."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

PATH = "/v1/chat/completions"


def user(text: str, **fields: Any) -> dict[str, Any]:
    """Returns the body of a chat with one message."""
    return {"messages": [{"role": "user", "content": text}], **fields}


@dataclass
class Stream:
    """A complete stream: JSON events, and whether [DONE] came last."""

    response: httpx.Response
    raw: bytes
    events: list[Any]
    done: bool

    @property
    def text(self) -> str:
        """The joined contents of the first choice."""
        return "".join(delta.get("content") or "" for delta in self.deltas())

    def deltas(self, index: int = 0) -> list[dict[str, Any]]:
        """Returns the deltas of one choice."""
        return [choice["delta"] for choice in self.choices(index)]

    def choices(self, index: int = 0) -> list[dict[str, Any]]:
        """Returns the choices with an index."""
        found = [choice for event in self.events for choice in event.get("choices", [])]
        return [choice for choice in found if choice["index"] == index]

    @property
    def finish(self) -> str | None:
        """The last finish reason of the first choice."""
        reasons = [choice["finish_reason"] for choice in self.choices() if choice["finish_reason"]]
        return reasons[-1] if reasons else None


def client(url: str) -> httpx.AsyncClient:
    """Opens a client without TLS, whose setup would take most of a test's time."""
    return httpx.AsyncClient(base_url=url, timeout=60, verify=False)


async def chat(
    http: httpx.AsyncClient, body: dict[str, Any], simulate: str | None = None
) -> httpx.Response:
    """Requests a unary answer."""
    return await http.post(PATH, json=body, headers=_headers(simulate))


async def answer(http: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    """Requests a unary answer and returns its first choice."""
    response = await chat(http, body)
    assert response.status_code == 200, response.text
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


async def stream(
    http: httpx.AsyncClient, body: dict[str, Any], simulate: str | None = None
) -> Stream:
    """Requests a stream and reads it to its end."""
    request = {**body, "stream": True}
    async with http.stream("POST", PATH, json=request, headers=_headers(simulate)) as response:
        raw = await response.aread()
    return parse(response, raw)


def parse(response: httpx.Response, raw: bytes) -> Stream:
    """Reads events as strictly as the simplest client."""
    data = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ")]
    done = bool(data) and data[-1] == "[DONE]"
    return Stream(response, raw, [json.loads(one) for one in data if one != "[DONE]"], done)


def _headers(simulate: str | None) -> dict[str, str]:
    return {"x-simulate": simulate} if simulate else {}
