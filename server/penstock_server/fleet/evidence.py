"""Evidence about the health of a replica, from the outcome of a request to it."""

import enum

from penstock_server.upstream import Kind, UpstreamFailure

_UNAVAILABLE = frozenset((502, 503, 529))
_KEY_REFUSED = frozenset((401, 403))
_NOT_SERVED = 501


class Evidence(enum.Enum):
    """The evidence that the outcome of a request is about its replica."""

    HEALTHY = enum.auto()
    NONE = enum.auto()
    DOUBTFUL = enum.auto()
    """The replica is unhealthy, or its requests are bad."""
    LATE = enum.auto()
    """The replica is unhealthy, or its caller allowed too little time."""
    SILENT = enum.auto()
    """The replica is unhealthy: it did not begin an answer in time."""
    UNHEALTHY = enum.auto()
    LEAVING = enum.auto()
    """The replica is shutting down and accepts no further work."""

    @property
    def doubtful(self) -> bool:
        """Whether something other than the replica may be the cause."""
        return self in (Evidence.DOUBTFUL, Evidence.LATE)


def evidence(failure: UpstreamFailure) -> Evidence:
    """Returns what a failure indicates about the replica: an error of the caller shows it alive."""
    if failure.draining:
        return Evidence.LEAVING
    if failure.kind in (Kind.CONNECT, Kind.CLOSED, Kind.INTERRUPTED) or failure.engine_dead:
        return Evidence.UNHEALTHY
    if failure.kind is Kind.TIMEOUT:
        return Evidence.SILENT if failure.limit == "first_byte_timeout" else Evidence.NONE
    if failure.kind in (Kind.MALFORMED, Kind.ABORTED):
        return Evidence.DOUBTFUL
    if failure.kind is not Kind.HTTP_ERROR or failure.status is None:
        return Evidence.NONE
    if failure.model_listed:
        return Evidence.NONE
    if failure.status in _UNAVAILABLE or failure.unreached:
        return Evidence.UNHEALTHY
    if failure.bad_media:
        return Evidence.HEALTHY
    if failure.status in _KEY_REFUSED and not failure.callers_credentials:
        return Evidence.DOUBTFUL
    callers = 400 <= failure.status < 500 or failure.status == _NOT_SERVED
    return Evidence.HEALTHY if callers else Evidence.DOUBTFUL
