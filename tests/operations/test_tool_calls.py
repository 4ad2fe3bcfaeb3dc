"""Tool calls with unusual indices, ids, names or arguments, at every socket."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from client.terminal import penstock
from grpc import aio

from penstock import AsyncClient, Client
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.message_pb2 import ROLE_USER, ChatMessage, ContentPart

from .canned import canned, in_events, in_json

Json = dict[str, Any]
Calls = list[tuple[str, str, str]]
"""Id, name and arguments of each call."""

FRAME = {"id": "chatcmpl-1", "model": "m", "created": 5}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
ADD, WEATHER = ("call_a", "add", '{"a":1}'), ("call_b", "weather", "{}")
ASKED = CreateChatCompletionRequest(
    messages=[ChatMessage(role=ROLE_USER, content=[ContentPart(text="x")])]
)


def piece(call_id: Any = None, name: Any = None, arguments: Any = None, index: Any = None) -> Json:
    """Returns a piece of a call; omits values that are None."""
    function = {"name": name, "arguments": arguments}
    made = {"index": index, "id": call_id, "type": "function" if name else None}
    return _without_none(made) | {"function": _without_none(function)}


def _without_none(data: Mapping[str, Any]) -> Json:
    return {key: value for key, value in data.items() if value is not None}


def stream(deltas: Sequence[Sequence[Json] | None]) -> bytes:
    """Returns the stream of a choice, with the calls of each delta."""
    said = [{"role": "assistant", "content": ""}, *({"tool_calls": calls} for calls in deltas)]
    events = [FRAME | {"choices": [{"index": 0, "delta": delta}]} for delta in said]
    end = FRAME | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    return in_events(*events, end, FRAME | {"choices": [], "usage": USAGE})


# As Python writes it, with numbers of any size in `arguments`.
BIG = (
    '{"a": 123456789012345678901234567890, "b": [1.5, {"c": null, "arguments": {"d": 1e+300}}], '
    '"é": "\\"arguments\\": {"}'
)

STREAMS: dict[str, tuple[Sequence[Sequence[Json] | None], Calls]] = {
    "two calls with one name in one delta, without arguments": (
        [[piece("c", "f", "", 0), piece("d", "f", "", 0)]],
        [("c", "f", ""), ("d", "f", "")],
    ),
    "two calls with one index": (
        [[piece(*ADD, index=0)], [piece(*WEATHER, index=0)]],
        [ADD, WEATHER],
    ),
    "two calls with one index in one delta": (
        [[piece(*ADD, index=0), piece(*WEATHER, index=0)]],
        [ADD, WEATHER],
    ),
    "two calls without an index": ([[piece(*ADD)], [piece(*WEATHER)]], [ADD, WEATHER]),
    "two calls without an index in one delta": ([[piece(*ADD), piece(*WEATHER)]], [ADD, WEATHER]),
    "two calls without index and id": (
        [[piece(None, "f", '{"a":1}')], [piece(None, "g", "{}")]],
        [("", "f", '{"a":1}'), ("", "g", "{}")],
    ),
    "two calls of one function without index and id": (
        [[piece(None, "f", '{"a":"}"}')], [piece(None, "f", '{"a":2}')]],
        [("", "f", '{"a":"}"}'), ("", "f", '{"a":2}')],
    ),
    "two calls with one id": (
        [[piece("c", "f", "{}", 0)], [piece("c", "f", "{}", 1)]],
        [("c", "f", "{}"), ("c", "f", "{}")],
    ),
    "three calls, two of them with one index": (
        [[piece(*ADD, index=0)], [piece(*WEATHER, index=0)], [piece("call_c", "f", "{}", 1)]],
        [ADD, WEATHER, ("call_c", "f", "{}")],
    ),
    "one call that repeats id and name": (
        [[piece("c", "f", text, 0)] for text in ('{"a"', ":1", "}")],
        [("c", "f", '{"a":1}')],
    ),
    "one call that repeats its name": (
        [[piece(None, "f", text, 0)] for text in ('{"a"', ":1", "}")],
        [("", "f", '{"a":1}')],
    ),
    "one call with a new id in each piece": (
        [[piece(f"c{place}", "f", text, 0)] for place, text in enumerate(('{"a"', ":1", "}"))],
        [("c0", "f", '{"a":1}')],
    ),
    "one call without an index, in pieces": (
        [[piece("c", "f", "")], [piece(None, None, '{"a"')], [piece(None, None, ":1}")]],
        [("c", "f", '{"a":1}')],
    ),
    "an index in later pieces only": (
        [[piece(*ADD, index=0)], [piece("d", "g", '{"x"')], [piece(None, None, ":2}", 1)]],
        [ADD, ("d", "g", '{"x":2}')],
    ),
    "an index in the first piece only": (
        [[piece("c", "f", '{"a"', 0)], [piece(None, None, ":1}")]],
        [("c", "f", '{"a":1}')],
    ),
    "interleaved calls": (
        [
            [piece("c", "f", '{"a"', 0), piece("d", "g", '{"b"', 1)],
            [piece(None, None, ":1}", 0), piece(None, None, ":2}", 1)],
        ],
        [("c", "f", '{"a":1}'), ("d", "g", '{"b":2}')],
    ),
    "interleaved calls by their ids": (
        [
            [piece("c", "f", '{"a"'), piece("d", "g", '{"b"')],
            [piece("c", None, ":1}")],
            [piece("d", None, ":2}")],
        ],
        [("c", "f", '{"a":1}'), ("d", "g", '{"b":2}')],
    ),
    "interleaved calls by their places": (
        [
            [piece("c", "f", '{"a"'), piece("d", "g", '{"b"')],
            [piece(None, None, ":1}"), piece(None, None, ":2}")],
        ],
        [("c", "f", '{"a":1}'), ("d", "g", '{"b":2}')],
    ),
    "indices as text and as floats": (
        [
            [piece("c", "f", '{"a"', "0")],
            [piece(None, None, ":1}", 0.0)],
            [piece("d", "g", "", "1")],
        ],
        [("c", "f", '{"a":1}'), ("d", "g", "")],
    ),
    "ids as numbers": (
        [[piece(7, "f", "{}", 0)], [piece(8, "g", "{}", 1)]],
        [("7", "f", "{}"), ("8", "g", "{}")],
    ),
    "arguments as an object": (
        [[piece("c", "f", json.loads(BIG), 0)]],
        [("c", "f", BIG)],
    ),
    "nulls and empty texts": (
        [
            None,
            [
                {
                    "index": 0,
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": None},
                }
            ],
            [{"index": 0, "id": "", "type": None, "function": None}],
            [{"index": 0, "id": None, "function": {"name": "", "arguments": "{}"}}],
            [],
        ],
        [("c", "f", "{}")],
    ),
}


@pytest.mark.parametrize(("deltas", "calls"), STREAMS.values(), ids=STREAMS)
async def test_streamed_calls(deltas: Sequence[Sequence[Json] | None], calls: Calls) -> None:
    async with canned(stream(deltas)) as (channel, _):
        assert await of_chat(channel) == calls
        assert await of_client(channel) == calls
        assert await of_response(channel) == [_with_id(*call) for call in calls]


def _with_id(call_id: str, name: str, arguments: str) -> tuple[str, str, str]:
    return call_id or "made", name, arguments


async def of_chat(channel: aio.Channel) -> Calls:
    """Adds up the calls in the messages of a chat stream, as the contract defines."""
    found: dict[int, list[str]] = {}
    begun: set[int] = set()
    async for message in ChatCompletionServiceStub(channel).StreamChatCompletion(ASKED):
        for choice in message.choices:
            for call in choice.delta.tool_calls:
                assert not (call.index in begun and (call.id or call.name)), "sent twice"
                begun.add(call.index)
                whole = found.setdefault(call.index, ["", "", ""])
                for place, text in enumerate((call.id, call.name, call.arguments)):
                    whole[place] += text
    assert sorted(found) == list(range(len(found)))
    return [(call[0], call[1], call[2]) for _, call in sorted(found.items())]


async def of_client(channel: aio.Channel) -> Calls:
    """Returns the calls that the client finds in the same stream."""
    client = AsyncClient(channel=channel)
    answer = await client.chat.stream("x").final()
    return [(call.id, call.name, call.arguments_json) for call in answer.tool_calls]


async def of_response(channel: aio.Channel) -> Calls:
    """Returns the calls of a response that is converted from the same stream."""
    answer = await AsyncClient(channel=channel).responses.stream("x").final()
    return [
        ("made" if call.id.startswith("call_1_") else call.id, call.name, call.arguments_json)
        for call in answer.tool_calls
    ]


async def test_the_blocking_client_distinguishes_calls() -> None:
    def calls(target: str) -> Calls:
        with Client(target) as client:
            answer = client.chat.stream("x").final()
        return [(call.id, call.name, call.arguments_json) for call in answer.tool_calls]

    async with canned(stream([[piece(*ADD)], [piece(*WEATHER)]])) as (_, upstream):
        assert await asyncio.to_thread(calls, upstream.target) == [ADD, WEATHER]


async def test_the_command_line_distinguishes_calls() -> None:
    async with canned(stream([[piece(*ADD)], [piece(*WEATHER)]])) as (_, upstream):
        result = await asyncio.to_thread(penstock, "chat", "x", "--target", upstream.target)
    assert result.stdout.decode().split() == ['add({"a":1})', "weather({})"]


WHOLE: dict[str, tuple[Sequence[Json | None], Calls]] = {
    "one index": ([piece(*ADD, index=0), piece(*WEATHER, index=0)], [ADD, WEATHER]),
    "no index": ([piece(*ADD), piece(*WEATHER)], [ADD, WEATHER]),
    "no id": ([piece(None, "f", "{}"), piece(None, "f", "{}")], [("", "f", "{}"), ("", "f", "{}")]),
    "an id that is a number": ([piece(7, "f", "{}")], [("7", "f", "{}")]),
    "arguments as an object": ([piece("c", "f", json.loads(BIG))], [("c", "f", BIG)]),
    "arguments as a list": ([piece("c", "f", [1, 2.5])], [("c", "f", "[1, 2.5]")]),
    "no arguments": ([piece("c", "f")], [("c", "f", "")]),
    "null": ([None, piece("c", "f", "{}")], [("c", "f", "{}")]),
}


@pytest.mark.parametrize(("given", "calls"), WHOLE.values(), ids=WHOLE)
async def test_calls_of_a_unary_answer(given: Sequence[Json | None], calls: Calls) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": given}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    answer = FRAME | {"choices": [choice], "usage": USAGE}
    async with canned(in_json(answer)) as (channel, _):
        client = AsyncClient(channel=channel)
        chat = await client.chat.create("x")
        response = await client.responses.create("x")
    assert [(call.id, call.name, call.arguments_json) for call in chat.tool_calls] == calls
    assert [(call.name, call.arguments_json) for call in response.tool_calls] == [
        (name, arguments) for _, name, arguments in calls
    ]
