"""Statuses that end a call, each with its row of the table, a message and details."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from penstock_server.convert.errors import (
    InvalidRequest,
    MalformedAnswer,
    UnsupportedRequest,
    Violation,
)
from penstock_server.rpc.status.table import (
    CONFLICTING_FIELDS,
    DEADLINE,
    DRAINING,
    GATEWAY_ERROR,
    INTERRUPTED,
    INVALID_CREDENTIALS,
    INVALID_REQUEST,
    KIND_ROWS,
    MALFORMED,
    METHOD_FORBIDDEN,
    MODEL_FORBIDDEN,
    OVERLOADED,
    RATE_LIMITED,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED_OPERATION,
    Resend,
    Row,
)
from penstock_server.upstream import Attempts, Kind


@dataclass(frozen=True, slots=True)
class Status:
    """A gRPC status with its details, ready to be sent.

    Attributes:
        row: the row of the table.
        message: text for people; cut to `MESSAGE_LIMIT` when sent.
        metadata: `ErrorInfo.metadata`.
        violations: become `BadRequest`.
        missing: the kind and the name of a missing resource; becomes `ResourceInfo`.
        retry_after_s: the delay before a retry; a default if the row allows a retry and this is
            None.
        quota: the owner of an exhausted quota, and the quota; becomes `QuotaFailure`.
        bug: an unexpected exception that the caller may see; becomes `DebugInfo`.
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
        """Returns a copy with facts about the call that ends in it.

        Args:
            model: the model that the call requested.
            attempts: the number of requests that were sent upstream.
            messages_sent: the number of stream messages that the caller already has; a retry
                would start over instead of continuing after them.
        """
        facts = {
            "model": model,
            "attempts": str(attempts or ""),
            "messagesSent": str(messages_sent or ""),
        }
        row = replace(self.row, resend=Resend.NEVER) if messages_sent else self.row
        return replace(self, row=row, metadata={**self.metadata, **without_empty(facts)})


class Refusal(Exception):
    """Ends the call with a status; raised by middleware and by the code that reads requests.

    Attributes:
        status: the status.
    """

    def __init__(self, status: Status) -> None:
        """Wraps a status."""
        super().__init__(status.message)
        self.status = status


