"""Ejection of replicas, and their return."""

import pytest

from penstock_server.fleet.ejection import Ejection, Verdict, Visit
from penstock_server.fleet.evidence import Evidence, evidence
from penstock_server.upstream.error_body import ErrorBody
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

NOW = 1000.0


class Judged(Ejection):
    """An ejection next to replicas that fare better or not."""

    def __init__(self, failures: int, first_s: float, *, outdone: bool, spared: bool) -> None:
        super().__init__(failures, first_s)
        self._due = {
            Verdict.KEEP: False,
            Verdict.EJECT: True,
            Verdict.EJECT_IF_REPLACEABLE: spared,
            Verdict.EJECT_IF_OUTPERFORMED: outdone,
        }

    def failed(self, visit: Visit, now: float, found: Evidence = Evidence.UNHEALTHY) -> bool:
        due = self._due[self.record_failure(visit, now, found)]
        if due:
            self.eject(now, leaving=found is Evidence.LEAVING)
        return due


def ejection(
    failures: int = 3, first_s: float = 5, *, outdone: bool = False, spared: bool = True
) -> Judged:
    return Judged(failures, first_s, outdone=outdone, spared=spared)


def fail(
    it: Judged, now: float, times: int = 1, found: Evidence = Evidence.UNHEALTHY
) -> list[bool]:
    ejected = []
    for _ in range(times):
        visit = it.begin()
        ejected.append(it.failed(visit, now, found))
        it.end(visit, now)
    return ejected


def succeed(it: Judged, now: float) -> bool:
    visit = it.begin()
    returned = it.record_success(visit, now)
    it.end(visit, now)
    return returned


def test_consecutive_failures() -> None:
    it = ejection(failures=3)
    assert fail(it, NOW, 2) == [False, False]
    succeed(it, NOW)
    assert fail(it, NOW, 3) == [False, False, True]
    assert not it.admits
    assert it.until == NOW + 5


def test_one_trial_at_a_time_after_a_successful_probe() -> None:
    it = ejection(failures=1)
    fail(it, NOW)
    it.record_probe(NOW + 4.9)
    assert not it.admits
    assert not it.over
    it.record_probe(NOW + 5)
    assert it.admits
    assert it.over
    trial = it.begin()
    assert trial.is_trial
    assert not it.admits
    assert not it.begin().is_trial
    it.record_success(trial, NOW + 5)
    it.end(trial, NOW + 5)
    assert it.admits
    assert it.until is None


def test_an_abandoned_trial_is_repeated_later() -> None:
    """Its caller left."""
    it = ejection(failures=1)
    fail(it, NOW)
    it.record_probe(NOW + 5)
    it.end(it.begin(), NOW + 6)
    it.record_probe(NOW + 10.9)
    assert not it.admits
    it.record_probe(NOW + 11)
    assert it.admits


def test_the_beginning_of_an_answer_is_enough() -> None:
    it = ejection(failures=1)
    fail(it, NOW)
    it.record_probe(NOW + 5)
    trial = it.begin()
    assert it.record_answer(trial, NOW + 5)
    assert it.admits


def test_each_failed_trial_doubles_the_time_up_to_a_factor_of_16() -> None:
    it = ejection(failures=1, first_s=5)
    now, lengths = NOW, []
    for _ in range(7):
        fail(it, now)
        assert it.until is not None
        lengths.append(it.until - now)
        now = it.until
        it.record_probe(now)
    assert lengths == [5, 10, 20, 40, 80, 80, 80]


def test_the_time_is_reset_after_a_long_healthy_period() -> None:
    it = ejection(failures=1, first_s=5)
    fail(it, NOW)
    succeed(it, NOW + 5)
    fail(it, NOW + 6)  # soon again
    assert it.until == NOW + 16
    succeed(it, NOW + 16)
    fail(it, NOW + 30)  # healthy for longer than it was ejected
    assert it.until == NOW + 35


