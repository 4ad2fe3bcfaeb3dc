"""Errors that clients raise.

    PenstockError
    ├── CallError                      a call ended with a status other than OK
    │   ├── InvalidRequestError        INVALID_ARGUMENT     retrying it unchanged cannot succeed
    │   ├── OutOfRangeError            OUT_OF_RANGE
    │   ├── FailedPreconditionError    FAILED_PRECONDITION
    │   ├── UnauthenticatedError       UNAUTHENTICATED      credentials missing or not valid
    │   ├── PermissionDeniedError      PERMISSION_DENIED
    │   ├── NotFoundError              NOT_FOUND            no such model or response
    │   ├── AbortedError               ABORTED              a conflict with another request
    │   ├── ResourceExhaustedError     RESOURCE_EXHAUSTED   over a quota or a size limit
    │   ├── UnimplementedError         UNIMPLEMENTED        not supported by service or model
    │   ├── UnavailableError           UNAVAILABLE          unreachable, or a stream broke off
    │   ├── DeadlineExceededError      DEADLINE_EXCEEDED    the timeout, or a limit upstream
    │   ├── InternalError              INTERNAL             a fault of the service or upstream
    │   ├── UnknownError               UNKNOWN              an upstream error without a category
    │   └── CallCancelledError         CANCELLED            cancelled by `close()` or remotely
    ├── ClientClosedError              the client was closed before the call
    ├── IncompleteStreamError          a stream ended with OK before its answer was complete
    └── AnswerParseError               an answer is not the JSON that was requested

The classes also have the names that openai-python uses, such as `RateLimitError`.
`CallError.reason` is more specific than the class; the comments of `penstock/v1/common.proto` list
the reasons of each status. A call that raises `UnavailableError` has already been retried as often
as the client's `retries` allow, unless the service advised against it.

    >>> try:
    ...     client.chat.create("Hi", model="nobody")
    ... except NotFoundError as error:
    ...     print(error.reason, error.resource)
    MODEL_NOT_FOUND nobody
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from penstock._base.call_info import CallInfo
from penstock._base.unreachable import explained
from penstock.v1.item_pb2 import ItemError

_CREDENTIALS = (
    "; set a key (api_key, --api-key or PENSTOCK_API_KEY), or a client certificate "
    "(TLS(cert=...), --tls-cert or PENSTOCK_TLS_CERT)"
)


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of the request that is not valid.

    Attributes:
        field: path of the field in the request message, such as
            `messages[2].content[0].image.url`.
        description: description of the problem.
    """

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """An exhausted quota.

    Attributes:
        subject: owner of the quota, such as `key:batch`.
        description: the quota, such as "60 calls per minute".
    """

    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """The upstream's error; fields that it did not send are empty or None.

    Attributes:
        status: HTTP status.
        type: error type in the body.
        param: parameter named in the body.
        code: error code in the body.
        name: the service's name for the upstream; empty if the call did not reach one.
    """

    status: int | None = None
    type: str = ""
    param: str = ""
    code: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a call, with the service's error details; see `CallError`.

    Attributes:
        reached: whether the call may have reached a service.
    """

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    violations: tuple[Violation, ...] = ()
    retry_delay: float | None = None
    request_id: str = ""
    resource: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    quota_violations: tuple[QuotaViolation, ...] = ()
    upstream: str = ""
    attempts: int = 0
    reached: bool = True


class PenstockError(Exception):
    """Base class of all errors of a client."""

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs; empty if none was made."""
        return ""


class ClientClosedError(PenstockError):
    """A client was used after `close()`."""

    def __str__(self) -> str:
        return "the client is closed"


