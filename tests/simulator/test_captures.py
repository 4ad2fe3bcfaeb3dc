"""The simulator's answers have the shapes of captured vLLM answers."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from .calls import parse

CAPTURES = Path(__file__).parents[1] / "captures" / "chat"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.json"))

OWN_WORDS = {
    "chat_err_bad_grammar_stream",
    "chat_err_bad_regex",
    "chat_err_content_number",
    "chat_err_response_format_type",
    "chat_err_stop_too_many_types",
    "chat_err_unknown_part",
    "chat_stop_five",
}
"""Refusals whose text depends on vLLM's dependencies; the rest is compared word for word."""

OWN_ANSWERS = {
    "chat_bad_role_accepted",
    "chat_bad_words",
    "chat_cached_tokens_second_time",
    "chat_json_object",
    "chat_json_schema",
    "chat_json_schema_stream",
    "chat_logit_bias",
    "chat_structured_choice",
    "chat_structured_grammar",
    "chat_structured_json",
    "chat_structured_regex",
    "chat_tool_arguments_not_json_accepted",
}
"""Answers that a model invents: no dialogue determines them."""

CUT_BY_TOKENS = {
    "chat_reasoning_cut",
    "chat_reasoning_cut_stream",
    "chat_tool_choice_required_truncated",
    "chat_tools_auto_truncated",
    "chat_tools_auto_truncated_stream",
}
"""Answers whose length depends on the model's own vocabulary."""


def load(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


async def replay(http: httpx.AsyncClient, capture: Any) -> httpx.Response:
    request = capture["request"]
    headers = dict(request.get("headers", {}))
    body = request.get("raw_latin1", "").encode("latin-1")
    if request["body"] is not None:
        body = (
            request["body"].encode() if _is_text(request) else json.dumps(request["body"]).encode()
        )
    if request["method"] == "POST":
        kind = request.get("content_type", "application/json")
        headers |= {"content-type": kind} if kind else {}
    return await http.request(request["method"], request["path"], content=body, headers=headers)


def _is_text(request: Any) -> bool:
    return isinstance(request["body"], str)


def shape(value: Any) -> Any:
    """Returns the structure of a JSON value: ordered keys and types, without the values."""
    if isinstance(value, dict):
        if all(key.isdigit() for key in value) and value:
            return ["by id", shape(next(iter(value.values())))]
        return {"keys": [(key, shape(inner)) for key, inner in value.items()]}
    if isinstance(value, list):
        kinds = {json.dumps(shape(inner)): shape(inner) for inner in value}
        return sorted(kinds, key=str)
    return "number" if type(value) in (int, float) else type(value).__name__


def finishes(choices: list[Any]) -> list[Any]:
    return [(choice["finish_reason"], choice["stop_reason"]) for choice in choices]


@pytest.mark.parametrize("name", [name for name in NAMES if "body" in load(name)])
async def test_unary_answer(name: str, http: httpx.AsyncClient) -> None:
    capture = load(name)
    response = await replay(http, capture)
    assert response.status_code == capture["status"], response.text
    assert response.headers.get("content-type") == capture["content_type"]
    for header, value in capture.get("headers", {}).items():
        assert response.headers[header] == value
    if capture["body"] is None:
        assert response.content == b""
        return
    body = response.json()
    assert shape(body) == shape(capture["body"])
    if capture["status"] != 200:
        assert_same_refusal(name, body, capture["body"])
    elif "choices" in body and name not in OWN_ANSWERS:
        assert_same_answer(name, body, capture["body"])


def assert_same_refusal(name: str, body: Any, expected: Any) -> None:
    if name in OWN_WORDS:
        for each in (body, expected):
            each["error"]["message"] = ""
    assert body == expected


def assert_same_answer(name: str, body: Any, expected: Any) -> None:
    assert body["model"] == expected["model"]
    assert finishes(body["choices"]) == finishes(expected["choices"])
    if name not in CUT_BY_TOKENS:
        assert spoken(body) == spoken(expected)


def spoken(body: Any) -> list[Any]:
    return [
        (message["content"], [call["function"] for call in message.get("tool_calls", [])])
        for message in (choice["message"] for choice in body["choices"])
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if "events" in load(name)])
async def test_stream(name: str, http: httpx.AsyncClient) -> None:
    capture = load(name)
    response = await replay(http, capture)
    stream = parse(response, response.content)
    expected = parse(response, b"")
    expected.events = capture["events"]
    assert response.headers["content-type"] == capture["content_type"]
    assert stream.done is capture["done"]
    assert stream.finish == expected.finish
    assert shape(stream.events[0]) == shape(expected.events[0])
    if name in CUT_BY_TOKENS:
        return
    assert shape(stream.events) == shape(expected.events)
    assert shape(stream.events[-1]) == shape(expected.events[-1])
    if "error" in stream.events[0]:
        assert_same_refusal(name, stream.events[0], expected.events[0])
    elif name not in OWN_ANSWERS:
        assert stream.text == expected.text


async def test_each_event_is_one_http_chunk(http: httpx.AsyncClient) -> None:
    capture = load("chat_stream")
    response = await replay(http, capture)
    assert response.headers["server"] == "uvicorn"
    assert response.headers["vary"] == "Origin"
    assert response.headers["transfer-encoding"] == "chunked"
