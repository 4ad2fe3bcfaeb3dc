"""Minimal cases of bugs that fuzzing has found."""

import json
from typing import Any

import pytest
from grpc import StatusCode as Code
from rpc.calls import Serve
from rpc.every_rpc import EVERY_RPC, Called, answer, names

from penstock.v1.chat_completion_pb2 import StreamChatCompletionResponse

from .answers import ordinary
from .conversation import conversing
from .streams import Written, real_streams
from .test_requests import usual


def nested(depth: int) -> Any:
    """Returns nested objects."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


async def _messages_of(rpc: Called, serve: Serve, said: bytes) -> str:
    async with conversing(serve, max_attempts=1, **rpc.settings) as conversation:
        conversation.upstream.respond_with(said)
        result = await conversation.call(rpc, usual(rpc))
        return result.reason or result.code.name


UNARY = tuple(rpc for rpc in EVERY_RPC if not rpc.streams)
STREAMING = tuple(rpc for rpc in EVERY_RPC if rpc.streams)


@pytest.mark.parametrize("depth", [300, 900])
@pytest.mark.parametrize("rpc", STREAMING, ids=names(STREAMING))
async def test_events_nested_too_deeply_to_be_serialized(
    rpc: Called, depth: int, serve: Serve
) -> None:
    # Formerly reported as an error of the request.
    first, *others = real_streams(rpc)[0].events
    first = json.dumps(json.loads(first) | {"new": nested(depth)})
    reason = await _messages_of(rpc, serve, Written((first, *others)).wire)
    assert reason == "UPSTREAM_MALFORMED_RESPONSE" or rpc.settings


@pytest.mark.parametrize("depth", [300, 900])
@pytest.mark.parametrize("rpc", UNARY, ids=names(UNARY))
async def test_answers_nested_too_deeply_to_be_serialized(
    rpc: Called, depth: int, serve: Serve
) -> None:
    whole = json.loads(next(one.body for one in ordinary(rpc) if one.body.startswith(b"{")))
    inner = whole["data"][0] if rpc.name.startswith("Model") else whole
    inner["new"] = nested(depth)
    reason = await _messages_of(rpc, serve, answer("200 OK", json.dumps(whole).encode()))
    # One model of many is omitted.
    assert reason == ("OK" if "List" in rpc.name else "UPSTREAM_MALFORMED_RESPONSE")


DEEPEST = "[" * 1010 + "]" * 1010
"""Almost as deep as orjson parses, deeper than Python serializes."""


@pytest.mark.parametrize(
    "said",
    [
        '{"detail": [{"loc": 7, "msg": "no"}]}',
        '{"detail": [{"loc": {"a": null}}]}',
        f'{{"error": {{"message": {DEEPEST}}}}}',
        f'{{"error": [{DEEPEST}]}}',
    ],
    ids=["number", "object", "deep message", "deep error"],
)
async def test_odd_errors(said: str, serve: Serve) -> None:
    reason = await _messages_of(UNARY[0], serve, answer("200 OK", said.encode()))
    assert reason == "UPSTREAM_INTERNAL"


@pytest.mark.parametrize("kind", ["response.completed", "response.failed"])
async def test_a_terminal_event_without_a_response(kind: str, serve: Serve) -> None:
    [rpc] = [rpc for rpc in STREAMING if rpc.settings]
    said = Written((json.dumps({"type": kind}),)).wire
    assert await _messages_of(rpc, serve, said) == "UPSTREAM_MALFORMED_RESPONSE"


async def test_a_status_that_is_neither_an_error_nor_an_answer(serve: Serve) -> None:
    # Formerly reported as our own error.
    reason = await _messages_of(UNARY[0], serve, answer("201 Created", b"{}"))
    assert reason == "UPSTREAM_MALFORMED_RESPONSE"


@pytest.mark.parametrize(
    "first",
    [
        {"choices": [{"index": 0, "delta": {"content": ""}}]},
        {"choices": [{"index": 0, "delta": {}}], "prompt_token_ids": [7], "prompt_text": "x"},
        {"choices": [], "prompt_token_ids": [7], "prompt_text": "x"},
    ],
    ids=["nothing", "tokens of the prompt", "tokens of the prompt only"],
)
async def test_names_that_are_sent_once_before_any_content(first: Any, serve: Serve) -> None:
    # Formerly taken for a keep-alive event, so that its names were lost.
    [rpc] = [rpc for rpc in STREAMING if rpc.name.startswith("Chat")]
    names = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m1"}
    said = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
    events = (names | first, said, {"choices": [], "usage": {"total_tokens": 1}})
    async with conversing(serve) as conversation:
        conversation.upstream.respond_with(Written(tuple(map(json.dumps, events))).wire)
        assert (await conversation.call(rpc, usual(rpc))).code is Code.OK
        messages = [StreamChatCompletionResponse.FromString(m) for m in conversation.received]
    assert {message.id for message in messages} == {"chatcmpl-1"}
    assert (messages[0].model, messages[0].create_time.seconds) == ("m1", 1)
    token_ids = [token for message in messages for token in message.prompt_token_ids]
    assert token_ids == first.get("prompt_token_ids", [])