class CallError(PenstockError):
    """A call ended with a status other than OK; `__cause__` is the gRPC error.

    Attributes:
        status: the status with its details, as one value.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        message = self.status.message
        fields = ", ".join(one.field for one in self.violations if one.field not in message)
        head = f"{self.code.name} {self.reason}".rstrip()
        return f"{head}: {message}" + (f" (at {fields})" if fields else "")

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return self.status.code

    @property
    def reason(self) -> str:
        """The reason, such as "CONTEXT_LENGTH_EXCEEDED"; empty if gRPC itself ended the call."""
        return self.status.reason

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The fields of the request that are not valid."""
        return self.status.violations

    @property
    def retry_delay(self) -> float | None:
        """Seconds to wait before a retry; None if a retry is not safe or the time is not known."""
        return self.status.retry_delay

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs."""
        return self.status.request_id

    @property
    def resource(self) -> str:
        """Name of the resource that was not found."""
        return self.status.resource

    @property
    def quota_violations(self) -> tuple[QuotaViolation, ...]:
        """The exhausted quotas of the service; empty if the quota is the upstream's."""
        return self.status.quota_violations

    @property
    def metadata(self) -> Mapping[str, str]:
        """Details of the reason, such as `model`, `stage` and `messagesSent`."""
        return self.status.metadata

    @property
    def upstream(self) -> Upstream:
        """The upstream that the call reached, and its error."""
        details = self.metadata
        return Upstream(
            status=int(details["upstreamStatus"]) if details.get("upstreamStatus") else None,
            type=details.get("upstreamType", ""),
            param=details.get("upstreamParam", ""),
            code=details.get("upstreamCode", ""),
            name=self.status.upstream,
        )

    @property
    def attempts(self) -> int:
        """Number of requests that the service sent upstream; 0 if none or not reported."""
        return self.status.attempts


class InvalidRequestError(CallError):
    """INVALID_ARGUMENT: the request is malformed, or the upstream refused it."""


class OutOfRangeError(CallError):
    """OUT_OF_RANGE."""


class FailedPreconditionError(CallError):
    """FAILED_PRECONDITION."""


class UnauthenticatedError(CallError):
    """UNAUTHENTICATED: the credentials are missing or not valid."""

    def __str__(self) -> str:
        return super().__str__() + (_CREDENTIALS if self.reason == "INVALID_CREDENTIALS" else "")


class PermissionDeniedError(CallError):
    """PERMISSION_DENIED: the caller may not do this."""


class NotFoundError(CallError):
    """NOT_FOUND: no such model or response; see `resource`."""


class AbortedError(CallError):
    """ABORTED: a conflict with another request."""


class ResourceExhaustedError(CallError):
    """RESOURCE_EXHAUSTED: a quota is exhausted, or a message or file is too large.

    See `quota_violations`, and `retry_delay` for the time until a retry.
    """


class UnimplementedError(CallError):
    """UNIMPLEMENTED: the service or the model does not support this."""


class UnavailableError(CallError):
    """UNAVAILABLE: service or upstreams are unreachable or busy, or a stream broke off."""


class DeadlineExceededError(CallError):
    """DEADLINE_EXCEEDED: the timeout passed, or a time limit of the service or upstream."""


class InternalError(CallError):
    """INTERNAL: a fault of the service or the upstream."""


class UnknownError(CallError):
    """UNKNOWN: the upstream reported an error that maps to no other status."""


class CallCancelledError(CallError):
    """CANCELLED: the call was cancelled, by `close()` or in transit."""


class IncompleteStreamError(PenstockError):
    """A stream ended with OK before its answer was complete: a fault of the service.

    Attributes:
        partial: the result as received so far.
    """

    def __init__(self, missing: str, partial: Any) -> None:
        super().__init__(missing, partial)
        self.partial = partial

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs."""
        return str(self.partial.request_id)

    def __str__(self) -> str:
        return f"the stream ended with OK, but {self.args[0]}"


class AnswerParseError(PenstockError):
    """An answer is not the JSON that was requested, perhaps because it was cut off.

    Attributes:
        answer: the whole result, with its `text` and `finish_reason`.
    """

    def __init__(self, message: str, answer: Any) -> None:
        super().__init__(message, answer)
        self.answer = answer

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs."""
        return str(self.answer.request_id)

    def __str__(self) -> str:
        return str(self.args[0])


