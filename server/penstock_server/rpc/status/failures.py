"""The status of a failed exchange with an upstream."""

import re

import grpc

from penstock_server import routes
from penstock_server.convert.errors import Violation
from penstock_server.convert.field_path import field_path
from penstock_server.convert.fields import HOMES
from penstock_server.rpc.status.statuses import Status, without_empty
from penstock_server.rpc.status.table import (
    CALLERS_AUTH_ROWS,
    CONTEXT_LENGTH,
    ENGINE_DEAD,
    GATEWAY_ERROR,
    HTTP_ROWS,
    KIND_ROWS,
    MALFORMED,
    MEDIA_FETCH,
    MODEL_NOT_FOUND,
    OPERATION_NOT_SUPPORTED,
    RESPONSE_NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    UNEXPECTED_4XX,
    UNEXPECTED_5XX,
    UPSTREAM_AUTH,
    Resend,
    Row,
)
from penstock_server.upstream import ALL_OPERATIONS, ErrorBody, Kind, UpstreamFailure

_HINTS = {operation.path: operation.hint for operation in ALL_OPERATIONS}
_CONTEXT_LENGTH_PARAMS = ("input_tokens", "input_text")
_CONTEXT_LENGTH = re.compile(
    # Texts may be long: no digit is tried twice as the start of a number.
    r"maximum context length is (\d{1,20}) tokens"
    # vLLM stops counting once there are too many tokens, or counts only characters.
    r"(?:.*?(at least )?(?<!\d)(?<!bound for )(\d{1,20}) (?:input tokens|tokens in the input))?",
    re.S,
)
# The engine's own refusal of prompts that the HTTP server did not count.
_MODEL_LENGTH = re.compile(
    r"prompt \(length (\d{1,20})\) [^.]{0,100}longer than the maximum model length of (\d{1,20})"
)
_OF_CONTENTS = (TOO_LARGE, MALFORMED, HTTP_ROWS[500])
_NAMED = re.compile(
    r"^\d+ validation errors? for \w+\n(\w+)\n"
    # The location may contain the validator of a union.
    r"|'loc': \('body', (?:'[\w-]+\[[^']*\]', )?'(\w+)'"
    r"|\(parameter=(\w+)[,)]"
)


def of_failure(failure: UpstreamFailure, model: str = "") -> Status:
    """Returns the status of a failed exchange with an upstream about a model."""
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
    """Returns whether a retry of the request, possibly elsewhere, is safe and useful."""
    resend = _row(failure).resend
    return resend is Resend.YES or (elsewhere and resend is Resend.ELSEWHERE)


def depends_on_contents(failure: UpstreamFailure) -> bool:
    """Returns whether a request with other contents might not have failed so."""
    row = _row(failure)
    return row.code is grpc.StatusCode.INVALID_ARGUMENT or row in _OF_CONTENTS


def _message(failure: UpstreamFailure, row: Row) -> str:
    if row is UPSTREAM_AUTH:
        # The upstream's own message often contains a part of the credentials.
        return f"the upstream refused the server's credentials (HTTP {failure.status})"
    if row in CALLERS_AUTH_ROWS.values():
        return f"the upstream refused the caller's credentials (HTTP {failure.status})"
    if failure.route_missing and (failure.error.bare or failure.status == 404):
        # A web server without the route reports only "Not Found".
        hint = _HINTS.get(failure.path, "")
        return f"the upstream does not serve {failure.operation}: it has no {failure.path}{hint}"
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
        return UNAVAILABLE if failure.model_listed else MODEL_NOT_FOUND
    if status == 400 and _is_context_length(error):
        return CONTEXT_LENGTH
    if status == 422 and error.param.endswith("_url"):
        return MEDIA_FETCH
    if failure.engine_dead:
        return ENGINE_DEAD
    if failure.unreached:
        return UNAVAILABLE
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
        or _MODEL_LENGTH.search(error.message) is not None
    )


def _other_status(status: int) -> Row:
    if status < 300:
        return MALFORMED
    if status < 400:
        return GATEWAY_ERROR
    return UNEXPECTED_4XX if status < 500 else UNEXPECTED_5XX


def _metadata(failure: UpstreamFailure, row: Row) -> dict[str, str]:
    # Texts about credentials are not passed on: see `_message`.
    error = ErrorBody() if _concerns_credentials(row) else failure.error
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
    return without_empty(found)


def _concerns_credentials(row: Row) -> bool:
    return row is UPSTREAM_AUTH or row in CALLERS_AUTH_ROWS.values()


def _context_lengths(error: ErrorBody) -> dict[str, str]:
    if match := _MODEL_LENGTH.search(error.message):
        return {"maxModelLen": match[2], "promptTokens": match[1]}
    match = _CONTEXT_LENGTH.search(error.message)
    if not match:
        return {}
    counted = "promptTokensAtLeast" if match[2] else "promptTokens"
    return {"maxModelLen": match[1], counted: match[3] or ""}


def _violations(failure: UpstreamFailure, row: Row) -> tuple[Violation, ...]:
    if failure.kind is Kind.MODEL_AMBIGUOUS:
        return (Violation("model", failure.message),)
    if row.code is not grpc.StatusCode.INVALID_ARGUMENT:
        return ()
    error = failure.error
    route = _route(failure)
    param = error.param or _named_in_words(error.message, route)
    faults = error.faults or ((param, failure.message),)
    return tuple(Violation(field_path(route, param), what) for param, what in faults if param)


def _named_in_words(message: str, route: str) -> str:
    """Returns the field that an error text of an older vLLM names; empty if it names none."""
    match = _NAMED.search(message)
    name = match[match.lastindex or 0] if match else ""
    return name if name in HOMES.get(route, {}) else ""


def _route(failure: UpstreamFailure) -> str:
    """Returns the key of the request's fields in `HOMES`: one route may serve two operations."""
    return failure.operation if failure.operation in HOMES else failure.path
