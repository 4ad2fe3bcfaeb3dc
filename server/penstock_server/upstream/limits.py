"""The time limits of an exchange."""

import math
from operator import attrgetter
from time import monotonic
from typing import NamedTuple

from penstock_server.upstream.config import Timeouts

TOTAL = "total_timeout"
FIRST_BYTE = "first_byte_timeout"
IDLE = "idle_timeout"
# The limit of the body of a refusal.
_REASON_S = 5.0
# The limit of the end of a stream that is complete.
_END_S = 1.0


class Limit(NamedTuple):
    """A deadline by the monotonic clock, and how a miss is reported.

    Attributes:
        until: the deadline.
        length: the limit in seconds.
        option: the option that sets it; empty for none.
        awaited: name of the awaited event, for the message.
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
        """Starts the limits.

        Args:
            timeouts: the lengths.
            is_upload: whether the request is an upload; the limit of its answer starts when it has
                been sent, as sending takes as long as the caller does.
        """
        self._timeouts = timeouts
        self._started = monotonic()
        self._sent = math.inf if is_upload else self._started
        self._until = self._started + timeouts.total

    def sent(self) -> None:
        """Records that an upload was sent."""
        self._sent = monotonic()

    @property
    def timeouts(self) -> dict[str, float]:
        """The limits that httpx defines, in seconds."""
        connect, first_byte = self._timeouts.connect, self._timeouts.first_byte
        return {"connect": connect, "pool": connect, "write": first_byte, "read": first_byte}

    def answered_by(self) -> float:
        """Returns the deadline of `answer`, by the monotonic clock."""
        return min(self._sent + self._timeouts.first_byte, self._until)

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
        until = monotonic() + idle
        if until <= self._until:
            return Limit(until, idle, IDLE, "event")
        return self.total()

    def _within_total(self, limit: Limit) -> Limit:
        return limit if limit.until <= self._until else self.total()

    def total(self) -> Limit:
        """Returns the limit of the whole exchange."""
        return Limit(self._until, self._timeouts.total, TOTAL, "complete answer")


class ProbeLimits(Limits):
    """The limit of a request of a probe."""

    def __init__(self, seconds: float) -> None:
        """Starts the limit.

        Args:
            seconds: its length.
        """
        super().__init__(Timeouts(connect=seconds, first_byte=seconds))
        self._seconds = seconds

    def answer(self) -> Limit:
        """Returns the limit of the answer."""
        return Limit(self.answered_by(), self._seconds, "", "answer")


def end() -> Limit:
    """Returns the limit of the end of a stream that is complete, from now."""
    return Limit(monotonic() + _END_S, _END_S, "", "end of the stream")
