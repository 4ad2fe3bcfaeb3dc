"""A running request to a replica, and what its outcome indicates about the replica."""

import asyncio
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from penstock_server.fleet.ejection import Verdict
from penstock_server.fleet.evidence import Evidence, evidence
from penstock_server.fleet.replica import Replica
from penstock_server.upstream import (
    Call,
    CallObserver,
    Kind,
    RequestObserver,
    Stage,
    UpstreamFailure,
)

# gRPC rounds deadlines up in transit, so a client cancels slightly before ours.
_EARLY_S = 0.05
_EARLY_SHARE = 0.02

_TOO_MANY = 429
_CALLERS = frozenset((Kind.TOO_LARGE, Kind.MISCONFIGURED, Kind.NOT_STREAMED))


class Peers(Protocol):
    """Compares a replica with the others."""

    def can_replace(self, replica: Replica) -> bool:
        """Returns whether others can serve all of its models."""

    def can_outperform(self, replica: Replica) -> bool:
        """Returns whether others can serve all of its models, and fail much less often."""


class Lease:
    """A request to a replica; a context manager from its beginning to its outcome.

    It counts the request, and decides from its outcome whether the replica is ejected.

    Attributes:
        call: the call that the request is for, with the trace context for the replica.

    Raises:
        UpstreamFailure: the failure of the request, with what is known about the replica.
    """

    __slots__ = (
        "_began",
        "_hedge",
        "_lost",
        "_observer",
        "_peers",
        "_replica",
        "_served",
        "_visit",
        "call",
    )

    def __init__(
        self,
        replica: Replica,
        peers: Peers,
        call: Call,
        served: str = "",
        *,
        hedge: bool = False,
    ) -> None:
        """Creates a lease for a request that is not sent yet.

        Args:
            replica: the replica.
            peers: compares it with the others.
            call: the call that the request is for.
            served: the replica's own name of the requested model; empty for none.
            hedge: whether another request of the call is late.
        """
        self._replica = replica
        self._peers = peers
        self.call = call
        self._served = served
        self._hedge = hedge
        self._lost = False
        self._observer: RequestObserver | None = None

    def __enter__(self) -> Self:
        replica = self._replica
        self._began = replica.clock()
        replica.load.begin()
        self._visit = replica.ejection.begin()
        if self.call.observer:
            self._observe(self.call.observer)
        return self

    def _observe(self, observer: CallObserver) -> None:
        replica = self._replica
        self._observer = observer.begin_request(
            replica.upstream.name, replica.address, self._served, hedge=self._hedge
        )
        self.call = replace(
            self.call,
            traceparent=self._observer.traceparent,
            tracestate=self._observer.tracestate,
        )

    def record_answer(self) -> None:
        """Records that the answer has begun."""
        now = self._replica.clock()
        if self._replica.ejection.record_answer(self._visit, now):
            self._record_return(now)

    def lose(self) -> None:
        """Records that another replica, to which the call was sent later, answered first."""
        self._lost = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        replica, now = self._replica, self._replica.clock()
        try:
            if error is None:
                self._record_success(now)
            elif isinstance(error, UpstreamFailure):
                raise self._record_failure(error, now) from error
            else:
                self._record_end(error, now)
        finally:
            replica.ejection.end(self._visit, now)
            replica.load.end()
            if self._observer:
                attempts = self.call.attempts
                self._observer.end(attempts.path, attempts.status, error_type(error))

    def _record_success(self, now: float) -> None:
        ejection = self._replica.ejection
        was_faulty = ejection.faulty
        if ejection.record_success(self._visit, now):
            self._record_return(now)
        elif was_faulty:
            self._replica.report_change()

    def _record_return(self, now: float) -> None:
        """Records that the ejection is over."""
        self._replica.load.started = now
        self._replica.report_change()

    def _record_failure(self, failure: UpstreamFailure, now: float) -> UpstreamFailure:
        """Records a failure; returns it with what is known about the replica."""
        replica, failure = self._replica, self._with_knowledge(failure)
        found = evidence(failure)
        if failure.status == _TOO_MANY:
            replica.record_limit(failure)
        if found is Evidence.HEALTHY:
            self._record_success(now)
        elif failure.kind not in _CALLERS:
            replica.load.errors += 1
            replica.known.record_error(failure)
        if found not in (Evidence.HEALTHY, Evidence.NONE):
            if replica.known.alive and _may_show_in_a_probe(failure):
                replica.probe_requested.set()
            self._record_evidence(found, now)
        return failure

    def _record_end(self, error: BaseException, now: float) -> None:
        """Records that the request ended otherwise than with an answer or a failure."""
        if self._lost:
            self._replica.known.record_error("another replica, asked later, answered first")
            self._record_evidence(Evidence.SILENT, now)
        elif isinstance(error, asyncio.CancelledError) and self._timed_out(now):
            self._replica.known.record_error("a caller's deadline passed without an answer")
            self._record_evidence(Evidence.LATE, now)

    def _record_evidence(self, found: Evidence, now: float) -> None:
        """Records evidence against the replica, and ejects it if that is due."""
        replica, ejection = self._replica, self._replica.ejection
        was_failing = ejection.failing(now)
        ejected = self._is_due(ejection.record_failure(self._visit, now, found))
        if ejected:
            ejection.eject(now, leaving=found is Evidence.LEAVING)
            # The length of the ejection decides when the probe after this one is due.
            replica.probe_requested.set()
        if ejected or was_failing is not ejection.failing(now):
            replica.report_change()

    def _is_due(self, verdict: Verdict) -> bool:
        if verdict is Verdict.EJECT_IF_REPLACEABLE:
            return self._peers.can_replace(self._replica)
        if verdict is Verdict.EJECT_IF_OUTPERFORMED:
            return self._peers.can_outperform(self._replica)
        return verdict is Verdict.EJECT

    def _with_knowledge(self, failure: UpstreamFailure) -> UpstreamFailure:
        """Returns a failure with what is known about the replica."""
        known = self._replica.known
        route_listed = failure.path in (known.paths or ())
        found = replace(failure, route_listed=route_listed, engine_died=known.engine_died)
        known.engine_died = known.engine_died or failure.engine_dead
        if found.model_missing and known.lists(self._served):
            # It has been replaced by another server since, or has just started.
            self._replica.probe_requested.set()
            return replace(found, model_listed=True)
        return found

    def _timed_out(self, now: float) -> bool:
        """Returns whether the caller's deadline passed before there was an answer."""
        deadline = self.call.deadline
        early = max(_EARLY_S, _EARLY_SHARE * (deadline - self._began))
        return deadline - now <= early and self.call.attempts.stage is Stage.HEADERS


def error_type(error: BaseException | None) -> str:
    """Returns why a request failed, for observers; empty if it succeeded."""
    if error is None:
        return ""
    if isinstance(error, UpstreamFailure):
        return str(error.status) if error.kind is Kind.HTTP_ERROR else error.kind.value
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    return type(error).__name__


def _may_show_in_a_probe(failure: UpstreamFailure) -> bool:
    return (
        failure.kind is not Kind.HTTP_ERROR or failure.engine_dead or failure.status in (401, 403)
    )
