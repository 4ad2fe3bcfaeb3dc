"""How long an exchange may take: its limits, and what is left of each."""

import math
from operator import attrgetter
from time import monotonic
from typing import NamedTuple

from penstock_server.upstream.config import Timeouts

TOTAL = "total_timeout"
FIRST_BYTE = "first_byte_timeout"
IDLE = "idle_timeout"
# How long an upstream that has refused a request may take to say why.
_REASON_S = 5.0
# How long a stream that is complete may take to say so.
_END_S = 1.0


class Limit(NamedTuple):
    """A deadline by the monotonic clock, and how a miss is reported.

    Attributes:
        until: the time.
        length: the limit in seconds.
        option: the option that sets it; empty for none.
        awaited: what did not come.
    """

    until: float
    length: float
    option: str
    awaited: str

    @property
    def missed(self) -> str:
        """The message of a TIMEOUT at this limit."""
        return f"no {self.awaited} from the upstream within {self.length:g} s"


class Limits:
    """The limits of one exchange, which begins now."""

    def __init__(self, timeouts: Timeouts, *, is_upload: bool = False) -> None:
        """Takes the lengths.

        An upload takes as long as its caller does: its answer is waited for once it is sent.
        """
        self._timeouts = timeouts
        self._started = monotonic()
        self._sent = math.inf if is_upload else self._started

    def sent(self) -> None:
        """Takes note that an upload was sent."""
        self._sent = monotonic()

    @property
    def connect_s(self) -> float:
        """How many seconds connecting may take."""
        return self._timeouts.connect

    @property
    def stall_s(self) -> float:
        """How many seconds the upstream may take before it reads on in an upload."""
        return self._timeouts.first_byte

    @property
    def answered_by(self) -> float:
        """Until when the answer may take, by the monotonic clock: see `answer`."""
        timeouts = self._timeouts
        return min(self._sent + timeouts.first_byte, self._started + timeouts.total)

    def answer(self) -> Limit:
        """Returns the limit of the head of an answer, or of all of a unary one."""
        length = self._timeouts.first_byte
        return self._within_total(Limit(self._sent + length, length, FIRST_BYTE, "answer"))

    def reason(self) -> Limit:
        """Returns the limit of the body of an error, from now."""
        reason = Limit(monotonic() + _REASON_S, _REASON_S, "", "reason")
        return min(reason, self.answer(), key=attrgetter("until"))

    def event(self, *, first: bool) -> Limit:
        """Returns the limit of the next event of a stream, from now."""
        if first:
            return self.answer()
        idle = self._timeouts.idle
        return self._within_total(Limit(monotonic() + idle, idle, IDLE, "event"))

    def _within_total(self, limit: Limit) -> Limit:
        length = self._timeouts.total
        until = self._started + length
        if limit.until <= until:
            return limit
        return Limit(until, length, TOTAL, "complete answer")


class ProbeLimits(Limits):
    """The limit of a request that no configured one is for."""

    def __init__(self, seconds: float) -> None:
        """Takes its length."""
        super().__init__(Timeouts(connect=seconds, first_byte=seconds))
        self._seconds = seconds

    def answer(self) -> Limit:
        """Returns the limit of the answer."""
        return Limit(self.answered_by, self._seconds, "", "answer")


def end() -> Limit:
    """Returns until when the end of a stream that is complete may take, from now."""
    return Limit(monotonic() + _END_S, _END_S, "", "end of the stream")
