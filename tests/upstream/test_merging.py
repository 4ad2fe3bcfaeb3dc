"""Pending text events are merged, and no others."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.merging import merged_text
from penstock_server.upstream.operations import CHAT_COMPLETION

from .wire import client, http, wire

ORIGIN = {"id": "x", "object": "chunk", "created": 1, "model": "m"}


def chunk(text: str, index: int = 0, key: str = "content", **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {key: text}, "finish_reason": None, "logprobs": None}
    return {**ORIGIN, "choices": [choice | more]}


def words(text: str, **more: Any) -> dict[str, Any]:
    return {**ORIGIN, "choices": [{"index": 0, "text": text, "finish_reason": None, **more}]}


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (chunk("a"), chunk("b"), chunk("ab")),
        (chunk("a", 3), chunk("", 3), chunk("a", 3)),
        (chunk("a", key="reasoning"), chunk("b", key="reasoning"), chunk("ab", key="reasoning")),
        (words("a", token_ids=None), words("b"), words("ab", token_ids=None)),
    ],
)
def test_texts(first: Any, second: Any, both: Any) -> None:
    before = json.dumps((first, second))
    assert merged_text(first, second) == both
    assert json.dumps((first, second)) == before


KEPT: dict[str, dict[str, Any]] = {
    "another choice": chunk("b", 1),
    "another kind of text": chunk("b", key="reasoning"),
    "a role": chunk("b", delta={"role": "assistant", "content": "b"}),
    "nothing": chunk("b", delta={}),
    "no text": chunk("b", delta={"content": 5}),
    "no delta": chunk("b", delta=[]),
    "part of a tool call": chunk("b", delta={"tool_calls": []}),
    "a refusal": chunk("b", key="refusal"),
    "a finish": chunk("b", finish_reason="stop"),
    "log probabilities": chunk("b", logprobs={"content": []}),
    "token ids": chunk("b", token_ids=[1]),
    "an unknown key": chunk("b", mood="calm"),
    "usage": chunk("b") | {"usage": {"total_tokens": 3}},
    "two choices": chunk("b") | {"choices": chunk("b")["choices"] * 2},
    "no choices": chunk("b") | {"choices": []},
    "choices of another kind": chunk("b") | {"choices": "x"},
    "text of the other API": words("b"),
}


@pytest.mark.parametrize("other", KEPT.values(), ids=KEPT)
def test_other_events_are_not_merged(other: dict[str, Any]) -> None:
    assert merged_text(chunk("a"), other) is None
    assert merged_text(other, chunk("a")) is None


def sent(count: int, *others: dict[str, Any]) -> bytes:
    """Returns a stream of texts, then others and as many texts again, all available at once."""
    finish = chunk("", delta={}, finish_reason="stop")
    usage = {**ORIGIN, "choices": [], "usage": {"total_tokens": 3}}
    texts = [chunk(f"{number} ") for number in range(count)]
    events = [*texts, *others, *(texts if others else ()), finish, usage]
    lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return http(f"{lines}data: [DONE]\n\n".encode(), "content-type: text/event-stream")


@pytest.mark.parametrize(("count", "most"), [(20, 22), (100, 42)])
async def test_texts_are_merged_only_for_a_slow_reader(count: int, most: int) -> None:
    async with (
        wire(sent(count)) as server,
        client(server.url) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, Call("id-1"), ChoiceStream(1)) as stream,
    ):
        events = [event async for event in stream]
    texts = [choice["delta"].get("content", "") for e in events for choice in e["choices"]]
    assert "".join(texts) == "".join(f"{number} " for number in range(count))
    assert len(events) == most
    assert events[-1]["usage"]
    assert [c["finish_reason"] for e in events for c in e["choices"]][-1] == "stop"


def event_at(body: bytes, offset: int | None) -> Any:
    """Returns the event of a stream whose data begins at an offset."""
    return json.loads(body[offset:].partition(b"\n")[0].removeprefix(b"data: "))


async def test_the_offset_of_each_event() -> None:
    """Even of a merged event, after which the next one has already been parsed."""
    call, answer = Call("id-1"), sent(100)
    body = answer.partition(b"\r\n\r\n")[2]
    async with (
        wire(answer) as server,
        client(server.url) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, call, ChoiceStream(1)) as stream,
    ):
        async for event in stream:
            first = event_at(body, call.attempts.offset)
            for choice, begun in zip(event["choices"], first.pop("choices"), strict=True):
                assert (
                    choice["delta"].get("content", "").startswith(begun["delta"].get("content", ""))
                )
            assert first.items() <= event.items()


async def test_a_failure_after_merged_events_is_raised() -> None:
    """The failing event is parsed while the earlier one is being merged."""
    texts: list[str] = []
    async with (
        wire(sent(53, chunk("", index=1, delta={"content": "!"}, finish_reason="abort"))) as server,
        client(server.url) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, Call("id-1"), ChoiceStream(2)) as stream,
    ):
        with pytest.raises(UpstreamFailure, match="aborted"):
            await gather(stream, texts)
    assert texts[-1] == "!"


async def gather(stream: AsyncIterator[Any], texts: list[str]) -> None:
    async for event in stream:
        texts.append(event["choices"][0]["delta"]["content"])


async def test_events_before_a_malformed_one_are_returned() -> None:
    # In the middle of the events that are merged.
    answer = sent(100).replace(b'"53 "', b'"53\n ')
    async with (
        wire(answer) as server,
        client(server.url) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, Call("id-1"), ChoiceStream(1)) as stream,
    ):
        texts: list[str] = []
        with pytest.raises(UpstreamFailure, match="invalid JSON"):
            await gather(stream, texts)
    assert "".join(texts) == "".join(f"{number} " for number in range(53))
