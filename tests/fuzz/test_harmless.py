"""Additions without meaning lose nothing, and incomplete streams never succeed."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest
from grpc import StatusCode as Code
from hypothesis import given
from hypothesis import strategies as st
from rpc.calls import Serve
from rpc.every_rpc import Called

from .accumulated import accumulated, arrived, parsed
from .conversation import Conversation, conversing
from .cuts import needed, text_of
from .harmless import FRAMINGS, SINGLE, Body, changes, fits, written
from .profile import IS_LONG, examples
from .test_requests import usual
from .test_streams import STREAMING, every_stream
from .whole_streams import Whole, whole_streams

pytestmark = pytest.mark.timeout(0)
_BLOCKS = st.lists(st.integers(0, 9000), max_size=4).map(tuple)
_FRAMINGS = st.sampled_from(FRAMINGS)


@pytest.fixture
async def conversation(rpc: Called, serve: Serve) -> AsyncIterator[Conversation]:
    async with conversing(serve, max_attempts=1, **rpc.settings) as running:
        yield running


@every_stream
async def test_each_harmless_fault(rpc: Called, conversation: Conversation) -> None:
    streams = whole_streams(rpc)
    plain = {one.name: await sum_of(conversation, one, written(one).wire()) for one in streams}
    for fault in SINGLE:
        for whole in _changed_by(fault, streams)[:2]:
            changed = await sum_of(conversation, whole, written(whole, fault).wire())
            assert changed == plain[whole.name], fault


def _changed_by(fault: str, streams: list[Whole]) -> list[Whole]:
    """Returns the streams that a fault changes, the longest first."""
    found = [one for one in streams if fits(one, fault) and written(one, fault) != written(one)]
    return sorted(found, key=lambda one: -one.size)


def test_every_harmless_fault_has_an_effect() -> None:
    streams = [one for rpc in STREAMING for one in whole_streams(rpc)]
    assert [fault for fault in SINGLE if not _changed_by(fault, streams)] == []


@every_stream
@examples(20)
@given(data=st.data(), blocks=_BLOCKS)
async def test_the_result_is_the_same_in_every_form(
    rpc: Called, conversation: Conversation, data: st.DataObject, blocks: tuple[int, ...]
) -> None:
    whole = drawn(data, rpc)
    faults = data.draw(changes(whole))
    body = written(whole, faults)
    framing = data.draw(st.sampled_from(_framings(whole, body)))
    plain = await sum_of(conversation, whole, written(whole).wire())
    assert plain["missing"] == ""
    assert await sum_of(conversation, whole, body.wire(framing), blocks) == plain
    if "unknown-fields" in faults:
        places = {place for one in parsed(whole, conversation.received) for place in arrived(one)}
        places |= {"end"} if places & {"completed", "incomplete"} else set()
        assert places >= _EXTRAS[rpc.name.partition("/")[0]]


def _framings(whole: Whole, body: Body) -> Sequence[str]:
    """Returns the framings of a complete body; only some show that its last event is not cut."""
    text = text_of(body)
    return FRAMINGS if needed(whole, text).ended <= len(text) else ("chunked", "length")


_EXTRAS = {
    "ChatCompletionService": {"", "choices", "choices.delta", "usage"},
    "CompletionService": {"", "choices", "usage"},
    "GenerationService": {"", "choices", "usage"},
    "ResponseService": {"end"},
    "TranscriptionService": {"delta", "delta.usage"},
}
"""Where unknown keys arrive in messages."""


def drawn(data: st.DataObject, rpc: Called) -> Whole:
    """Generates one of the streams by its name, so that a report shows only the name."""
    streams = {one.name: one for one in whole_streams(rpc)}
    return streams[data.draw(st.sampled_from(sorted(streams)))]


async def sum_of(
    conversation: Conversation, whole: Whole, wire: bytes, blocks: tuple[int, ...] = ()
) -> Any:
    """Returns the sum of a stream, which must succeed."""
    conversation.upstream.respond_with(wire, blocks)
    result = await conversation.call(whole.rpc, usual(whole.rpc))
    assert result.code is Code.OK, result
    return accumulated(whole, conversation.received)


@every_stream
@examples(12)
@given(data=st.data(), framing=_FRAMINGS)
async def test_a_cut_stream_never_succeeds(
    rpc: Called, conversation: Conversation, data: st.DataObject, framing: str
) -> None:
    whole = drawn(data, rpc)
    body = written(whole, data.draw(st.one_of(st.just(""), changes(whole))))
    size = len(body.data)
    cuts = data.draw(st.lists(st.integers(0, size - 1), min_size=3, max_size=3))
    await check_cuts(conversation, whole, body, framing, [*cuts, *_decisive(whole, body)])


@every_stream
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_cut_at_every_byte(rpc: Called, conversation: Conversation, framing: str) -> None:
    whole = min(whole_streams(rpc), key=lambda one: one.size)
    body = written(whole)
    size = len(body.data)
    # The short form tries a part of them, a different one for each framing.
    step = 1 if IS_LONG else size // 20
    cuts = {*range(FRAMINGS.index(framing), size, step), *_decisive(whole, body)}
    await check_cuts(conversation, whole, body, framing, sorted(cuts))


def _decisive(whole: Whole, body: Body) -> set[int]:
    """Returns cuts around the places from which on a stream is complete."""
    need = needed(whole, text_of(body))
    cuts = range(len(body.data))

    def readable(cut: int) -> int:
        return len(text_of(body.until(cut)))

    places = [bisect_left(cuts, size, key=readable) for size in (need.said, need.passed)]
    return {cut for at in places for cut in range(at - 3, at + 3) if cut in cuts}


async def check_cuts(
    conversation: Conversation, whole: Whole, body: Body, framing: str, cuts: Iterable[int]
) -> None:
    """Cuts a stream at some bytes: the connection closes, or the body ends as if complete."""
    need = needed(whole, text_of(body))
    for cut in cuts:
        size = len(text_of(body.until(cut)))
        broken, ended = body.wire(framing, cut), body.until(cut).wire(framing)
        for wire, least in ((broken, need.ended), (ended, need.said)):
            conversation.upstream.respond_with(wire)
            result = await conversation.call(whole.rpc, usual(whole.rpc))
            assert result.code is not Code.OK or size >= least, (body.faults, cut, need)
            # A body that ends before its compressed data does is incomplete.
            if size >= need.passed and wire is broken:
                assert result.code is Code.OK, (body.faults, cut, need, result)
