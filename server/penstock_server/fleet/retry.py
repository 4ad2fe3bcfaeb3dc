"""Retries: when they are safe, how soon they are made, and how many there may be."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from penstock_server.upstream import Kind, Stage, UpstreamFailure

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0
_LONGEST_RETRY_AFTER_S = 2.0
_FREE_PER_SECOND = 10.0
_FREE_AT_ONCE = 10.0
_LEAST_SAVED = 100.0

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]
Resendable = Callable[[UpstreamFailure, bool], bool]


class RetryBudget:
    """The budget of all calls for retries.

    Each call earns a share of a request. Unused shares are saved, up to one request for each call
    under way, as all of these may fail at once. A few requests each second are free.

    Attributes:
        under_way: the number of calls under way.
    """

    def __init__(self, share: float, clock: Clock = monotonic) -> None:
        """Creates a budget.

        Args:
            share: what each call earns; with 0, only the free requests remain.
            clock: returns the time in seconds.
        """
        self.under_way = 0
        self._share = share
        self._clock = clock
        self._saved = 0.0
        self._free = _FREE_AT_ONCE
        self._refilled = clock()

    def begin(self) -> None:
        """Records that a call begins."""
        self.under_way += 1
        self._saved = min(self._saved + self._share, max(_LEAST_SAVED, self.under_way))

    def end(self) -> None:
        """Records that a call has ended."""
        self.under_way -= 1

    def spend(self) -> bool:
        """Spends one request of the budget; returns whether there was one."""
        now = self._clock()
        refill = (now - self._refilled) * _FREE_PER_SECOND
        self._free, self._refilled = min(self._free + refill, _FREE_AT_ONCE), now
        if self._free >= 1:
            self._free -= 1
        elif self._saved >= 1:
            self._saved -= 1
        else:
            return False
        return True


@dataclass(frozen=True, slots=True)
class RetryRules:
    """The rules for all calls.

    Attributes:
        max_attempts: maximum number of requests for one call, unless an upstream has its own limit.
        resendable: whether a request with such a failure can safely be retried, given whether
            that would be to another replica.
        budget: the budget that all calls share.
        clock: returns the time that deadlines are given in.
        sleep: waits for a number of seconds.
        chance: the source of jitter.
        hedge_after_s: seconds until another replica is asked, too; 0 for never.
    """

    max_attempts: int
    resendable: Resendable
    budget: RetryBudget
    clock: Clock
    sleep: Sleep
    chance: Random
    hedge_after_s: float = 0.0


@dataclass(slots=True)
class Retries:
    """The requests of one call.

    Attributes:
        rules: the rules for all calls.
        deadline: the deadline of the call.
        repeatable: whether a request may be retried although a replica may have processed it.
        sent: the number of requests that were sent.
        most: the maximum number of requests; None for that of the rules.
    """

    rules: RetryRules
    deadline: float = math.inf
    repeatable: bool = True
    sent: int = 0
    most: int | None = None
    _harmed: bool = field(default=False, repr=False)

    def possible(self, failure: UpstreamFailure) -> bool:
        """Returns whether the request might be retried, if there is another replica."""
        return failure.kind is Kind.CLOSED or self.rules.resendable(failure, True)

    async def wait(self, failure: UpstreamFailure, *, elsewhere: bool) -> None:
        """Waits until the time for a retry.

        Args:
            failure: how the last request ended.
            elsewhere: whether another replica can be asked, which needs no delay.

        Raises:
            UpstreamFailure: the failure, if no other request is to be sent.
        """
        rules = self.rules
        most = rules.max_attempts if self.most is None else self.most
        possible = self.sent < most and self.possible(failure)
        if not possible or not self._safe(failure, elsewhere):
            raise failure
        retry_after = 0.0 if elsewhere else failure.retry_after_s or 0.0
        delay = 0.0 if elsewhere else max(retry_after, self._backoff())
        in_time = rules.clock() + delay < self.deadline
        if retry_after > _LONGEST_RETRY_AFTER_S or not in_time:
            raise failure
        # An upstream without the stored response has done no work and is not asked a second time.
        if not failure.response_missing and not rules.budget.spend():
            raise failure
        if delay:
            await rules.sleep(delay)

    def _safe(self, failure: UpstreamFailure, elsewhere: bool) -> bool:
        may_be_kept = failure.stage is Stage.STREAM or failure.kind is Kind.ABORTED
        if may_be_kept and not self.repeatable:
            return False
        closed = failure.kind is Kind.CLOSED and failure.stage in (Stage.HEADERS, Stage.STREAM)
        died = failure.engine_dead and not failure.draining
        if closed or died:
            # The request itself may break connections or kill engines, so it is retried once only.
            if self._harmed:
                return False
            self._harmed = True
        if closed:
            return self.repeatable
        return self.rules.resendable(failure, elsewhere)

    def _backoff(self) -> float:
        longest = min(_FIRST_WAIT_S * 2.0 ** (self.sent - 1), _LONGEST_WAIT_S)
        return self.rules.chance.uniform(longest / 2, longest)