def test_calls_from_before_an_ejection_do_not_count() -> None:
    it = ejection(failures=1)
    before = it.begin(), it.begin(), it.begin()
    it.failed(before[0], NOW)
    until = it.until
    assert not it.failed(before[1], NOW + 5)
    assert it.until == until
    assert not it.record_success(before[2], NOW + 5)
    assert it.until == until
    assert succeed(it, NOW + 5)
    later = ejection(failures=2)
    old = later.begin()
    fail(later, NOW, 2)
    succeed(later, NOW + 5)
    fail(later, NOW + 6)
    later.record_success(old, NOW + 7)
    assert fail(later, NOW + 8) == [True]


def test_calls_to_an_ejected_replica() -> None:
    it = ejection(failures=1)
    fail(it, NOW)
    assert fail(it, NOW + 1, 10) == [False] * 10  # they do not extend it
    assert it.until == NOW + 5
    assert succeed(it, NOW + 1)  # but they may end it


def test_a_replica_that_shuts_down_is_ejected_at_once() -> None:
    it = ejection(failures=3)
    assert fail(it, NOW, found=Evidence.LEAVING) == [True]
    assert it.leaving
    assert it.readmit(NOW + 1)
    assert not it.leaving
    assert it.admits
    assert not it.readmit(NOW + 1)


DOUBTFUL = Evidence.DOUBTFUL


def test_doubtful_failures_need_twice_as_many_and_better_replicas() -> None:
    assert fail(ejection(3, outdone=False), NOW, 99, DOUBTFUL) == [False] * 99
    assert fail(ejection(3, outdone=True), NOW, 6, DOUBTFUL) == [False] * 5 + [True]


def test_a_success_resets_the_count_of_doubtful_failures() -> None:
    it = ejection(3, outdone=True)
    for _ in range(20):
        assert fail(it, NOW, 5, DOUBTFUL) == [False] * 5
        succeed(it, NOW)


def test_doubtful_failures_do_not_add_to_certain_ones() -> None:
    it = ejection(3, outdone=False)
    fail(it, NOW, 50, DOUBTFUL)
    assert fail(it, NOW, 3) == [False, False, True]


def test_a_doubtful_failure_fails_a_trial() -> None:
    it = ejection(1, outdone=False)
    fail(it, NOW)
    it.record_probe(NOW + 5)
    assert fail(it, NOW + 5, found=DOUBTFUL) == [True]


SILENT = Evidence.SILENT


def test_a_silent_replica_gets_one_trial_at_a_time() -> None:
    it = ejection(5)
    assert fail(it, NOW, found=SILENT) == [False]
    assert it.suspect
    assert it.over
    assert it.admits
    trial = it.begin()
    assert trial.is_trial
    assert not it.admits
    assert not it.begin().is_trial
    it.end(trial, NOW)  # its caller left
    assert it.admits
    assert it.until is None
    trial = it.begin()
    assert it.failed(trial, NOW, SILENT)
    assert it.until == NOW + 5
    assert not it.suspect


@pytest.mark.parametrize("spared", [False, True])
def test_a_suspect_is_ejected_at_once_only_if_others_can_replace_it(spared: bool) -> None:
    it = ejection(4, spared=spared)
    expected = [False, True, False, False] if spared else [False, False, False, True]
    assert fail(it, NOW, 4, SILENT) == expected


def test_any_answer_ends_a_suspicion() -> None:
    it = ejection(5)
    before = it.begin()
    fail(it, NOW, found=SILENT)
    trial = it.begin()
    assert not it.record_answer(before, NOW)  # which began earlier
    assert it.admits
    assert not it.suspect
    it.end(trial, NOW)
    assert it.until is None
    for found in (DOUBTFUL, Evidence.UNHEALTHY):
        fail(it, NOW, found=SILENT)
        fail(it, NOW, found=found)
        assert not it.suspect


def test_running_calls_count_against_a_suspect() -> None:
    it = ejection(3, spared=False)
    visits = [it.begin() for _ in range(3)]
    assert [it.failed(visit, NOW, SILENT) for visit in visits] == [False, False, True]


