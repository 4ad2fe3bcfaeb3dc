"""The simulator's transcriptions have the shapes of captured vLLM answers."""

import io
import json
import wave
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import client

CAPTURES = Path(__file__).parents[1] / "captures" / "transcription"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.json"))
COMPRESSED = {"tr_mp3", "tr_ogg"}
"""Files whose length the simulator guesses."""
OWN_WORDS = {"tr_ok_temperature", "tr_seed_float_params", "tr_max_completion_tokens"}
"""Texts that a model invents, or whose end depends on its own vocabulary."""
BOUNDARY = "boundary"


def load(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    settings = SimulatorSettings(
        listen="127.0.0.1:0", models=("tiny-whisper",), kind="whisper", max_model_len=448
    )
    async with Simulator(settings) as simulator, client(simulator.url) as opened:
        yield opened


def audio(file: Any) -> bytes:
    """Returns the file of a request, described by its content, duration or size."""
    if "base64" in file:
        return b64decode(file["base64"])
    if "zeros" in file:
        return bytes(file["zeros"])
    written = io.BytesIO()
    with wave.open(written, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16000)
        writer.writeframes(bytes(32000 * file["seconds"]))
    return written.getvalue()


def form(request: Any) -> bytes:
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in request["fields"]]
    if file := request.get("file"):
        head = f'name="file"; filename="{file["filename"]}"\r\nContent-Type: {file["content_type"]}'
        parts.append(head.encode() + b"\r\n\r\n" + audio(file))
    start = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    return b"".join(start + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


async def replay(http: httpx.AsyncClient, request: Any) -> httpx.Response:
    kind = request.get("content_type", f"multipart/form-data; boundary={BOUNDARY}")
    if "body" in request:
        kind, content = "application/json", json.dumps(request["body"]).encode()
    elif "raw" in request:
        content = request["raw"].encode()
    elif "fields" in request:
        content = form(request)
    else:
        return await http.request(request["method"], request["path"])
    return await http.post(request["path"], content=content, headers={"content-type": kind})


def shape(value: Any) -> Any:
    """Returns the structure of a JSON value: ordered keys and types, without the values."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner)) for inner in value})
    return "number" if type(value) in (int, float) else type(value).__name__


def test_there_are_captures() -> None:
    assert len(NAMES) > 40


@pytest.mark.parametrize("name", [name for name in NAMES if "body" in load(name)])
async def test_unary_answer(name: str, http: httpx.AsyncClient) -> None:
    capture = load(name)
    response = await replay(http, capture["request"])
    assert response.status_code == capture["status"], response.text
    assert response.headers["content-type"] == capture["content_type"]
    body, expected = response.json(), capture["body"]
    if capture["status"] != 200:
        assert body == expected
        return
    assert shape(body) == shape(expected)
    assert name in OWN_WORDS or body["text"] == expected["text"]
    if name not in COMPRESSED:
        assert body.get("usage") == expected.get("usage")
        assert body.get("duration") == expected.get("duration")
    times = [(one["start"], one["end"], one["seek"]) for one in body.get("segments", ())]
    assert times == [(s["start"], s["end"], s["seek"]) for s in expected.get("segments", ())]


@pytest.mark.parametrize("name", [name for name in NAMES if "events" in load(name)])
async def test_stream(name: str, http: httpx.AsyncClient) -> None:
    capture = load(name)
    response = await replay(http, capture["request"])
    assert response.headers["content-type"] == capture["content_type"]
    *lines, done = [line[6:] for line in response.text.split("\n") if line]
    assert (done == "[DONE]") is capture["done"]
    events, expected = [json.loads(line) for line in lines], capture["events"]
    assert shape(events) == shape(expected)
    assert text(events) == text(expected)
    assert finishes(events) == finishes(expected)
    used, wanted = (one[-1].get("usage", {}).get("prompt_tokens") for one in (events, expected))
    assert used == wanted


def text(events: list[Any]) -> str:
    return "".join(choice["delta"]["content"] for event in events for choice in event["choices"])


def finishes(events: list[Any]) -> list[Any]:
    choices = [choice for event in events for choice in event["choices"]]
    return [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
