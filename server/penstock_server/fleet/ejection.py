"""Passive health: a replica whose requests keep failing gets none for a while.

Its requests are the evidence, whatever its health route says. After the ejection, and once a probe
has succeeded, one request is sent as a trial; if that fails too, the replica stays out twice as
long.

A failure that the request may have caused, such as an HTTP 500, counts only if other replicas
fare better: otherwise one caller's bad requests would eject all of them. A replica
that fails every request in this way is not ejected, but it is not healthy either.

A replica that once exceeded the time for the first byte is suspect: it gets one request at a time,
as a trial, until it answers one.
"""

import enum
import math
from dataclasses import dataclass

from penstock_server.fleet.evidence import Evidence

_LONGEST = 16
"""The longest ejection, as a multiple of the first."""

_PATIENCE = 2
"""Factor by which the limit of consecutive failures is larger for doubtful ones."""

_LATEST_SHARE = 0.1
"""The weight of the latest request in the moving average."""

_MUCH_LESS = 0.25


class Verdict(enum.Enum):
    """Whether a failure ejects the replica."""

    KEEP = enum.auto()
    EJECT = enum.auto()
    EJECT_IF_REPLACEABLE = enum.auto()
    """If other replicas can serve all of its models."""
    EJECT_IF_OUTPERFORMED = enum.auto()
    """If other replicas can serve all of its models, and fail much less often."""


@dataclass(slots=True)
class Visit:
    """A request to the replica, under way.

    Attributes:
        period: how often the replica had been ejected when the request began.
        is_trial: whether the request decides on the replica's return.
    """

    period: int
    is_trial: bool


class Ejection:
    """The passive health of one replica: whether it may be sent requests.

    Times are in seconds, by any steady clock.

    Attributes:
        failures: the number of requests in a row that failed.
        doubt: the share of doubtful failures among the requests, as a moving average.
        until: the time of the next trial, if a probe succeeds; None while not ejected.
        leaving: whether the replica was ejected because it is shutting down.
        suspect: whether it exceeded the time for a first byte and has answered nothing since.
        ejections: the number of ejections so far.
    """

    def __init__(self, most_failures: int, first_s: float) -> None:
        """Creates the state of a replica that is not ejected.

        Args:
            most_failures: the number of failures in a row that ejects.
            first_s: the length of the first ejection.
        """
        self.failures = 0
        self.doubt = 0.0
        self.until: float | None = None
        self.leaving = False
        self.suspect = False
        self.ejections = 0
        self._most_failures = most_failures
        self._first_s = first_s
        self._faults = 0  # failures in a row, without late answers
        self._faulted = -math.inf  # the time of the latest of these
        self._certain = 0  # failures in a row that are not doubtful
        self._length_s = 0.0
        self._returned: float | None = None
        self._period = 0
        self._for_trial = False
        self._on_trial = False

    @property
    def over(self) -> bool:
        """Whether the replica is not ejected, or only waits for its trial."""
        return self.until is None or self._for_trial

    @property
    def admits(self) -> bool:
        """Whether a request may be sent; during a trial, no other may."""
        if self.until is None and not self.suspect:
            return True
        return (self.suspect or self._for_trial) and not self._on_trial

    @property
    def trying(self) -> bool:
        """Whether the next request decides on the replica's return."""
        return self.suspect or self.until is not None

    @property
    def faulty(self) -> bool:
        """Whether the latest requests all failed, and too many for chance."""
        return self._faults >= _PATIENCE * self._most_failures

    def failing(self, now: float) -> bool:
        """Returns whether all requests fail; False if there were none recently."""
        return self.faulty and now < self._faulted + self._first_s

    def outperforms(self, other: "Ejection") -> bool:
        """Returns whether the replica fails much less often than another one."""
        return self.doubt <= _MUCH_LESS * other.doubt

    def record_probe(self, now: float) -> None:
        """Records that a probe succeeded."""
        if self.until is not None and now >= self.until:
            self._for_trial = True

    def begin(self) -> Visit:
        """Records that a request is sent."""
        if self.until is None and not self.suspect:
            return Visit(self._period, False)
        is_trial = self.admits
        self._on_trial = self._on_trial or is_trial
        return Visit(self._period, is_trial)

    def record_answer(self, visit: Visit, now: float) -> bool:
        """Records that an answer has begun; returns whether that ended an ejection.

        Requests that began before the ejection do not end it.
        """
        if visit.period != self._period or not self.trying:
            return False
        return self.readmit(now)

    def record_success(self, visit: Visit, now: float) -> bool:
        """Records that a request succeeded; returns whether that ended an ejection."""
        if visit.period != self._period:
            return False
        self.failures = self._certain = self._faults = 0
        self.doubt -= _LATEST_SHARE * self.doubt
        return (self.suspect or self.until is not None) and self.readmit(now)

    def record_failure(self, visit: Visit, now: float, found: Evidence) -> Verdict:
        """Records that a request failed; returns whether to `eject` the replica."""
        if visit.period != self._period:
            return Verdict.KEEP
        self.failures += 1
        if found is not Evidence.LATE:
            self._faults, self._faulted = self._faults + 1, now
        if found.doubtful:
            self.doubt += _LATEST_SHARE * (1 - self.doubt)
        else:
            self._certain += 1
        if self.until is None and found is not Evidence.LATE:
            # A replica that answers anything at all is not silent.
            self.suspect = found is Evidence.SILENT
        return self._verdict(visit, found)

    def eject(self, now: float, *, leaving: bool = False) -> None:
        """Ejects the replica, for longer if it was ejected shortly before.

        Args:
            now: the time.
            leaving: whether it is shutting down.
        """
        recovered = self.until is None and now - (self._returned or 0.0) > self._length_s
        doubled = min(2 * self._length_s, _LONGEST * self._first_s)
        self._length_s = self._first_s if recovered or not self._length_s else doubled
        self.leaving, self.suspect = leaving, False
        self.ejections += 1
        self._period += 1
        self._wait(now)

    def end(self, visit: Visit, now: float) -> None:
        """Records that a request is over. A trial without a result is repeated later."""
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
        self.failures = self._certain = self._faults = 0
        self.doubt = 0.0
        self._period += 1
        return True

    def _verdict(self, visit: Visit, found: Evidence) -> Verdict:
        if self.until is not None:
            return Verdict.EJECT if visit.is_trial else Verdict.KEEP
        if found.doubtful:
            many = self.failures >= _PATIENCE * self._most_failures
            return Verdict.EJECT_IF_OUTPERFORMED if many else Verdict.KEEP
        if found is Evidence.LEAVING or self._certain >= self._most_failures:
            return Verdict.EJECT
        silent_again = visit.is_trial and found is Evidence.SILENT
        return Verdict.EJECT_IF_REPLACEABLE if silent_again else Verdict.KEEP

    def _wait(self, now: float) -> None:
        self.until = now + self._length_s
        self._for_trial = self._on_trial = False