def test_a_replica_that_fails_every_call_counts_as_failing_for_a_while() -> None:
    it = ejection(3)
    fail(it, NOW, 5, DOUBTFUL)
    assert not it.failing(NOW)
    fail(it, NOW, 1, DOUBTFUL)
    assert it.failing(NOW + 4.9)
    assert not it.failing(NOW + 5)
    fail(it, NOW + 9, 1, DOUBTFUL)
    assert it.failing(NOW + 9)
    succeed(it, NOW + 9)
    assert not it.failing(NOW + 9)
    fail(it, NOW, 99, Evidence.LATE)  # which may be the callers' fault
    assert not it.failing(NOW)


def test_a_replica_that_fares_worse() -> None:
    bad, good = ejection(99), ejection(99)
    for number in range(200):
        fail(bad, NOW, found=DOUBTFUL)
        succeed(good, NOW) if number % 10 else fail(good, NOW, found=DOUBTFUL)
    assert good.outperforms(bad)
    assert not bad.outperforms(good)
    for _ in range(20):
        succeed(bad, NOW)
    assert not good.outperforms(bad)
    readmitted = ejection(1, outdone=True)
    fail(readmitted, NOW, 2, DOUBTFUL)
    assert readmitted.readmit(NOW)
    assert readmitted.doubt == 0


def http(status: int, message: str = "", *, callers: bool = False) -> UpstreamFailure:
    return UpstreamFailure(
        Kind.HTTP_ERROR,
        message,
        Stage.BODY,
        status=status,
        error=ErrorBody(message=message),
        callers_credentials=callers,
    )


def of(kind: Kind, limit: str = "") -> UpstreamFailure:
    return UpstreamFailure(kind, "", Stage.HEADERS, limit=limit)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (of(Kind.CONNECT), Evidence.UNHEALTHY),
        (of(Kind.CLOSED), Evidence.UNHEALTHY),
        (of(Kind.INTERRUPTED), Evidence.UNHEALTHY),
        (of(Kind.TIMEOUT, "first_byte_timeout"), Evidence.SILENT),
        (of(Kind.TIMEOUT, "total_timeout"), Evidence.NONE),
        (of(Kind.MALFORMED), Evidence.DOUBTFUL),
        (of(Kind.ABORTED), Evidence.DOUBTFUL),
        (of(Kind.OVERLOADED), Evidence.NONE),
        (of(Kind.TOO_LARGE), Evidence.NONE),
        (http(307), Evidence.DOUBTFUL),
        (http(400), Evidence.HEALTHY),
        (http(401), Evidence.DOUBTFUL),
        (http(401, callers=True), Evidence.HEALTHY),
        (http(403), Evidence.DOUBTFUL),
        (http(403, callers=True), Evidence.HEALTHY),
        (http(404), Evidence.HEALTHY),
        (http(429), Evidence.HEALTHY),
        (http(500, "a bug"), Evidence.DOUBTFUL),
        (http(500, "Error opening <_io.BytesIO>: Format not recognised."), Evidence.HEALTHY),
        (http(500, "error sending request for url"), Evidence.UNHEALTHY),
        (http(501), Evidence.HEALTHY),
        (http(504), Evidence.DOUBTFUL),
        (http(502), Evidence.UNHEALTHY),
        (http(503), Evidence.UNHEALTHY),
        (http(529), Evidence.UNHEALTHY),
        (http(500, "EngineCore encountered an issue. See stack trace"), Evidence.UNHEALTHY),
        (http(500, "cannot schedule new futures after shutdown"), Evidence.LEAVING),
        (http(400, "cannot schedule new futures after shutdown"), Evidence.HEALTHY),
    ],
    ids=str,
)
def test_evidence_of_a_failure_about_the_replica(
    failure: UpstreamFailure, expected: Evidence
) -> None:
    assert evidence(failure) is expected
