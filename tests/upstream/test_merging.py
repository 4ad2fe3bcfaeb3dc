"""Events that only continue texts are merged, and no others."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from skipping import Skipping

from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.merging import merged_choices, merged_deltas
from penstock_server.upstream.operations import CHAT_COMPLETION

from .wire import End, client, http, wire

EVENT_STREAM = "content-type: text/event-stream"
ORIGIN = {"id": "x", "object": "chunk", "created": 1, "model": "m"}


def chunk(text: str, index: int = 0, key: str = "content", **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {key: text}, "finish_reason": None, "logprobs": None}
    return {**ORIGIN, "choices": [choice | more]}


def words(text: str, **more: Any) -> dict[str, Any]:
    return {**ORIGIN, "choices": [{"index": 0, "text": text, "finish_reason": None, **more}]}


def choices(event: dict[str, Any]) -> list[Any]:
    found: list[Any] = event["choices"]
    return found


def arguments(text: Any, index: int = 0, **more: Any) -> dict[str, Any]:
    call = {"index": index, "function": {"arguments": text}, **more}
    return chunk("", delta={"content": None, "tool_calls": [call]})


TWICE = {"reasoning": "x", "reasoning_content": "x"}
SPOKEN = {"role": "assistant", "content": "x"}
COUNTED = {"usage": {"total_tokens": 3}}


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (chunk("a"), chunk("b"), chunk("ab")),
        (chunk("a", 3), chunk("", 3), chunk("a", 3)),
        (chunk("a", key="reasoning"), chunk("b", key="reasoning"), chunk("ab", key="reasoning")),
        (chunk("a", key="refusal"), chunk("b", key="refusal"), chunk("ab", key="refusal")),
        (words("a", token_ids=None), words("b"), words("ab", token_ids=None)),
        (
            chunk("a", delta=TWICE),
            chunk("b", delta=TWICE),
            chunk("", delta=dict.fromkeys(TWICE, "xx")),
        ),
        (
            chunk("a", delta=SPOKEN),
            chunk("b", delta=SPOKEN),
            chunk("", delta=SPOKEN | {"content": "xx"}),
        ),
        (
            chunk("a"),
            chunk("b", 1),
            {**ORIGIN, "choices": [*choices(chunk("a")), *choices(chunk("b", 1))]},
        ),
        (chunk("a"), {**ORIGIN, "choices": choices(chunk("b")) * 2}, chunk("abb")),
        (arguments("a"), arguments("b"), arguments("ab")),
        (chunk("a", token_ids=[1]), chunk("b", token_ids=[2, 3]), chunk("ab", token_ids=[1, 2, 3])),
        (
            chunk("a", logprobs={"content": [1], "refusal": None}),
            chunk("b", logprobs={"content": [2]}),
            chunk("ab", logprobs={"content": [1, 2], "refusal": None}),
        ),
        (
            words("a", logprobs={"tokens": ["a"], "token_logprobs": [0.5]}),
            words("b", logprobs={"tokens": ["b"], "token_logprobs": [None]}),
            words("ab", logprobs={"tokens": ["a", "b"], "token_logprobs": [0.5, None]}),
        ),
        (
            chunk("a") | COUNTED,
            chunk("b") | {"usage": {"total_tokens": 4}},
            chunk("ab") | {"usage": {"total_tokens": 4}},
        ),
        (
            chunk("a") | {"system_fingerprint": "f"},
            chunk("b") | {"system_fingerprint": "f"},
            chunk("ab") | {"system_fingerprint": "f"},
        ),
    ],
)
def test_texts(first: Any, second: Any, both: Any) -> None:
    before = json.dumps((first, second))
    assert merged_choices(first, second) == both
    assert json.dumps((first, second)) == before


KEPT: dict[str, dict[str, Any]] = {
    "another kind of text": chunk("b", key="reasoning"),
    "a role": chunk("b", delta={"role": "assistant", "content": "b"}),
    "nothing": chunk("b", delta={}),
    "no text": chunk("b", delta={"content": 5}),
    "no delta": chunk("b", delta=[]),
    "part of a tool call": chunk("b", delta={"tool_calls": []}),
    "a refusal": chunk("b", key="refusal"),
    "a finish": chunk("b", finish_reason="stop"),
    "log probabilities": chunk("b", logprobs={"content": []}),
    "unreadable log probabilities": chunk("b", logprobs=[1]),
    "unknown log probabilities": chunk("b", logprobs={"offsets": [1]}),
    "unreadable token ids": chunk("b", token_ids=5),
    "two kinds of text": chunk("b", delta={"reasoning": "b", "content": "b"}),
    "arguments": arguments("b"),
    "two versions of the reasoning": chunk("b", delta=TWICE | {"reasoning": "y"}),
    "an index that is not a number": chunk("b")
    | {"choices": [{"index": [], "delta": {"content": "b"}}]},
    "an unknown key": chunk("b", mood="calm"),
    "usage": chunk("b") | {"usage": {"total_tokens": 3}},
    "no choices": chunk("b") | {"choices": []},
    "choices of another kind": chunk("b") | {"choices": "x"},
    "text of the other API": words("b"),
}


@pytest.mark.parametrize("other", KEPT.values(), ids=KEPT)
def test_other_events_are_not_merged(other: dict[str, Any]) -> None:
    assert merged_choices(chunk("a"), other) is None
    assert merged_choices(other, chunk("a")) is None


OTHER_CALLS: dict[str, dict[str, Any]] = {
    "of another call": arguments("b", 1),
    "the beginning of a call": arguments("b", id="c", type="function"),
    "not a text": arguments({"b": 1}),
    "two calls": chunk(
        "", delta={"tool_calls": [{"index": 0, "function": {"arguments": "b"}}] * 2}
    ),
    "a named function": chunk(
        "", delta={"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "b"}}]}
    ),
    "not a call": chunk("", delta={"tool_calls": [5]}),
    "no function": chunk("", delta={"tool_calls": [{"index": 0}]}),
}


@pytest.mark.parametrize("other", OTHER_CALLS.values(), ids=OTHER_CALLS)
def test_other_arguments_are_not_merged(other: dict[str, Any]) -> None:
    assert merged_choices(arguments("a"), other) is None
    assert merged_choices(other, arguments("a")) is None


def delta(text: Any, kind: str = "output_text", **more: Any) -> dict[str, Any]:
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    return {"type": f"response.{kind}.delta", "sequence_number": 7, **place, "delta": text, **more}


def test_deltas() -> None:
    for kind in ("output_text", "reasoning_text", "refusal", "function_call_arguments"):
        assert merged_deltas(delta("a", kind), delta("b", kind)) == delta("ab", kind)
    both = merged_deltas(delta("a", logprobs=[1]), delta("b", logprobs=[2]))
    assert both == delta("ab", logprobs=[1, 2])


OTHER_DELTAS: dict[str, dict[str, Any]] = {
    "of another item": delta("b", item_id="j"),
    "of another position": delta("b", output_index=1),
    "of another part": delta("b", content_index=1),
    "of another kind": delta("b", "reasoning_text"),
    "of audio": delta("b", "audio"),
    "not a text": delta({}),
    "with an unknown key": delta("b", mood="calm"),
    "with an unreadable place": delta("b", item_id=[]),
    "with unreadable log probabilities": delta("b", logprobs={}),
    "the end of a text": {"type": "response.output_text.done", "item_id": "i", "text": "b"},
}


@pytest.mark.parametrize("other", OTHER_DELTAS.values(), ids=OTHER_DELTAS)
def test_other_deltas_are_not_merged(other: dict[str, Any]) -> None:
    assert merged_deltas(delta("a"), other) is None
    assert merged_deltas(other, delta("a")) is None


def sent(count: int, *others: dict[str, Any]) -> bytes:
    """Returns a stream of texts, then others and as many texts again, all available at once."""
    finish = chunk("", delta={}, finish_reason="stop")
    usage = {**ORIGIN, "choices": [], "usage": {"total_tokens": 3}}
    texts = [chunk(f"{number} ") for number in range(count)]
    events = [*texts, *others, *(texts if others else ()), finish, usage]
    lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return http(f"{lines}data: [DONE]\n\n".encode(), EVENT_STREAM)


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


async def test_the_window_of_events_that_waited_for_their_reader(skip: Skipping) -> None:
    """It began when they arrived, at the latest after the event before them."""
    pieces = "".join(f"data: {json.dumps(chunk(text))}\n\n" for text in "abc")
    async with (
        wire(http(pieces.encode(), EVENT_STREAM, length=9999), End.HOLD) as server,
        client(server.url, merge_within_s=1e6) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, Call("id-1"), ChoiceStream(1)) as stream,
        asyncio.timeout(60),
    ):
        assert await anext(stream) == chunk("a")
        skip.jump(1e6)
        assert await anext(stream) == chunk("bc")