# The names of openai-python; those of `NotFoundError` and `PermissionDeniedError` are the same.
APIError = PenstockError
APIStatusError = CallError
APIConnectionError = UnavailableError
APITimeoutError = DeadlineExceededError
AuthenticationError = UnauthenticatedError
BadRequestError = InvalidRequestError
ConflictError = AbortedError
InternalServerError = InternalError
RateLimitError = ResourceExhaustedError

_Code = grpc.StatusCode
BY_CODE: Mapping[grpc.StatusCode, type[CallError]] = {
    _Code.INVALID_ARGUMENT: InvalidRequestError,
    _Code.OUT_OF_RANGE: OutOfRangeError,
    _Code.FAILED_PRECONDITION: FailedPreconditionError,
    _Code.UNAUTHENTICATED: UnauthenticatedError,
    _Code.PERMISSION_DENIED: PermissionDeniedError,
    _Code.NOT_FOUND: NotFoundError,
    _Code.ABORTED: AbortedError,
    _Code.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    _Code.UNIMPLEMENTED: UnimplementedError,
    _Code.UNAVAILABLE: UnavailableError,
    _Code.DEADLINE_EXCEEDED: DeadlineExceededError,
    _Code.INTERNAL: InternalError,
    _Code.UNKNOWN: UnknownError,
    _Code.CANCELLED: CallCancelledError,
}
"""Error class of each status code; other codes raise `CallError` itself."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS_KEY = "grpc-status-details-bin"


def from_rpc(error: grpc.RpcError, request_id: str) -> CallError:
    """Returns the typed error for a gRPC error.

    Args:
        error: the gRPC error.
        request_id: request id that was sent with the call, used if the trailers have none.
    """
    call: Any = error
    details = call.details() or ""
    status = _status(call.code(), details, call.trailing_metadata(), request_id)
    if status.code is _Code.UNAVAILABLE and not status.reason and (why := explained(details)):
        status = replace(status, message=why, reached=False)
    return BY_CODE.get(status.code, CallError)(status)


def from_item(error: ItemError, request_id: str) -> CallError:
    """Returns the typed error for an item that failed.

    Args:
        error: the error in the result of the item.
        request_id: request id of the item.
    """
    code = _CODES.get(error.code, _Code.UNKNOWN)
    # Its bytes are also those of a google.rpc.Status.
    details = ((_DETAILS_KEY, error.SerializeToString()),)
    return BY_CODE.get(code, CallError)(_status(code, error.message, details, request_id))


def cancelled(message: str, request_id: str) -> CallCancelledError:
    """Returns the error for a call that was cancelled locally."""
    return CallCancelledError(Status(_Code.CANCELLED, message, request_id=request_id))


def _status(
    code: grpc.StatusCode,
    message: str,
    trailers: Iterable[tuple[str, Any]] | None,
    request_id: str,
) -> Status:
    # Iterate over items: in older versions of grpc.aio, Metadata has keys of another type.
    found = dict(iter(trailers or ()))
    call = CallInfo.read(found.items(), request_id)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    resource, quota = error_details_pb2.ResourceInfo(), error_details_pb2.QuotaFailure()
    rich = status_pb2.Status.FromString(found.get(_DETAILS_KEY, b""))
    for detail in rich.details:
        for known in (info, request, bad, retry, resource, quota):
            detail.Unpack(known)
    delay = retry.retry_delay
    return Status(
        code,
        message,
        reason=info.reason,
        violations=tuple(Violation(one.field, one.description) for one in bad.field_violations),
        retry_delay=delay.seconds + delay.nanos / 1e9 if retry.HasField("retry_delay") else None,
        request_id=request.request_id or call.request_id,
        resource=resource.resource_name,
        metadata=dict(info.metadata),
        quota_violations=tuple(
            QuotaViolation(one.subject, one.description) for one in quota.violations
        ),
        upstream=call.upstream,
        attempts=call.attempts,
    )
