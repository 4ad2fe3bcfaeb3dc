"""Logs the changes of one replica, a line for each."""

from collections.abc import Mapping

from penstock_server.fleet.replica_state import ReplicaState, State
from penstock_server.telemetry import Episode, events
from penstock_server.upstream import UpstreamFailure

_UP = frozenset((State.READY, State.SLOW_START))


class StateLog:
    """Compares the states of one replica, and logs the differences."""

    def __init__(self) -> None:
        """Creates the log of a replica that has not been probed."""
        self._state = State.PROBING
        self._models: frozenset[str] = frozenset()
        self._failure: tuple[object, ...] = ()
        self._limited = Episode()

    def compare(self, now: float, found: ReplicaState, until: float | None = None) -> None:
        """Logs how a replica differs from the last time.

        Args:
            now: the time, by the replica's clock.
            found: its state.
            until: when its ejection is over; None if it is not ejected.
        """
        # A slow start only affects its share of the calls.
        state = State.READY if found.state in _UP else found.state
        before, self._state = self._state, state
        if state is not before:
            _log_state(found, state, before, 0.0 if until is None else until - now)
        elif state is State.READY:
            self._log_models(found)
        self._models = frozenset(found.models)
        if self._limited.occurrences and self._limited.quiet_in(now) <= 0:
            refused, seconds = self._limited.end()
            events.UPSTREAM_UNLIMITED.log(
                **_place(found), refused=refused, seconds=round(seconds, 1)
            )

    def record_probe(self, found: ReplicaState, failure: UpstreamFailure | None = None) -> None:
        """Logs the failure of a probe, unless the one before failed for the same reason.

        Args:
            found: the state of the replica, after `compare`.
            failure: the failure; None after a success.
        """
        before, self._failure = self._failure, _identity(failure) if failure else ()
        if failure and self._failure != before and (before or self._state is not State.DOWN):
            events.PROBE_FAILED.log(**_place(found), reason=str(failure))

    def record_limit(self, now: float, found: ReplicaState, failure: UpstreamFailure) -> None:
        """Logs that a replica refuses requests with HTTP 429, once for each episode."""
        if self._limited.record(now):
            fields = {"reason": str(failure), "retry_after_s": failure.retry_after_s}
            events.UPSTREAM_LIMITED.log(**_place(found), **fields)

    def _log_models(self, found: ReplicaState) -> None:
        models = frozenset(found.models)
        if models != self._models:
            appeared, gone = sorted(models - self._models), sorted(self._models - models)
            events.MODELS_CHANGED.log(**_place(found), appeared=appeared or None, gone=gone or None)


def _log_state(found: ReplicaState, state: State, before: State, ejected_s: float) -> None:
    fields = {**_place(found), "before": before.value}
    match state:
        case State.READY:
            events.UPSTREAM_READY.log(
                **fields, version=found.version, models=list(found.models) or None
            )
        case State.DOWN:
            events.UPSTREAM_DOWN.log(**fields, reason=found.last_error)
        case State.SLEEPING:
            events.UPSTREAM_SLEEPING.log(**fields)
        case State.EJECTED:
            events.UPSTREAM_EJECTED.log(
                **fields, reason=found.last_error, seconds=round(ejected_s, 1)
            )
        case State.DRAINING:
            events.UPSTREAM_DRAINING.log(**fields, reason=found.last_error)


def _place(found: ReplicaState) -> Mapping[str, str]:
    return {"upstream": found.upstream, "address": found.address}


def _identity(failure: UpstreamFailure) -> tuple[object, ...]:
    """Returns a key that equal failures share, even if their messages differ."""
    return failure.kind, failure.stage, failure.status, failure.path
