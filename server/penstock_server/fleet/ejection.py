"""Passive health: a replica whose calls keep failing is left alone for a while.

Its calls are the evidence, whatever its own health route says. After its time, and once a probe
has found it well, one call is sent as a trial; if that fails too, the replica stays out twice as
long.

A failure that the request may be to blame for, such as an HTTP 500, counts only where others fare
better: else one caller's bad requests would take out everybody. A replica whose every call fails
so is not left alone, but it is not well either.

A replica that once let the time for the first byte pass is suspected: it gets one call at a time,
as a trial, until one of its calls is answered.
"""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

from penstock_server.upstream.failure import Kind, UpstreamFailure

_LONGEST = 16
"""The longest ejection, in terms of the first."""

_PATIENCE = 2
"""In terms of the failures in a row that are too many: as many, if they are doubtful."""

_LATEST_SHARE = 0.1
"""What the latest call counts in the moving average."""

_MUCH_LESS = 0.25

_UNAVAILABLE = frozenset((502, 503, 529))
_KEY_REFUSED = frozenset((401, 403))
_NOT_SERVED = 501


class Evidence(enum.Enum):
    """What the end of a call says about its replica."""

    WELL = enum.auto()
    NONE = enum.auto()
    DOUBTFUL = enum.auto()
    """It is ill, or its requests are bad."""
    LATE = enum.auto()
    """It is ill, or its caller allowed too little time."""
    SILENT = enum.auto()
    """It is ill: nothing came of it in time."""
    ILL = enum.auto()
    LEAVING = enum.auto()
    """It is shutting down and takes no more work."""


def evidence(failure: UpstreamFailure) -> Evidence:
    """Returns what a failure says about the replica: an error of the caller's shows it alive."""
    if failure.draining:
        return Evidence.LEAVING
    if failure.kind in (Kind.CONNECT, Kind.CLOSED, Kind.INTERRUPTED) or failure.engine_dead:
        return Evidence.ILL
    if failure.kind is Kind.TIMEOUT:
        return Evidence.SILENT if failure.limit == "first_byte_timeout" else Evidence.NONE
    if failure.kind in (Kind.MALFORMED, Kind.ABORTED):
        return Evidence.DOUBTFUL
    if failure.kind is not Kind.HTTP_ERROR or failure.status is None:
        return Evidence.NONE
    if failure.model_listed:
        return Evidence.NONE
    if failure.status in _UNAVAILABLE or failure.unreached:
        return Evidence.ILL
    if failure.bad_media:
        return Evidence.WELL
    if failure.status in _KEY_REFUSED and not failure.callers_credentials:
        return Evidence.DOUBTFUL
    callers = 400 <= failure.status < 500 or failure.status == _NOT_SERVED
    return Evidence.WELL if callers else Evidence.DOUBTFUL


_DOUBTS = frozenset((Evidence.DOUBTFUL, Evidence.LATE))


@dataclass(slots=True)
class Visit:
    """A call to the replica, under way.

    Attributes:
        period: how often the replica had been ejected when it began.
        is_trial: whether it decides on the replica's return.
    """

    period: int
    is_trial: bool


