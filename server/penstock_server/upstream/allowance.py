"""How long an exchange may still take: its limits, and what is left of each."""

import asyncio
import math
from time import monotonic
from types import TracebackType
from typing import NamedTuple

from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.failure import Kind, UpstreamFailure, reached

TOTAL = "total_timeout"


class Bound(NamedTuple):
    """Until when something may take, by the monotonic clock, and how its end is told of.

    The earlier of two is the smaller.

    Attributes:
        until: the time.
        length: the limit in seconds.
        option: the option that sets it.
        awaited: what did not come.
    """

    until: float
    length: float
    option: str
    awaited: str

    def tell(self, failure: UpstreamFailure) -> None:
        """Writes into a TIMEOUT that it is of this limit."""
        failure.limit = self.option
        failure.message = f"no {self.awaited} from the upstream within {self.length:g} s"


class Within:
    """Bounds what runs inside it; an asynchronous context manager.

    Raises:
        UpstreamFailure: TIMEOUT, when the time is over.
    """

    def __init__(self, bound: Bound) -> None:
        """Takes the bound."""
        self._bound = bound
        left = bound.until - monotonic()
        self._timer = asyncio.timeout(None if math.isinf(left) else max(0.0, left))

    async def __aenter__(self) -> None:
        await self._timer.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timer.__aexit__(kind, error, trace)
        except TimeoutError:
            failure = UpstreamFailure(Kind.TIMEOUT, "", reached.get())
            self._bound.tell(failure)
            raise failure from None


def within(seconds: float) -> Within:
    """Bounds what is of no configured limit.

    Raises:
        UpstreamFailure: TIMEOUT, when the time is over.
    """
    return Within(Bound(monotonic() + seconds, seconds, "", "answer"))


class Allowance:
    """The time of one exchange, which begins now."""

    def __init__(self, timeouts: Timeouts, *, is_upload: bool = False) -> None:
        """Takes the limits.

        An upload takes as long as its caller does; the wait for its first byte is bounded for
        each read and write by itself.
        """
        self._timeouts = timeouts
        self._is_upload = is_upload
        self._started = now = monotonic()
        self._total = Bound(now + timeouts.total, timeouts.total, TOTAL, "complete answer")

    def answer(self) -> Within:
        """Bounds the wait for the head of an answer, or for all of a unary one.

        Raises:
            UpstreamFailure: TIMEOUT, when the time is over.
        """
        return Within(self._total if self._is_upload else min(self._first_byte(), self._total))

    def event(self, *, first: bool) -> Bound:
        """Returns until when the next event of a stream may take, from now."""
        if first:
            return min(self._first_byte(), self._total)
        idle = self._timeouts.idle
        return min(Bound(monotonic() + idle, idle, "idle_timeout", "event"), self._total)

    def _first_byte(self) -> Bound:
        length = self._timeouts.first_byte
        since = monotonic() if self._is_upload else self._started
        return Bound(since + length, length, "first_byte_timeout", "answer")
