"""The simulator's dialects answer like the vLLMs of these versions."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from capture_older import CAPTURES, CASES, form

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import client

CONTEXT = {"chat": 512, "whisper": 448}


def cases() -> Iterator[Any]:
    for path in sorted(CAPTURES.glob("*.json")):
        for capture in json.loads(path.read_text("utf-8")):
            yield pytest.param(path.stem, capture, id=f"{path.stem}-{capture['name']}")


def asked(name: str) -> tuple[str, str, Any]:
    return next(
        (kind, path, body)
        for kind, requests in CASES.items()
        for known, path, body in requests
        if known == name
    )


@pytest.fixture
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    parameters = request.node.callspec.params
    kind, *_ = asked(parameters["capture"]["name"])
    settings = SimulatorSettings(
        listen="127.0.0.1:0",
        kind=kind,
        models=(f"tiny-{kind}",),
        max_model_len=CONTEXT.get(kind, 256),
        dialect=parameters["version"],
    )
    async with Simulator(settings) as running, client(running.url) as opened:
        yield opened


@pytest.mark.parametrize(("version", "capture"), list(cases()))
async def test_dialect_answers_like_the_version(
    http: httpx.AsyncClient, version: str, capture: Any
) -> None:
    kind, path, body = asked(capture["name"])
    if kind == "whisper":
        data, media = form(body)
        response = await http.post(path, content=data, headers={"content-type": media})
    else:
        response = await http.post(path, json=body)
    assert response.status_code == capture["status"]
    answer = response.text
    if isinstance(capture["answer"], str):
        assert _events(answer) == _events(capture["answer"])
    else:
        assert _shape(response.json()) == _shape(capture["answer"])


def _shape(value: Any) -> Any:
    """Returns the common parts of two answers to one request: keys, types of values, errors."""
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return {**value, "message": _words(value["message"])}
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and value is not True else type(value)


def _words(message: str) -> str:
    """Returns the first line without numbers, because counts of tokens depend on the tokenizer."""
    return re.sub(r"\d+", "0", message.partition("\n")[0])


def _events(text: str) -> list[str]:
    """Returns the types of events without direct repetitions."""
    found = re.findall(r"^event: (\S+)", text, re.M)
    return [name for before, name in zip(["", *found], found, strict=False) if before != name]