class Ejection:
    """Whether one replica may be asked. Times are by any steady clock, in seconds.

    Attributes:
        failures: how many calls in a row failed.
        doubt: the share of calls that failed in a way that is doubtful, recent ones counting most.
        until: when it may be tried again, if a probe finds it well; None while it is not ejected.
        leaving: whether it was ejected because it is shutting down.
        suspect: whether it let the time for a first byte pass and has answered nothing since.
    """

    def __init__(
        self,
        most_failures: int,
        first_s: float,
        outdone: Callable[[], bool],
        spared: Callable[[], bool],
    ) -> None:
        """Takes the rules.

        Args:
            most_failures: how many failures in a row are too many.
            first_s: how long the first ejection is.
            outdone: tells whether others can do all that the replica does, and do much better.
            spared: tells whether others can do all that the replica does.
        """
        self.failures = 0
        self.doubt = 0.0
        self.until: float | None = None
        self.leaving = False
        self._most_failures = most_failures
        self._first_s = first_s
        self._outdone = outdone
        self._spared = spared
        self.suspect = False
        self._faults = 0
        self._faulted = -math.inf
        self._ill = 0
        self._length_s = 0.0
        self._returned: float | None = None
        self._period = 0
        self._for_trial = False
        self._on_trial = False

    @property
    def over(self) -> bool:
        """Whether it is not ejected, or not any longer but for the trial."""
        return self.until is None or self._for_trial

    @property
    def admits(self) -> bool:
        """Whether a call may be sent: while a trial is made, no other."""
        if self.until is None and not self.suspect:
            return True
        return (self.suspect or self._for_trial) and not self._on_trial

    @property
    def trying(self) -> bool:
        """Whether the next call decides on its return."""
        return self.suspect or self.until is not None

    @property
    def faulty(self) -> bool:
        """Whether its latest calls all failed, more of them than may be chance."""
        return self._faults >= _PATIENCE * self._most_failures

    def failing(self, now: float) -> bool:
        """Whether its calls all fail, as far as there were any of late."""
        return self.faulty and now < self._faulted + self._first_s

    def probed(self, now: float) -> None:
        """Takes note that a probe found it well."""
        if self.until is not None and now >= self.until:
            self._for_trial = True

    def begin(self) -> Visit:
        """Takes note of a call that is sent."""
        is_trial = self.trying and self.admits
        self._on_trial = self._on_trial or is_trial
        return Visit(self._period, is_trial)

    def answered(self, visit: Visit, now: float) -> bool:
        """Takes note that a call is being answered; returns whether that ended an ejection.

        Calls that began before the ejection do not end it.
        """
        if not self.trying or visit.period != self._period:
            return False
        return self.readmit(now)

    def succeeded(self, visit: Visit, now: float) -> bool:
        """Takes note of a call that ended well; returns whether that ended an ejection."""
        if visit.period == self._period:
            self.failures = self._ill = self._faults = 0
            self.doubt -= _LATEST_SHARE * self.doubt
        return self.answered(visit, now)

    def failed(self, visit: Visit, now: float, found: Evidence = Evidence.ILL) -> bool:
        """Takes note of a call that failed; returns whether it ejected the replica."""
        if visit.period != self._period:
            return False
        self.failures += 1
        if found is not Evidence.LATE:
            self._faults, self._faulted = self._faults + 1, now
        if found in _DOUBTS:
            self.doubt += _LATEST_SHARE * (1 - self.doubt)
        else:
            self._ill += 1
        due = self._due(visit, found)
        if due:
            self._eject(now, found is Evidence.LEAVING)
        elif self.until is None and found is not Evidence.LATE:
            # Whatever else it answers, it is not silent.
            self.suspect = found is Evidence.SILENT
        return due

    def fares_worse_than(self, other: "Ejection") -> bool:
        """Whether its calls fail much more often than those of another."""
        return other.doubt <= _MUCH_LESS * self.doubt

    def ended(self, visit: Visit, now: float) -> None:
        """Takes note that a call is over. A trial of which nothing came is made again later."""
        if not visit.is_trial or visit.period != self._period:
            return
        self._on_trial = False
        if self.until is not None:
            self._wait(now)

    def readmit(self, now: float) -> bool:
        """Ends the ejection, and a suspicion; returns whether there was an ejection."""
        if self.until is None:
            self.suspect = self._on_trial = False
            return False
        self.until, self._returned = None, now
        self.leaving = self._for_trial = self._on_trial = False
        self.failures = self._ill = self._faults = 0
        self.doubt = 0.0
        self._period += 1
        return True

    def _due(self, visit: Visit, found: Evidence) -> bool:
        if self.until is not None:
            return visit.is_trial
        if visit.is_trial and found is Evidence.SILENT and self._spared():
            return True
        if found in _DOUBTS:
            return self.failures >= _PATIENCE * self._most_failures and self._outdone()
        return found is Evidence.LEAVING or self._ill >= self._most_failures

    def _eject(self, now: float, leaving: bool) -> None:
        well = self.until is None and now - (self._returned or 0.0) > self._length_s
        doubled = min(2 * self._length_s, _LONGEST * self._first_s)
        self._length_s = self._first_s if well or not self._length_s else doubled
        self.leaving, self.suspect = leaving, False
        self._period += 1
        self._wait(now)

    def _wait(self, now: float) -> None:
        self.until = now + self._length_s
        self._for_trial = self._on_trial = False
