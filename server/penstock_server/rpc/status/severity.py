"""The severity of the end of a call, for the service's operator."""

from collections.abc import Mapping, Sequence

import grpc

from penstock_server.rpc.status.table import (
    DRAINING,
    ENGINE_DEAD,
    HTTP_ROWS,
    KIND_ROWS,
    OVERLOADED,
    SLEEPING,
    TOO_LARGE,
    UNEXPECTED_5XX,
)

_Code = grpc.StatusCode

_ERROR, _WARNING, _INFO = "error", "warning", "info"

_BY_REASON: Mapping[str, str] = {
    OVERLOADED.reason: _WARNING,
    DRAINING.reason: _WARNING,
    SLEEPING.reason: _WARNING,
    TOO_LARGE.reason: _INFO,
    HTTP_ROWS[504].reason: _ERROR,
}
"""Reasons that are more or less severe than their code."""

_BY_CODE: Mapping[grpc.StatusCode, str] = {
    _Code.OK: _INFO,
    # Faults of the server or of its upstreams
    _Code.DATA_LOSS: _ERROR,
    _Code.INTERNAL: _ERROR,
    _Code.UNAVAILABLE: _ERROR,
    _Code.UNKNOWN: _ERROR,
    # Refused
    _Code.DEADLINE_EXCEEDED: _WARNING,
    _Code.PERMISSION_DENIED: _WARNING,
    _Code.RESOURCE_EXHAUSTED: _WARNING,
    _Code.UNAUTHENTICATED: _WARNING,
    # The caller's mistakes and decisions
    _Code.ABORTED: _INFO,
    _Code.ALREADY_EXISTS: _INFO,
    _Code.CANCELLED: _INFO,
    _Code.FAILED_PRECONDITION: _INFO,
    _Code.INVALID_ARGUMENT: _INFO,
    _Code.NOT_FOUND: _INFO,
    _Code.OUT_OF_RANGE: _INFO,
    _Code.UNIMPLEMENTED: _INFO,
}


def severity(code: grpc.StatusCode, reason: str) -> str:
    """Returns the level of the log line of a call that ended with a code and a reason."""
    return _BY_REASON.get(reason) or _BY_CODE[code]


_UPSTREAM_ROWS = (*KIND_ROWS.values(), *HTTP_ROWS.values(), UNEXPECTED_5XX, ENGINE_DEAD)
UPSTREAM_FAULTS: Sequence[str] = tuple(
    dict.fromkeys(r.reason for r in _UPSTREAM_ROWS if severity(r.code, r.reason) == _ERROR)
)
"""The reasons of failures of upstreams that are errors."""