def without_empty(metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns the entries that have a value."""
    return {key: value for key, value in metadata.items() if value}


def of_invalid(error: InvalidRequest) -> Status:
    """Returns the status of a request that cannot be sent upstream."""
    row = CONFLICTING_FIELDS if error.conflicting else INVALID_REQUEST
    return Status(row, str(error), violations=error.violations)


def of_unsupported(error: UnsupportedRequest) -> Status:
    """Returns the status of a request for something that its upstream does not support."""
    return Status(UNSUPPORTED_OPERATION, str(error), violations=error.violations)


def of_undecodable() -> Status:
    """Returns the status of bytes that do not parse as the method's request type."""
    return Status(INVALID_REQUEST, "the request could not be decoded as this method's message")


def of_no_request() -> Status:
    """Returns the status of a call that ends without its single request message."""
    return Status(INVALID_REQUEST, "the call has no request message")


def of_malformed(error: MalformedAnswer, attempts: Attempts) -> Status:
    """Returns the status of the last attempt's answer, which does not fit our messages."""
    metadata = {
        "stage": attempts.stage.value,
        "path": attempts.path,
        "upstreamStatus": str(attempts.status or ""),
        "offset": "" if attempts.offset is None else str(attempts.offset),
    }
    return Status(MALFORMED, f"malformed upstream answer: {error}", without_empty(metadata))


def of_too_large(size: int, limit: int) -> Status:
    """Returns the status of a reply whose size in bytes exceeds the limit of a message."""
    message = f"the reply has {size} bytes, over the limit of {limit} bytes; request less at once"
    return Status(TOO_LARGE, message, {"limitBytes": str(limit)})


def of_many_entries(most: int) -> Status:
    """Returns the status of a request with more entries than the limit."""
    message = (
        f"the request contains more than {most} fields and elements; send several smaller ones"
    )
    return Status(TOO_LARGE, message, {"limit": "max_request_entries"})


def of_deadline(seconds: float, metadata: Mapping[str, str]) -> Status:
    """Returns the status of a call that took longer than the server allows."""
    message = f"the call took longer than the {seconds:g} s that the server allows"
    return Status(DEADLINE, message, metadata)


def of_credentials(message: str) -> Status:
    """Returns the status of a caller with missing or bad credentials."""
    return Status(INVALID_CREDENTIALS, message)


def of_forbidden(model: str) -> Status:
    """Returns the status of a call for a model, existing or not, that the caller may not use."""
    return Status(MODEL_FORBIDDEN, f"the caller may not use the model {model}")


def of_forbidden_method(method: str) -> Status:
    """Returns the status of a call of a method, existing or not, that the caller may not call."""
    return Status(METHOD_FORBIDDEN, f"the caller may not call {method}", {"method": method})


def of_unguarded_method(method: str) -> Status:
    """Returns the status of a call that changes engines while AdminService admits every caller."""
    message = f"{method} requires the server's option admin_requires_caller"
    return Status(METHOD_FORBIDDEN, message, {"method": method})


def of_limit(caller: str, limit: str, described: str, left: int, retry_after_s: float) -> Status:
    """Returns the status of a call that exceeds a limit of its caller.

    Args:
        caller: the name of the caller.
        limit: the key of the limit in the file of callers.
        described: the limit in words.
        left: the part of it that is left; below 0, the caller has used more than it may.
        retry_after_s: the time until another call can succeed.
    """
    message = f"{caller} has reached its limit of {described}"
    return Status(
        RATE_LIMITED,
        message,
        {"limit": limit, "left": str(left)},
        retry_after_s=retry_after_s,
        quota=(f"caller:{caller}", f"{described}, {left} left"),
    )


def of_failed_logins(address: str, per_minute: int, retry_after_s: float) -> Status:
    """Returns the status of a call from an address that has sent too many unknown keys."""
    return Status(
        RATE_LIMITED,
        f"too many failed logins from {address}",
        {"limit": "max_failed_logins", "left": "0"},
        retry_after_s=retry_after_s,
        quota=(f"address:{address}", f"{per_minute} failed logins per minute, 0 left"),
    )


def of_overload(most: int) -> Status:
    """Returns the status of a call beyond the limit of concurrent calls."""
    message = f"the server is busy with {most} calls, its limit"
    return Status(OVERLOADED, message, {"limit": "max_concurrent_calls"})


def of_pending(most: int) -> Status:
    """Returns the status of a call that made room for another before its request arrived."""
    message = f"the server is waiting for the requests of {most} calls, its limit"
    return Status(OVERLOADED, message, {"limit": "max_pending_calls"})


def of_watches(most: int, option: str) -> Status:
    """Returns the status of a health or reflection call beyond the limit of an option."""
    message = f"{most} health and reflection calls are open, the limit"
    return Status(OVERLOADED, message, {"limit": option})


def of_late_request(seconds: float) -> Status:
    """Returns the status of a call whose next request message did not arrive in time."""
    message = f"no request message arrived within {seconds:g} s"
    return Status(DEADLINE, message, {"limit": "request_timeout"})


def of_large_metadata(limit: int) -> Status:
    """Returns the status of a call whose metadata exceeds the limit in bytes."""
    message = f"the metadata of the call exceeds the limit of {limit} bytes"
    return Status(TOO_LARGE, message, {"limitBytes": str(limit)})


def of_draining() -> Status:
    """Returns the status of a call that arrives while the server shuts down."""
    return Status(DRAINING, "the server is shutting down", retry_after_s=0)


def of_shutdown(messages_sent: int) -> Status:
    """Returns the status of a call that the server's shutdown cut off."""
    row = INTERRUPTED if messages_sent else KIND_ROWS[Kind.CLOSED]
    return Status(row, "the server shut down before the answer was complete")


def of_silent_workers(count: int) -> Status:
    """Returns the status of a call that needs a worker process while none of them answers."""
    return Status(UNAVAILABLE, f"none of the {count} worker processes answered")


def of_bug(shown: Exception | None = None) -> Status:
    """Returns the status of an unexpected exception.

    Args:
        shown: the exception, if the caller may see its details.
    """
    return Status(GATEWAY_ERROR, "internal error of the gateway; see its log", bug=shown)
