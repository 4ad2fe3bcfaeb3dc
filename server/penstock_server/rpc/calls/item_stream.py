"""The items of one call: several are answered at once, and the failure of one is its result.

The servicer of a stream of items returns the generator of `answers`. To answer an item as a call of
its own, it creates the item's context with `Rpc.item`, runs it with `run_item`, which applies the
permissions and limits of the caller, and records its end with `record_item`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from google.rpc import status_pb2

from penstock.v1.item_pb2 import ItemError
from penstock_server.rpc.calls.context import CallNext, Rpc
from penstock_server.rpc.calls.endings import Ending, ReplyTooLarge
from penstock_server.rpc.calls.interceptor import require_end
from penstock_server.rpc.calls.reports import reader
from penstock_server.rpc.status import DETAILS_KEY

_LARGEST_MESSAGES = 8
"""The number of largest messages that are as large as the items of one call may be together."""

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def answers(
    rpc: Rpc,
    items: AsyncIterator[ItemT],
    answer: Callable[[ItemT], Coroutine[Any, Any, ResultT]],
    most: int,
    *,
    in_order: bool = False,
) -> AsyncGenerator[ResultT, None]:
    """Returns a generator of the results of a call's items.

    An item occupies a place from when it is read until its result has been written. While no place
    is free, or while the items that occupy one are too large together, nothing is read, so a caller
    that does not read results cannot send more items. If reading fails, the items that were read
    are answered before the error is raised. If the generator is closed or cancelled, all running
    items are cancelled, and have ended when it ends.

    Args:
        rpc: the call.
        items: reads the items.
        answer: returns the result of an item, including one that fails; an exception ends the call.
        most: the largest number of items that occupy a place.
        in_order: whether the results have the order of the items; otherwise, each is yielded as
            soon as it is ready.
    """
    return _ItemStream(rpc, answer, most, in_order=in_order).answers(items)


class _ItemStream(Generic[ItemT, ResultT]):
    """The tasks of one call: one reads the items, and each of the others answers an item."""

    def __init__(
        self,
        rpc: Rpc,
        answer: Callable[[ItemT], Coroutine[Any, Any, ResultT]],
        most: int,
        *,
        in_order: bool,
    ) -> None:
        self._rpc = rpc
        self._answer = answer
        self._in_order = in_order
        self._places = asyncio.Semaphore(most)
        self._sizes = _Sizes(_LARGEST_MESSAGES * rpc.max_reply_bytes)
        self._running: set[asyncio.Task[Any]] = set()
        # The items whose results are next, each once; None after the last one.
        self._next: asyncio.Queue[asyncio.Task[ResultT] | None] = asyncio.Queue()

    async def answers(self, items: AsyncIterator[ItemT]) -> AsyncGenerator[ResultT, None]:
        """Yields the results."""
        reading = self._start(self._read(items))
        try:
            while (task := await self._next.get()) is not None:
                yield await task
                self._rpc.running_items -= 1
                self._places.release()
                self._sizes.remove(task)
            await reading
        finally:
            await self._cancel(reading)

    async def _read(self, items: AsyncIterator[ItemT]) -> None:
        await self._places.acquire()
        received = 0
        async for item in items:
            self._rpc.running_items += 1
            task = self._start(self._answer(item), is_item=True)
            before, received = received, self._rpc.bytes_received
            self._sizes.add(task, received - before)
            if self._in_order:
                self._next.put_nowait(task)
            await self._places.acquire()
            await self._sizes.fit.wait()
        await require_end(self._rpc)

    def _start(self, work: Coroutine[Any, Any, Any], *, is_item: bool = False) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._running.add(task)
        if is_item and not self._in_order:
            task.add_done_callback(self._next.put_nowait)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not self._running:
            self._next.put_nowait(None)

    async def _cancel(self, reading: asyncio.Task[None]) -> None:
        running = tuple(self._running)
        for task in running:
            task.cancel()
        # Also retrieves their exceptions, which asyncio would log otherwise.
        await asyncio.gather(reading, *running, return_exceptions=True)


class _Sizes:
    """The sizes of the items that occupy a place.

    Attributes:
        fit: set while they are not too large together.
    """

    def __init__(self, most: int) -> None:
        """Begins without items.

        Args:
            most: the size from which they are too large, in bytes; 0 for no limit.
        """
        self.fit = asyncio.Event()
        self.fit.set()
        self._most = most
        self._sizes: dict[asyncio.Task[Any], int] = {}
        self._sum = 0

    def add(self, task: asyncio.Task[Any], size: int) -> None:
        """Adds the item that a task answers."""
        self._sizes[task] = size
        self._sum += size
        if self._most and self._sum >= self._most:
            self.fit.clear()

    def remove(self, task: asyncio.Task[Any]) -> None:
        """Removes the item of a task."""
        self._sum -= self._sizes.pop(task)
        if self._sum < self._most:
            self.fit.set()


async def run_item(rpc: Rpc, item: Rpc, answer: CallNext) -> Any:
    """Returns the answer to an item, within the permissions and limits of the caller.

    Args:
        rpc: the call.
        item: the context of the item.
        answer: answers the item.

    Raises:
        Exception: any of those for which `ending` returns the status.
    """
    report = reader(item.method)

    async def reported(item: Rpc) -> Any:
        message = await answer(item)
        report(item, message)
        return message

    return await rpc.around_item(reported, item)


def record_item(rpc: Rpc, item: Rpc, ended: Ending | None = None) -> None:
    """Counts an item that has ended.

    Args:
        rpc: the call.
        item: the context of the item.
        ended: how it failed; None if it succeeded.
    """
    rpc.items += 1
    if ended:
        item.end_with(ended.status)
        rpc.failed_items += 1
    rpc.record_item(rpc, item)


def require_fits(rpc: Rpc, size: int) -> None:
    """Checks the size of the result of an item in bytes.

    Raises:
        ReplyTooLarge: it exceeds the limit of a message.
    """
    if size > rpc.max_reply_bytes:
        raise ReplyTooLarge(size, rpc.max_reply_bytes)


def item_error(ended: Ending) -> ItemError:
    """Returns the message for an item that failed."""
    rich = status_pb2.Status.FromString(_details(ended))
    return ItemError(
        code=rich.code,
        message=rich.message,
        reason=ended.status.row.reason,
        details=rich.details,
    )


def _details(ended: Ending) -> bytes:
    [details] = (value for key, value in ended.metadata if key == DETAILS_KEY)
    assert isinstance(details, bytes)
    return details
