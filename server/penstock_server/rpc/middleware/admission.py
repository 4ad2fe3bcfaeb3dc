"""Middleware that limits concurrent calls, and refuses and ends calls while the server stops."""

import asyncio
import contextlib
from functools import partial
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.calls import Arrivals, CallNext, Middleware, Rpc

# Time without a new call after which none is on its way. If there are calls, it is longer, because
# their callers may make the next one, and may be slow.
_SETTLED_AFTER_S, _SETTLED_WITH_CALLS_AFTER_S = 0.05, 0.5
_CHECKS = 5
# The longest time that continuous calls can delay that.
_LONGEST_WAIT_S = 2.0


class Admission:
    """Admits calls up to a number, and refuses others at once, without a queue.

    A queue would hide the overload from load balancers, which can send the call elsewhere. A call
    counts once its first request message has arrived: one that sends nothing occupies no place.
    Items of calls are admitted while there is room for them, but leave no call without room.

    Attributes:
        most: the largest number of concurrent calls; 0 for no limit.
    """

    def __init__(self, most: int, arrivals: Arrivals) -> None:
        """Limits the calls.

        Args:
            most: the largest number of concurrent calls; 0 for no limit.
            arrivals: waits for the requests of calls that do not count yet.
        """
        self.most = most
        self._arrivals = arrivals
        self._running: set[asyncio.Task[Any]] = set()
        self._counted: set[asyncio.Task[Any]] = set()
        self._items = 0
        self._closed = False
        self._open = asyncio.Event()
        self._open.set()
        self._held = 0

    async def settle(self) -> None:
        """Holds new calls until `close`; returns when no further calls arrive.

        gRPC cancels calls that arrive while it stops. Callers that wait for an answer
        before the next call receive none meanwhile, so no call is on its way when gRPC stops.
        """
        self._open.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_WAIT_S):
                before = -1
                while before != self._held:
                    before = self._held
                    has_calls = self._running or self._held
                    after_s = _SETTLED_WITH_CALLS_AFTER_S if has_calls else _SETTLED_AFTER_S
                    # On a busy event loop, a single timer may fire late, and so may calls.
                    for _ in range(_CHECKS):
                        await asyncio.sleep(after_s / _CHECKS)

    def close(self) -> None:
        """Refuses new calls and calls whose request has not arrived; admits those held."""
        self._closed = True
        self._arrivals.close()
        self._open.set()

    def end_all(self) -> None:
        """Ends all calls that still run."""
        running, self._running = self._running, set()
        for task in running:
            task.cancel()

    async def admit(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Admits a call.

        Raises:
            status.Refusal: DRAINING, OVERLOADED, or the server's shutdown ended the call.
        """
        if self._closed:
            raise status.Refusal(status.of_draining())
        if not self._open.is_set():
            self._held += 1
            await self._open.wait()
        # Checked before the request is read, too: reading it would be wasted.
        self._require_room()
        task = asyncio.current_task()
        assert task
        self._running.add(task)
        rpc.on_arrival = partial(self._count, task)
        rpc.around_item = partial(self._admit_item, rpc.around_item)
        try:
            return await call_next(rpc)
        except asyncio.CancelledError:
            # Ended by `end_all`, unless the caller also cancelled the call.
            if task in self._running or task.uncancel():
                raise
            raise status.Refusal(status.of_shutdown(rpc.messages_sent)) from None
        finally:
            self._running.discard(task)
            self._counted.discard(task)

    async def _admit_item(self, around_item: Middleware, call_next: CallNext, item: Rpc) -> Any:
        """Admits an item of a call, which may use the place of its call."""
        if item.shares_place:
            return await around_item(call_next, item)
        if self.most and len(self._counted) + self._items > self.most:
            raise status.Refusal(status.of_overload(self.most))
        self._items += 1
        try:
            return await around_item(call_next, item)
        finally:
            self._items -= 1

    def _count(self, task: asyncio.Task[Any]) -> None:
        if task not in self._counted:
            self._require_room()
            self._counted.add(task)

    def _require_room(self) -> None:
        if self.most and len(self._counted) >= self.most:
            raise status.Refusal(status.of_overload(self.most))
