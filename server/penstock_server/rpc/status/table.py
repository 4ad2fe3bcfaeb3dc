"""The status table: the one place where failures become gRPC statuses.

Each row gives the code, the `ErrorInfo.reason`, and whether sending the call again helps.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import grpc

from penstock_server import routes
from penstock_server.convert.errors import (
    InvalidRequest,
    MalformedAnswer,
    UnsupportedRequest,
    Violation,
)
from penstock_server.convert.field_path import field_path
from penstock_server.convert.fields import HOMES
from penstock_server.upstream import Attempts, ErrorBody, Kind, UpstreamFailure

_Code = grpc.StatusCode


class Resend(enum.Enum):
    """Whether a caller should send the same call again."""

    YES = enum.auto()
    """Safe and useful; the status says when."""
    ELSEWHERE = enum.auto()
    """Safe, and useful if another server is asked: the service did so; now the caller decides."""
    CALLER_DECIDES = enum.auto()
    """The first attempt may have cost work; gRPC libraries are told not to (pushback -1)."""
    NO = enum.auto()
    """Pointless."""
    NEVER = enum.auto()
    """Harmful; gRPC libraries are told not to (pushback -1)."""


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
DRAINING = Row(_Code.UNAVAILABLE, "DRAINING", Resend.YES)
DEADLINE = Row(_Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
CANCELLED = Row(_Code.CANCELLED, "CANCELLED")
GATEWAY_ERROR = Row(_Code.INTERNAL, "GATEWAY_ERROR")

_UNAVAILABLE = Row(_Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE", Resend.YES)
_UNEXPECTED_4XX = Row(_Code.UNKNOWN, "UPSTREAM_UNEXPECTED_STATUS")
_UNEXPECTED_5XX = Row(_Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS", Resend.CALLER_DECIDES)
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
    502: _UNAVAILABLE,
    503: _UNAVAILABLE,
    504: Row(_Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT", Resend.CALLER_DECIDES),
    507: Row(_Code.RESOURCE_EXHAUSTED, _REJECTED),
    529: _UNAVAILABLE,
}

CALLERS_AUTH_ROWS: Mapping[int, Row] = {
    401: Row(_Code.UNAUTHENTICATED, "UPSTREAM_AUTH_FAILED"),
    403: Row(_Code.PERMISSION_DENIED, "UPSTREAM_AUTH_FAILED"),
}
"""In place of those above where the credentials that were refused are the caller's own."""

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
}

_CONTEXT_LENGTH_PARAMS = ("input_tokens", "input_text")
_CONTEXT_LENGTH = re.compile(
    # No digit is tried as the beginning of a number twice: texts may be long.
    r"maximum context length is (\d{1,20}) tokens"
    # It counts as many as it takes to see that they are too many, or only characters.
    r"(?:.*?(at least )?(?<!\d)(?<!bound for )(\d{1,20}) (?:input tokens|tokens in the input))?",
    re.S,
)
_NAMED = re.compile(
    r"^\d+ validation errors? for \w+\n(\w+)\n|'loc': \('body', '(\w+)'|\(parameter=(\w+), value="
)


@dataclass(frozen=True, slots=True)
class Status:
    """A gRPC status with its details, ready to be sent.

    Attributes:
        row: the row of the table.
        message: what a person reads; cut to `MESSAGE_LIMIT` when sent.
        metadata: `ErrorInfo.metadata`.
        violations: become `BadRequest`.
        missing: kind and name of what was not found; becomes `ResourceInfo`.
        quota: whose quota is used up, and what it is; becomes `QuotaFailure`.
        bug: an exception that nothing foresaw, to be told; becomes `DebugInfo`.
        retry_after_s: when to send again; a default where the row says so and none is known.
    """

    row: Row
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    missing: tuple[str, str] | None = None
    retry_after_s: float | None = None
    quota: tuple[str, str] | None = None
    bug: Exception | None = None

    def in_call(self, *, model: str = "", attempts: int = 0, messages_sent: int = 0) -> Self:
        """Returns the status with what is known of the call that ends in it.

        Args:
            model: the model that the call asked for.
            attempts: how many requests were sent upstream.
            messages_sent: how many messages of the stream the caller already has; sending the
                call again would not go on with them.
        """
        known = {
            "model": model,
            "attempts": str(attempts or ""),
            "messagesSent": str(messages_sent or ""),
        }
        told = {key: value for key, value in known.items() if value}
        row = replace(self.row, resend=Resend.NEVER) if messages_sent else self.row
        return replace(self, row=row, metadata={**self.metadata, **told})


class Refusal(Exception):
    """Ends the RPC with a status; raised by what stands around the servicers.

    Attributes:
        status: the status.
    """

    def __init__(self, status: Status) -> None:
        """Takes the status."""
        super().__init__(status.message)
        self.status = status


