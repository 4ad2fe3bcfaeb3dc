"""Waiting for request messages: for how long, and how many calls at once."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.calls.context import Rpc


class Arrivals:
    """Waits for request messages, for a limited time and for a limited number of calls at once.

    Beyond that number, the call that has waited longest is refused: the messages of honest callers
    arrive within milliseconds, so only calls that never send one make room for each other. A call
    that has been admitted does not count, and one whose items are being answered may wait for these
    before it sends more.
    """

    def __init__(self, longest_s: float, most: int) -> None:
        """Limits the waits.

        Args:
            longest_s: the longest wait for a message, in seconds; 0 for no limit.
            most: the largest number of calls that wait for their first message at once; 0 for no
                limit.
        """
        self._longest_s = longest_s
        self._most = most
        # The start of each wait, earliest first; whether it is for the call's first message; the
        # call.
        self._waiting: dict[asyncio.Task[Any], tuple[float, bool, Rpc]] = {}
        # Those for a call's first message.
        self._pending: dict[asyncio.Task[Any], None] = {}
        self._refused: dict[asyncio.Task[Any], status.Status] = {}
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    async def arrived(self, rpc: Rpc, message: Awaitable[Any], *, first: bool) -> Any:
        """Returns a message once it has arrived.

        Args:
            rpc: the call.
            message: reads it.
            first: whether it is the call's first message.

        Raises:
            status.Refusal: it took too long, too many calls waited, or the server stops.
        """
        if self._closed and _has_items(rpc):
            raise status.Refusal(status.of_draining())
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task
        self._waiting[task] = loop.time(), first, rpc
        if first:
            self._pending[task] = None
            if self._most and len(self._pending) > self._most:
                self._refuse(next(iter(self._pending)), status.of_pending(self._most))
        if self._timer is None and self._longest_s:
            self._timer = loop.call_later(self._longest_s, self._end_late)
        try:
            return await message
        except asyncio.CancelledError:
            refusal = self._refused.get(task)
            # The caller may also have cancelled the call.
            if refusal is None or task.uncancel():
                raise
            raise status.Refusal(refusal) from None
        finally:
            self._pending.pop(task, None)
            if self._waiting.pop(task, None) is None:
                self._refused.pop(task, None)

    def close(self) -> None:
        """Refuses the calls that have not sent a message, and further items of others."""
        self._closed = True
        for task, (_, first, rpc) in list(self._waiting.items()):
            if first or _has_items(rpc):
                self._refuse(task, status.of_draining())

    def _end_late(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, (since, first, rpc) in list(self._waiting.items()):
            if since > now - self._longest_s:
                break
            if rpc.running_items:
                del self._waiting[task]
                self._waiting[task] = now, first, rpc
            else:
                self._refuse(task, status.of_late_request(self._longest_s))
        for since, _, _ in self._waiting.values():
            self._timer = loop.call_at(since + self._longest_s, self._end_late)
            return

    def _refuse(self, task: asyncio.Task[Any], refusal: status.Status) -> None:
        del self._waiting[task]
        self._pending.pop(task, None)
        self._refused[task] = refusal
        task.cancel()


def _has_items(rpc: Rpc) -> bool:
    """Returns whether a call has sent items, each of which is complete by itself."""
    return bool(rpc.running_items or rpc.items)
