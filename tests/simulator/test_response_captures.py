"""The simulator's responses have the shapes of captured vLLM responses."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .test_captures import shape

CAPTURES = Path(__file__).parents[1] / "captures" / "response"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.json"))
OWN_ANSWERS = {"resp_json_schema"}
"""Answers that a model invents: no dialogue determines them."""
CUT_BY_TOKENS = {"resp_incomplete", "resp_incomplete_stream"}
"""Answers whose length depends on the model's own vocabulary."""


def load(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


async def replay(http: httpx.AsyncClient, capture: Any) -> httpx.Response:
    asked = capture["request"]
    if asked["body"] is None:
        return await http.request(asked["method"], asked["path"])
    return await http.request(asked["method"], asked["path"], json=asked["body"])


@pytest.mark.parametrize("name", [name for name in NAMES if "body" in load(name)])
async def test_unary_answer(name: str, http: httpx.AsyncClient) -> None:
    capture = load(name)
    response = await replay(http, capture)
    assert response.status_code == capture["status"], response.text
    assert response.headers["content-type"] == capture["content_type"]
    body, expected = response.json(), capture["body"]
    assert shape(body) == shape(expected)
    if capture["status"] != 200:
        assert body == expected
    elif name not in OWN_ANSWERS:
        assert body["status"] == expected["status"]
        assert body["incomplete_details"] == expected["incomplete_details"]
        if name not in CUT_BY_TOKENS:
            assert spoken(body["output"]) == spoken(expected["output"])


def spoken(output: list[Any]) -> list[Any]:
    return [item.get("arguments") or [part["text"] for part in item["content"]] for item in output]


@pytest.mark.parametrize("name", [name for name in NAMES if "events" in load(name)])
async def test_stream(name: str, simulator: Simulator) -> None:
    capture = load(name)
    events, complete = await read(simulator, capture)
    assert complete is capture["complete"]
    expected = capture["events"]
    if name in CUT_BY_TOKENS:
        assert shape(events[-1]) == shape(expected[-1])
    # Words consist of other tokens here, so runs of deltas have other lengths.
    assert runs(events) == runs(expected)
    assert [shape(event) for event in unrepeated(events)] == [
        shape(event) for event in unrepeated(expected)
    ]


async def read(simulator: Simulator, capture: Any) -> tuple[list[Any], bool]:
    """Returns the events, whose names must be their types, and whether the body is complete."""
    raw = b""
    async with httpx.AsyncClient(base_url=simulator.url) as http:
        body = capture["request"]["body"]
        async with http.stream("POST", "/v1/responses", json=body) as response:
            assert response.headers["content-type"] == capture["content_type"]
            complete = True
            try:
                async for block in response.aiter_bytes():
                    raw += block
            except httpx.RemoteProtocolError:
                complete = False
    events = []
    for one in filter(None, raw.decode().split("\n\n")):
        name, data = one.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events, complete


def unrepeated(events: list[Any]) -> list[Any]:
    """Returns the first of each run of events of one type."""
    pairs = zip([{"type": ""}, *events], events, strict=False)
    return [event for before, event in pairs if event["type"] != before["type"]]


def runs(events: list[Any]) -> list[str]:
    return [event["type"] for event in unrepeated(events)]


async def test_background_response_is_generated_meanwhile() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as simulator, httpx.AsyncClient(base_url=simulator.url) as http:
        body = {"input": "Say hello.", "background": True}
        made = (await http.post("/v1/responses", json=body)).json()
        assert (made["status"], made["output"], made["usage"]) == ("queued", [], None)
        got = (await http.get(f"/v1/responses/{made['id']}")).json()
        assert got["status"] == "completed"
        assert spoken(got["output"]) == [["Hello! How can I help you today?"]]
        refused = await http.post(f"/v1/responses/{made['id']}/cancel")
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "response_id"


async def test_stored_conversation_continues() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as simulator, httpx.AsyncClient(base_url=simulator.url) as http:
        first = (await http.post("/v1/responses", json={"input": "Say hello."})).json()
        body = {"input": "Say hello.", "previous_response_id": first["id"]}
        second = (await http.post("/v1/responses", json=body)).json()
        assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
        body["previous_response_id"] = "resp_none"
        assert (await http.post("/v1/responses", json=body)).status_code == 404


async def test_nothing_is_stored_on_request() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", response_store=True)
    async with Simulator(settings) as simulator, httpx.AsyncClient(base_url=simulator.url) as http:
        body = {"input": "Say hello.", "store": False}
        made = (await http.post("/v1/responses", json=body)).json()
        assert (await http.get(f"/v1/responses/{made['id']}")).status_code == 404