def of_failure(failure: UpstreamFailure, model: str = "") -> Status:
    """Returns the status of a failed exchange with an upstream, which was to ask for a model."""
    row = _row(failure)
    return Status(
        row,
        _message(failure, row),
        _metadata(failure, row),
        _violations(failure, row),
        missing=_missing(failure, row, model),
        retry_after_s=failure.retry_after_s,
    )


def resendable(failure: UpstreamFailure, elsewhere: bool) -> bool:
    """Whether sending the request again, maybe elsewhere, is safe and useful."""
    resend = _row(failure).resend
    return resend is Resend.YES or (elsewhere and resend is Resend.ELSEWHERE)


def of_invalid(error: InvalidRequest) -> Status:
    """Returns the status of a request that cannot be sent upstream."""
    row = CONFLICTING_FIELDS if error.conflicting else INVALID_REQUEST
    return Status(row, str(error), violations=error.violations)


def of_unsupported(error: UnsupportedRequest) -> Status:
    """Returns the status of a request that asks for what its upstream cannot do."""
    return Status(UNSUPPORTED_OPERATION, str(error), violations=error.violations)


def of_undecodable() -> Status:
    """Returns the status of bytes that are no message of the method's request type."""
    return Status(INVALID_REQUEST, "the request could not be decoded as this method's message")


def of_no_request() -> Status:
    """Returns the status of a call of a method with one request that has none."""
    return Status(INVALID_REQUEST, "the call has no request message")


def of_malformed(error: MalformedAnswer, attempts: Attempts) -> Status:
    """Returns the status of an answer that does not fit our messages; it is that of an attempt."""
    metadata = {
        "stage": attempts.stage.value,
        "path": attempts.path,
        "upstreamStatus": str(attempts.status or ""),
        "offset": "" if attempts.offset is None else str(attempts.offset),
    }
    return Status(MALFORMED, f"malformed upstream answer: {error}", _told(metadata))


def of_too_large(size: int, limit: int) -> Status:
    """Returns the status of a reply of so many bytes, over the limit of one message."""
    message = f"the reply has {size} bytes, over the limit of {limit} bytes; ask for less at once"
    return Status(TOO_LARGE, message, {"limitBytes": str(limit)})


def of_many_entries(most: int) -> Status:
    """Returns the status of a request with more entries than it may have."""
    message = f"the request holds more than {most} fields and elements; send several smaller ones"
    return Status(TOO_LARGE, message, {"limit": "max_request_entries"})


def of_deadline(seconds: float, metadata: Mapping[str, str]) -> Status:
    """Returns the status of a call that took longer than the server allows."""
    message = f"the call took longer than the {seconds:g} s that the server allows"
    return Status(DEADLINE, message, metadata)


def of_credentials(message: str) -> Status:
    """Returns the status of a caller who has no credentials, or bad ones."""
    return Status(INVALID_CREDENTIALS, message)


def of_forbidden(model: str) -> Status:
    """Returns the status of a call for a model, existing or not, that the caller may not use."""
    return Status(MODEL_FORBIDDEN, f"the caller may not use the model {model}")


def of_quota(caller: str, calls_per_minute: int, retry_after_s: float) -> Status:
    """Returns the status of a call that is over its caller's quota."""
    limit = f"{calls_per_minute} calls per minute"
    message = f"the quota of {caller} is used up: {limit}"
    quota = (f"key:{caller}", limit)
    return Status(RATE_LIMITED, message, retry_after_s=retry_after_s, quota=quota)


def of_overload(most: int) -> Status:
    """Returns the status of a call that is one too many."""
    return Status(OVERLOADED, f"the server is busy with {most} calls, as many as it takes")


def of_pending(most: int) -> Status:
    """Returns the status of a call whose request did not come before those of many others."""
    return Status(OVERLOADED, f"the server waits for the requests of {most} calls, its limit")


def of_watches(most: int) -> Status:
    """Returns the status of a call of health or reflection that is one too many."""
    return Status(OVERLOADED, f"{most} calls of health and reflection are open, the limit")


def of_late_request(seconds: float) -> Status:
    """Returns the status of a call whose next message did not come in time."""
    message = f"no message of the request came within {seconds:g} s"
    return Status(DEADLINE, message, {"limit": "request_timeout"})


def of_large_metadata(limit: int) -> Status:
    """Returns the status of a call with more metadata than the limit, in bytes."""
    message = f"the metadata of the call is over the limit of {limit} bytes"
    return Status(TOO_LARGE, message, {"limitBytes": str(limit)})


def of_draining() -> Status:
    """Returns the status of a call that came too late."""
    return Status(DRAINING, "the server is shutting down", retry_after_s=0)


def of_shutdown(messages_sent: int) -> Status:
    """Returns the status of a call that was not over when the server had to end."""
    row = INTERRUPTED if messages_sent else KIND_ROWS[Kind.CLOSED]
    return Status(row, "the server shut down before the answer was complete")


