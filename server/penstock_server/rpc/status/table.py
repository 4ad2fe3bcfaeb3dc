"""The status table: the one place where failures become gRPC statuses.

Each row gives the code, the `ErrorInfo.reason`, and whether sending the call again helps.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import grpc

from penstock_server.upstream import Kind

_Code = grpc.StatusCode


class Resend(enum.Enum):
    """Whether a caller should send the same call again."""

    YES = enum.auto()
    """Safe and useful; the status contains the delay."""
    ELSEWHERE = enum.auto()
    """Safe, and useful on another server: the service has tried that; now the caller decides."""
    CALLER_DECIDES = enum.auto()
    """The first attempt may have cost work; pushback -1 keeps gRPC libraries from resending."""
    NO = enum.auto()
    """Pointless."""
    NEVER = enum.auto()
    """Harmful; pushback -1 keeps gRPC libraries from resending."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    code: grpc.StatusCode
    reason: str
    resend: Resend = Resend.NO


INVALID_REQUEST = Row(_Code.INVALID_ARGUMENT, "INVALID_REQUEST")
CONFLICTING_FIELDS = Row(_Code.INVALID_ARGUMENT, "CONFLICTING_FIELDS")
CONTEXT_LENGTH = Row(_Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
MEDIA_FETCH = Row(_Code.INVALID_ARGUMENT, "MEDIA_FETCH_FAILED", Resend.CALLER_DECIDES)
INVALID_CREDENTIALS = Row(_Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
METHOD_FORBIDDEN = Row(_Code.PERMISSION_DENIED, "METHOD_FORBIDDEN")
MODEL_FORBIDDEN = Row(_Code.PERMISSION_DENIED, "MODEL_FORBIDDEN")
RATE_LIMITED = Row(_Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", Resend.ELSEWHERE)
UPSTREAM_AUTH = Row(_Code.INTERNAL, "UPSTREAM_AUTH_FAILED")
MODEL_NOT_FOUND = Row(_Code.NOT_FOUND, "MODEL_NOT_FOUND")
RESPONSE_NOT_FOUND = Row(_Code.NOT_FOUND, "RESPONSE_NOT_FOUND", Resend.ELSEWHERE)
OPERATION_NOT_SUPPORTED = Row(_Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
UNSUPPORTED_OPERATION = Row(_Code.UNIMPLEMENTED, "UNSUPPORTED_OPERATION")
ENGINE_DEAD = Row(_Code.UNAVAILABLE, "ENGINE_DEAD", Resend.YES)
TOO_LARGE = Row(_Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE", Resend.NEVER)
MALFORMED = Row(_Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE", Resend.CALLER_DECIDES)
INTERRUPTED = Row(_Code.UNAVAILABLE, "STREAM_INTERRUPTED", Resend.NEVER)
OVERLOADED = Row(_Code.UNAVAILABLE, "OVERLOADED", Resend.YES)
SLEEPING = Row(_Code.UNAVAILABLE, "UPSTREAM_SLEEPING", Resend.ELSEWHERE)
DRAINING = Row(_Code.UNAVAILABLE, "DRAINING", Resend.YES)
DEADLINE = Row(_Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
CANCELLED = Row(_Code.CANCELLED, "CANCELLED")
GATEWAY_ERROR = Row(_Code.INTERNAL, "GATEWAY_ERROR")

UNAVAILABLE = Row(_Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", Resend.YES)
UNEXPECTED_4XX = Row(_Code.UNKNOWN, "UPSTREAM_UNEXPECTED_STATUS")
UNEXPECTED_5XX = Row(_Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS", Resend.CALLER_DECIDES)
_REJECTED = "UPSTREAM_REJECTED"

HTTP_ROWS: Mapping[int, Row] = {
    400: Row(_Code.INVALID_ARGUMENT, _REJECTED),
    401: UPSTREAM_AUTH,
    403: UPSTREAM_AUTH,
    404: MODEL_NOT_FOUND,
    405: OPERATION_NOT_SUPPORTED,
    408: Row(_Code.UNAVAILABLE, "UPSTREAM_REQUEST_TIMEOUT", Resend.YES),
    409: Row(_Code.ABORTED, "UPSTREAM_CONFLICT", Resend.CALLER_DECIDES),
    410: Row(_Code.NOT_FOUND, _REJECTED),
    411: GATEWAY_ERROR,
    412: Row(_Code.FAILED_PRECONDITION, _REJECTED),
    413: TOO_LARGE,
    415: Row(_Code.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA"),
    416: Row(_Code.OUT_OF_RANGE, _REJECTED),
    422: Row(_Code.INVALID_ARGUMENT, _REJECTED),
    424: Row(_Code.FAILED_PRECONDITION, _REJECTED),
    429: RATE_LIMITED,
    431: GATEWAY_ERROR,
    451: Row(_Code.PERMISSION_DENIED, _REJECTED),
    499: Row(_Code.UNAVAILABLE, "UPSTREAM_CLOSED", Resend.CALLER_DECIDES),
    500: Row(_Code.INTERNAL, "UPSTREAM_INTERNAL", Resend.CALLER_DECIDES),
    501: OPERATION_NOT_SUPPORTED,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: Row(_Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", Resend.CALLER_DECIDES),
    507: Row(_Code.RESOURCE_EXHAUSTED, _REJECTED),
    529: UNAVAILABLE,
}

CALLERS_AUTH_ROWS: Mapping[int, Row] = {
    401: Row(_Code.UNAUTHENTICATED, "UPSTREAM_AUTH_FAILED"),
    403: Row(_Code.PERMISSION_DENIED, "UPSTREAM_AUTH_FAILED"),
}
"""Rows that replace those above if the upstream refused the caller's own credentials."""

KIND_ROWS: Mapping[Kind, Row] = {
    Kind.CONNECT: Row(_Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED", Resend.YES),
    Kind.CLOSED: Row(_Code.UNAVAILABLE, "UPSTREAM_CLOSED", Resend.CALLER_DECIDES),
    Kind.INTERRUPTED: INTERRUPTED,
    Kind.ABORTED: Row(_Code.UNAVAILABLE, "GENERATION_ABORTED", Resend.YES),
    Kind.TIMEOUT: Row(_Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", Resend.CALLER_DECIDES),
    Kind.MALFORMED: MALFORMED,
    Kind.OVERLOADED: OVERLOADED,
    Kind.MISCONFIGURED: GATEWAY_ERROR,
    Kind.MODEL_UNKNOWN: MODEL_NOT_FOUND,
    Kind.MODEL_AMBIGUOUS: INVALID_REQUEST,
    Kind.MODEL_FORBIDDEN: MODEL_FORBIDDEN,
    Kind.ROUTE_MISSING: OPERATION_NOT_SUPPORTED,
    Kind.FIELD_UNKNOWN: INVALID_REQUEST,
    Kind.TOO_LARGE: TOO_LARGE,
    Kind.ASLEEP: SLEEPING,
    Kind.NOT_STREAMED: RESPONSE_NOT_FOUND,
}

CAPACITY_REASONS = frozenset(
    row.reason
    for row in (
        RATE_LIMITED,
        OVERLOADED,
        UNAVAILABLE,
        SLEEPING,
        DRAINING,
        KIND_ROWS[Kind.CONNECT],
    )
)
"""Reasons of refusals before any work: the request is not their cause, and may succeed later."""
