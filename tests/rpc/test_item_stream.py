"""The items of one call: order of the results, places, failures, and the end of the call."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import pytest

from penstock_server.rpc.calls import Rpc, answers

from .calls import BOUND_S, until


class Call:
    """The parts of a call that a stream of items uses."""

    def __init__(self) -> None:
        self.running_items = self.bytes_received = self.max_reply_bytes = 0
        self.context = self
        self.ends_read = 0

    async def read(self) -> None:
        self.ends_read += 1

    def time_remaining(self) -> float | None:
        return None


class Items:
    """Items that are read from a list, and answered when a test says so."""

    def __init__(self, names: Iterable[str], error: Exception | None = None) -> None:
        self.read: list[str] = []
        self.answered: dict[str, asyncio.Future[str]] = {}
        self.cancelled: list[str] = []
        self.call = Call()
        self._names = list(names)
        self._error = error

    @property
    def rpc(self) -> Rpc:
        return cast(Rpc, self.call)

    async def stream(self) -> AsyncIterator[str]:
        for name in self._names:
            self.read.append(name)
            self.call.bytes_received += 1
            yield name
        if self._error:
            raise self._error

    async def endless(self) -> AsyncIterator[str]:
        async for name in self.stream():
            yield name
        await asyncio.Event().wait()

    async def answer(self, name: str) -> str:
        self.answered[name] = asyncio.get_running_loop().create_future()
        try:
            return await self.answered[name]
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise

    async def finish(self, *names: str) -> None:
        for name in names:
            await until(lambda: name in self.answered)  # noqa: B023  awaited here
            self.answered[name].set_result(name.upper())


@pytest.mark.parametrize(("in_order", "expected"), [(False, ["C", "A", "B"]), (True, [*"ABC"])])
async def test_the_order_of_the_results(in_order: bool, expected: list[str]) -> None:
    items = Items("abc")
    results = answers(items.rpc, items.stream(), items.answer, 3, in_order=in_order)
    async with asyncio.timeout(BOUND_S):
        collected = asyncio.create_task(_all(results))
        for name in "cab":
            await items.finish(name)
            await asyncio.sleep(0)
        assert await collected == expected
    assert (items.call.running_items, items.call.ends_read) == (0, 1)


async def _all(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


@pytest.mark.parametrize("in_order", [False, True])
async def test_an_item_keeps_its_place_until_its_result_is_written(in_order: bool) -> None:
    items = Items("abcd")
    results = answers(items.rpc, items.stream(), items.answer, 2, in_order=in_order)
    async with asyncio.timeout(BOUND_S):
        first = asyncio.create_task(anext(results))
        await items.finish("a", "b")
        assert await first == "A"
        # The results of both wait to be written.
        assert (items.read, items.call.running_items) == (["a", "b"], 2)
        assert await anext(results) == "B"
        await until(lambda: items.read == ["a", "b", "c"])
        await results.aclose()


@pytest.mark.parametrize("in_order", [False, True])
async def test_no_item_is_read_while_the_others_are_too_large(in_order: bool) -> None:
    names = [str(number) for number in range(10)]
    items = Items(names)
    items.call.max_reply_bytes = 1
    results = answers(items.rpc, items.stream(), items.answer, 100, in_order=in_order)
    async with asyncio.timeout(BOUND_S):
        first = asyncio.create_task(anext(results))
        await items.finish(*names[:8])
        assert await first == "0"
        assert items.read == names[:8]
        await anext(results)
        await until(lambda: items.read == names[:9])
        rest = asyncio.create_task(_all(results))
        await items.finish("8", "9")
        assert len(await rest) == 8


@pytest.mark.parametrize("in_order", [False, True])
async def test_what_was_read_is_answered_before_the_error_of_reading(in_order: bool) -> None:
    items = Items("ab", error=ValueError("the third is malformed"))
    results = answers(items.rpc, items.stream(), items.answer, 3, in_order=in_order)
    async with asyncio.timeout(BOUND_S):
        first = asyncio.create_task(anext(results))
        await items.finish("a", "b")
        assert [await first, await anext(results)] == ["A", "B"]
        with pytest.raises(ValueError, match="the third"):
            await anext(results)
    assert items.call.ends_read == 0


@pytest.mark.parametrize("in_order", [False, True])
async def test_the_end_of_the_call_cancels_every_item(in_order: bool) -> None:
    items = Items("ab")
    before = asyncio.all_tasks()
    results = answers(items.rpc, items.endless(), items.answer, 3, in_order=in_order)
    async with asyncio.timeout(BOUND_S):
        call = asyncio.create_task(_all(results))
        await until(lambda: len(items.answered) == 2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert sorted(items.cancelled) == ["a", "b"]
        await until(lambda: asyncio.all_tasks() <= before)


@pytest.mark.parametrize("in_order", [False, True])
async def test_a_bug_in_an_answer_ends_the_call(in_order: bool) -> None:
    items = Items("ab")
    results = answers(items.rpc, items.endless(), items.answer, 3, in_order=in_order)
    async with asyncio.timeout(BOUND_S):
        call = asyncio.create_task(_all(results))
        await until(lambda: len(items.answered) == 2)
        items.answered["a"].set_exception(KeyError("a"))
        with pytest.raises(KeyError):
            await call
    assert items.cancelled == ["b"]


async def test_a_stream_without_items_is_complete() -> None:
    items = Items("")
    assert await _all(answers(items.rpc, items.stream(), items.answer, 3)) == []
    assert items.call.ends_read == 1