def of_bug(told: Exception | None = None) -> Status:
    """Returns the status of an exception that nothing foresaw.

    Args:
        told: the exception, if callers may learn of it; else its details are kept back.
    """
    return Status(GATEWAY_ERROR, "internal error of the gateway; see its log", bug=told)


def _message(failure: UpstreamFailure, row: Row) -> str:
    if row is UPSTREAM_AUTH:
        # The upstream speaks of the credentials, often with a part of them.
        return f"the upstream refused the server's credentials (HTTP {failure.status})"
    if row in CALLERS_AUTH_ROWS.values():
        return f"the upstream refused the caller's credentials (HTTP {failure.status})"
    if failure.route_missing and (failure.error.bare or failure.status == 404):
        # All that a web server says of a route it does not have is "Not Found".
        return f"the upstream does not serve {failure.operation}: it has no {failure.path}"
    return failure.message


def _row(failure: UpstreamFailure) -> Row:
    if failure.engine_died and failure.kind is Kind.CONNECT:
        return ENGINE_DEAD
    if failure.kind is not Kind.HTTP_ERROR or failure.status is None:
        return KIND_ROWS[failure.kind]
    error, status = failure.error, failure.status
    if failure.response_missing:
        return RESPONSE_NOT_FOUND
    if failure.operation_missing:
        return OPERATION_NOT_SUPPORTED
    if failure.model_missing:
        return _UNAVAILABLE if failure.model_listed else MODEL_NOT_FOUND
    if status == 400 and _is_context_length(error):
        return CONTEXT_LENGTH
    if status == 422 and error.param.endswith("_url"):
        return MEDIA_FETCH
    if failure.engine_dead:
        return ENGINE_DEAD
    if failure.unreached:
        return _UNAVAILABLE
    if failure.bad_media:
        return HTTP_ROWS[400]
    if failure.callers_credentials and status in CALLERS_AUTH_ROWS:
        return CALLERS_AUTH_ROWS[status]
    return HTTP_ROWS.get(status) or _other_status(status)


def _missing(failure: UpstreamFailure, row: Row, model: str) -> tuple[str, str] | None:
    if row is MODEL_NOT_FOUND:
        return "model", model
    if row is RESPONSE_NOT_FOUND:
        return "response", failure.path.removeprefix(f"{routes.RESPONSES}/").partition("/")[0]
    return None


def _is_context_length(error: ErrorBody) -> bool:
    return (
        error.param in _CONTEXT_LENGTH_PARAMS
        or error.code == "context_length_exceeded"
        or "maximum context length" in error.message
    )


def _other_status(status: int) -> Row:
    if status < 300:
        return MALFORMED
    if status < 400:
        return GATEWAY_ERROR
    return _UNEXPECTED_4XX if status < 500 else _UNEXPECTED_5XX


def _metadata(failure: UpstreamFailure, row: Row) -> dict[str, str]:
    # What is said of credentials stays here: see `_message`.
    error = ErrorBody() if _is_of_credentials(row) else failure.error
    found = {
        "upstreamStatus": str(failure.status or ""),
        "upstreamType": error.type,
        "upstreamParam": error.param,
        "upstreamCode": "" if error.code is None else str(error.code),
        "stage": failure.stage.value,
        "limit": failure.limit,
        "path": failure.path,
        "limitBytes": str(failure.limit_bytes or ""),
        "offset": "" if failure.offset is None else str(failure.offset),
        **_context_lengths(error),
    }
    return _told(found)


def _told(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if value}


def _is_of_credentials(row: Row) -> bool:
    return row is UPSTREAM_AUTH or row in CALLERS_AUTH_ROWS.values()


def _context_lengths(error: ErrorBody) -> dict[str, str]:
    match = _CONTEXT_LENGTH.search(error.message)
    if not match:
        return {}
    counted = "promptTokensAtLeast" if match[2] else "promptTokens"
    return {"maxModelLen": match[1], counted: match[3] or ""}


def _violations(failure: UpstreamFailure, row: Row) -> tuple[Violation, ...]:
    if failure.kind is Kind.MODEL_AMBIGUOUS:
        return (Violation("model", failure.message),)
    if row.code is not _Code.INVALID_ARGUMENT:
        return ()
    error = failure.error
    route = _route(failure)
    param = error.param or _named_in_words(error.message, route)
    faults = error.faults or ((param, failure.message),)
    return tuple(Violation(field_path(route, param), what) for param, what in faults if param)


def _named_in_words(message: str, route: str) -> str:
    """Returns the field of a route that an error's text names, as older vLLMs do; else nothing."""
    match = _NAMED.search(message)
    name = match[match.lastindex or 0] if match else ""
    return name if name in HOMES.get(route, {}) else ""


def _route(failure: UpstreamFailure) -> str:
    """Returns where the fields of the request are known: one route may serve two operations."""
    return failure.operation if failure.operation in HOMES else failure.path
