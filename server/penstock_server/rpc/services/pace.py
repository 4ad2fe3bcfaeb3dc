"""The number of items that a batch sends upstream at once, which adapts to refusals."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from time import monotonic

from penstock_server.rpc.status import CAPACITY_REASONS, Resend, Status

FIRST_PLACES = 16
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0
# An item may itself be the cause of other failures that allow a retry, such as a dead engine.
_MOST_TRIES = 3


class Pace:
    """The places of items that are sent upstream, and the delays of those that were refused.

    There is one place more for each answer, until an upstream refuses an item for lack of capacity.
    A refusal halves the places; then there is one more for as many answers as there are places.
    Refusals of items that were sent before the last halving count as the same one.
    """

    def __init__(
        self,
        most: int,
        patience_s: float,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Random | None = None,
    ) -> None:
        """Begins with a few places.

        Args:
            most: the largest number of places.
            patience_s: the time without an answer after which refused items fail, in seconds.
            clock: returns the time in seconds.
            sleep: waits for a number of seconds.
            chance: the source of jitter.
        """
        self._most = most
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._chance = chance or Random()
        self._places = float(min(FIRST_PLACES, most))
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._halved = clock()
        self._refused = False
        # The time of the first refusal since the last answer; None without one.
        self._refused_since: float | None = None

    @property
    def places(self) -> int:
        """The number of places."""
        return int(self._places)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[float]:
        """Waits for a place, and occupies it; yields the time when the item is sent."""
        if self._waiting or self._taken >= self.places:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._taken += 1
        try:
            yield self._clock()
        finally:
            self._taken -= 1
            self._call_next()

    def answered(self) -> None:
        """Records that an item has its result."""
        self._refused_since = None
        more = 1 / self._places if self._refused else 1.0
        self._places = min(self._places + more, float(self._most))
        self._call_next()

    async def tries_again(self, failure: Status, sent: float, tries: int) -> bool:
        """Returns whether an item that failed is to be sent again, once it is time.

        Args:
            failure: the status of the failure.
            sent: the time when the item was sent.
            tries: how often it has been sent.
        """
        is_refusal = failure.row.reason in CAPACITY_REASONS
        if not is_refusal and (failure.row.resend is not Resend.YES or tries >= _MOST_TRIES):
            self.answered()
            return False
        now, self._refused = self._clock(), True
        if self._refused_since is None:
            self._refused_since = now
        if sent >= self._halved:
            self._places, self._halved = max(self._places / 2, 1.0), now
        delay = max(failure.retry_after_s or 0.0, self._backoff(tries))
        if now + delay > self._refused_since + self._patience_s:
            return False
        await self._sleep(delay)
        return True

    def _backoff(self, tries: int) -> float:
        longest = min(_FIRST_WAIT_S * 2.0 ** (tries - 1), _LONGEST_WAIT_S)
        return self._chance.uniform(longest / 2, longest)

    def _call_next(self) -> None:
        """Gives free places to those that have waited longest."""
        while self._waiting and self._taken < self.places:
            turn = self._waiting.popleft()
            if not turn.done():  # the call may have ended
                turn.set_result(None)
                self._taken += 1
