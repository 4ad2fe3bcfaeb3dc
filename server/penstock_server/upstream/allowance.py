"""How long an exchange may still take: its limits, and what is left of each."""

import contextlib
from collections.abc import AsyncIterator
from time import monotonic
from typing import NamedTuple

from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.transport import limit

TOTAL = "total_timeout"


class _Bound(NamedTuple):
    """The seconds left of a limit, and how it is told of: its length, its option, what it is for.

    Ordered by what is left.
    """

    left: float
    length: float
    option: str
    awaited: str


class Allowance:
    """The time of one exchange, which begins now."""

    def __init__(self, timeouts: Timeouts, *, is_upload: bool = False) -> None:
        """Takes the limits.

        An upload takes as long as its caller does; the wait for its first byte is bounded for
        each read and write by itself.
        """
        self._timeouts = timeouts
        self._is_upload = is_upload
        self._started = monotonic()

    def answer(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Bounds the wait for the head of an answer, or for all of a unary one.

        Raises:
            UpstreamFailure: TIMEOUT, when the time is over.
        """
        return _within(self._total() if self._is_upload else min(self._first_byte(), self._total()))

    def event(self, *, first: bool) -> contextlib.AbstractAsyncContextManager[None]:
        """Bounds the wait for an event of a stream.

        Raises:
            UpstreamFailure: TIMEOUT, when the time is over.
        """
        idle = self._timeouts.idle
        own = self._first_byte() if first else _Bound(idle, idle, "idle_timeout", "event")
        return _within(min(own, self._total()))

    def _first_byte(self) -> _Bound:
        length = self._timeouts.first_byte
        spent = 0.0 if self._is_upload else self._spent()
        return _Bound(length - spent, length, "first_byte_timeout", "answer")

    def _total(self) -> _Bound:
        length = self._timeouts.total
        return _Bound(length - self._spent(), length, TOTAL, "complete answer")

    def _spent(self) -> float:
        return monotonic() - self._started


@contextlib.asynccontextmanager
async def _within(bound: _Bound) -> AsyncIterator[None]:
    try:
        async with limit(max(0.0, bound.left)):
            yield
    except UpstreamFailure as failure:
        if failure.kind is Kind.TIMEOUT and not failure.limit:
            failure.limit = bound.option
            failure.message = f"no {bound.awaited} from the upstream within {bound.length:g} s"
        raise
