"""Native streams whose later events omit earlier content, which is not lost."""

import json
from typing import Any

import pytest
from documents import value_of
from grpc import aio
from upstream.wire import stream

from penstock import AsyncClient
from penstock.v1.response_pb2 import ModelResponse, StreamResponseResponse
from penstock.v1.response_pb2_grpc import ResponseServiceStub

from .canned import canned
from .response_calls import asking

Json = dict[str, Any]

USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
WHOLE: Json = {"id": "resp_1", "created_at": 5, "model": "m", "usage": USAGE}


def text_item(text: str, name: str = "msg_1") -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {
        "type": "message",
        "id": name,
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


THOUGHT: Json = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "hm"}],
}
CALL: Json = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a":1}',
}


def of_item(kind: str, index: int | None = None, **more: Any) -> Json:
    place = {} if index is None else {"output_index": index}
    return {"type": f"response.{kind}", **place, **more}


def done(index: int | None, item: Json) -> Json:
    return of_item("output_item.done", index, item=item)


def end(kind: str = "completed", **more: Any) -> Json:
    return {"type": f"response.{kind}", "response": WHOLE | {"status": kind} | more}


BEGUN: Json = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
HELLO = text_item("Hello")
ITEMS = [THOUGHT, HELLO, CALL]
ALL_DONE = [done(place, item) for place, item in enumerate(ITEMS)]

STREAMS: dict[str, list[Json]] = {
    "no output": [BEGUN, *ALL_DONE, end()],
    "output null": [BEGUN, *ALL_DONE, end(output=None)],
    "output empty": [BEGUN, *ALL_DONE, end(output=[])],
    "output short": [BEGUN, *ALL_DONE, end(output=[HELLO])],
    "output without content": [BEGUN, *ALL_DONE, end(output=[THOUGHT, text_item(""), CALL])],
    "output whole": [BEGUN, *ALL_DONE, end(output=ITEMS)],
    "output with new ids": [
        BEGUN,
        *ALL_DONE,
        end(output=[item | {"id": f"new_{place}"} for place, item in enumerate(ITEMS)]),
    ],
    "incomplete": [BEGUN, *ALL_DONE, end("incomplete", output=[])],
    "items completed in another order": [BEGUN, *reversed(ALL_DONE), end(output=[])],
    "places as text and floats": [
        BEGUN,
        *(
            done(form(place), item)
            for place, (form, item) in enumerate(zip((str, float, int), ITEMS, strict=True))
        ),
        end(output=[]),
    ],
    "no places": [
        BEGUN,
        *(
            event
            for item in ITEMS
            for event in (of_item("output_item.added", item=item), done(None, item))
        ),
        end(output=[]),
    ],
    "bare events": [
        {"type": "response.created"},
        {"type": "response.in_progress", "response": {}},
        *ALL_DONE,
        end(),
    ],
    "arguments as an object": [
        BEGUN,
        *ALL_DONE[:2],
        done(2, CALL | {"arguments": {"a": 1}}),
        end(output=[]),
    ],
    "a null item": [BEGUN, *ALL_DONE, end(output=[None, *ITEMS, None])],
    "an event without a type": [BEGUN, {"x": 1}, *ALL_DONE, end(output=ITEMS)],
    "unusual values": [
        BEGUN,
        *ALL_DONE,
        end(
            created_at="5",
            completed_at=6.0,
            temperature="0.5",
            tools=5,
            max_output_tokens=3.5,
            incomplete_details=[1],
            output=ITEMS,
        ),
    ],
}


@pytest.mark.parametrize("events", STREAMS.values(), ids=STREAMS)
async def test_the_terminal_event_has_all_completed_items(events: list[Json]) -> None:
    answer = stream(*map(json.dumps, events))
    async with canned(answer, native_responses="always") as (channel, _):
        last = await _last(channel)
        final = await AsyncClient(channel=channel).responses.stream("x").final()
    for response in (getattr(last, last.WhichOneof("event") or "completed"), final.proto):
        assert _essence(response) == ["hm", "Hello", 'f({"a":1})']
        assert response.usage.total_tokens == 3
    assert (final.id, final.text, final.reasoning) == ("resp_1", "Hello", "hm")


async def _last(channel: aio.Channel) -> StreamResponseResponse:
    return [event async for event in ResponseServiceStub(channel).StreamResponse(asking("x"))][-1]


def _essence(response: ModelResponse) -> list[str]:
    return [
        "".join(part.text for part in item.message.content)
        or "".join(item.reasoning.content)
        or f"{item.function_call.name}({item.function_call.arguments.replace(' ', '')})"
        for item in response.output
    ]


async def test_the_client_keeps_text_without_a_completed_item() -> None:
    place = {"output_index": 0, "item_id": "msg_1"}
    events = [
        BEGUN,
        of_item("output_item.added", 0, item=text_item("") | {"status": "in_progress"}),
        *({"type": "response.output_text.delta", "delta": text, **place} for text in ("Hel", "lo")),
        end(output=[]),
    ]
    answer = stream(*map(json.dumps, events))
    async with canned(answer, native_responses="always") as (channel, _):
        final = await AsyncClient(channel=channel).responses.stream("x").final()
    assert final.text == "Hello"


async def test_settings_that_cannot_be_read_are_kept() -> None:
    answer = stream(*map(json.dumps, STREAMS["unusual values"]))
    async with canned(answer, native_responses="always") as (channel, _):
        ended = (await _last(channel)).completed
    assert (ended.create_time.seconds, ended.complete_time.seconds) == (5, 6)
    assert ended.settings.temperature == 0.5
    assert set(value_of(ended.extra)) == {"tools", "max_output_tokens", "incomplete_details"}
