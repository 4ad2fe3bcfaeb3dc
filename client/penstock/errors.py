"""What a client raises.

    PenstockError
    ├── CallError                      a call ended with a status other than OK
    │   ├── InvalidRequestError        INVALID_ARGUMENT     do not send it again unchanged
    │   ├── OutOfRangeError            OUT_OF_RANGE
    │   ├── FailedPreconditionError    FAILED_PRECONDITION
    │   ├── UnauthenticatedError       UNAUTHENTICATED      no credentials, or bad ones
    │   ├── PermissionDeniedError      PERMISSION_DENIED
    │   ├── NotFoundError              NOT_FOUND            no such model or response
    │   ├── AbortedError               ABORTED              a conflict with another request
    │   ├── ResourceExhaustedError     RESOURCE_EXHAUSTED   over a quota or a size limit
    │   ├── UnimplementedError         UNIMPLEMENTED        not offered, or not by this model
    │   ├── UnavailableError           UNAVAILABLE          nobody answers, or a stream broke off
    │   ├── DeadlineExceededError      DEADLINE_EXCEEDED    the timeout, or a limit upstream
    │   ├── InternalError              INTERNAL             a fault of service or upstream
    │   ├── UnknownError               UNKNOWN              an answer that fits nowhere
    │   └── CallCancelledError         CANCELLED            by `close()` or by the other side
    ├── ClientClosedError              the client was closed before the call
    ├── IncompleteStreamError          a stream ended with OK before its answer was complete
    └── AnswerParseError               an answer is not the JSON that was asked for

`CallError.reason` tells more than the class; the reasons of each status are listed in the comment
of `penstock/v1/common.proto`. `UnavailableError` was sent again already, as often as the client's
`retries` say, unless the service advised against it.

    >>> try:
    ...     client.chat.create("Hi", model="nobody")
    ... except NotFoundError as error:
    ...     print(error.reason, error.resource)
    MODEL_NOT_FOUND nobody
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from penstock._base.call_info import CallInfo


@dataclass(frozen=True, slots=True)
class Violation:
    """A fault in the request.

    Attributes:
        field: path of the field in the request message, as `messages[2].content[0].image.url`.
        description: what is wrong with it.
    """

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class QuotaViolation:
    """A quota that is used up.

    Attributes:
        subject: whose it is, as `key:batch`.
        description: what it is, as "60 calls per minute".
    """

    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the upstream said; empty and None where it said nothing.

    Attributes:
        status: HTTP status.
        type: type of the error, from its body.
        param: parameter at fault, from its body.
        code: code of the error, from its body.
        name: the service's name for it; empty if the call did not get so far.
    """

    status: int | None = None
    type: str = ""
    param: str = ""
    code: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended, with the details of the service; see `CallError`."""

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


class PenstockError(Exception):
    """Base of all errors of a client."""

    @property
    def request_id(self) -> str:
        """Names the call in the service's logs; empty if none was made."""
        return ""


class ClientClosedError(PenstockError):
    """A client was used after its `close()`."""

    def __str__(self) -> str:
        return "the client is closed"


class CallError(PenstockError):
    """A call ended with a status other than OK; `__cause__` is gRPC's own error.

    Attributes:
        status: all of it as one value.
    """

    def __init__(self, status: Status) -> None:
        """Takes the status."""
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        fields = ", ".join(violation.field for violation in self.violations)
        head = f"{self.code.name} {self.reason}".rstrip()
        return f"{head}: {self.status.message}" + (f" (at {fields})" if fields else "")

    @property
    def code(self) -> grpc.StatusCode:
        """The code of the status."""
        return self.status.code

    @property
    def reason(self) -> str:
        """The reason, as "CONTEXT_LENGTH_EXCEEDED"; empty if gRPC itself ended the call."""
        return self.status.reason

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The faults in the request."""
        return self.status.violations

    @property
    def retry_delay(self) -> float | None:
        """Seconds to wait before sending again; None where that is not safe or not known."""
        return self.status.retry_delay

    @property
    def request_id(self) -> str:
        """Names the call in the service's logs."""
        return self.status.request_id

    @property
    def resource(self) -> str:
        """Name of what was not found."""
        return self.status.resource

    @property
    def quota_violations(self) -> tuple[QuotaViolation, ...]:
        """The quotas of the service that are used up; none where the upstream's are."""
        return self.status.quota_violations

    @property
    def metadata(self) -> Mapping[str, str]:
        """The reason's details: `model`, `stage`, `messagesSent` and what else is known."""
        return self.status.metadata

    @property
    def upstream(self) -> Upstream:
        """Which upstream it was, and what it said."""
        told = self.metadata
        return Upstream(
            status=int(told["upstreamStatus"]) if told.get("upstreamStatus") else None,
            type=told.get("upstreamType", ""),
            param=told.get("upstreamParam", ""),
            code=told.get("upstreamCode", ""),
            name=self.status.upstream,
        )

    @property
    def attempts(self) -> int:
        """How many requests the service sent upstream; 0 if none, or if it does not tell."""
        return self.status.attempts


class InvalidRequestError(CallError):
    """INVALID_ARGUMENT: the request is malformed, or the upstream refused it."""


class OutOfRangeError(CallError):
    """OUT_OF_RANGE."""


class FailedPreconditionError(CallError):
    """FAILED_PRECONDITION."""


class UnauthenticatedError(CallError):
    """UNAUTHENTICATED: no credentials, or bad ones."""


class PermissionDeniedError(CallError):
    """PERMISSION_DENIED: the caller may not do this."""


class NotFoundError(CallError):
    """NOT_FOUND: no such model or response; see `resource`."""


class AbortedError(CallError):
    """ABORTED: a conflict with another request."""


class ResourceExhaustedError(CallError):
    """RESOURCE_EXHAUSTED: a quota is used up, or a message or file is too large.

    See `quota_violations`, and `retry_delay` for when to come again.
    """


class UnimplementedError(CallError):
    """UNIMPLEMENTED: the service or the model does not offer this."""


class UnavailableError(CallError):
    """UNAVAILABLE: nobody answers, all are busy, or a stream broke off."""


class DeadlineExceededError(CallError):
    """DEADLINE_EXCEEDED: the timeout passed, or a time limit of service or upstream."""


class InternalError(CallError):
    """INTERNAL: a fault of the service or of the upstream."""


class UnknownError(CallError):
    """UNKNOWN: the upstream answered in a way that has no status."""


class CallCancelledError(CallError):
    """CANCELLED: the call was cancelled, by `close()` or on its way."""


class IncompleteStreamError(PenstockError):
    """A stream ended with OK before its answer was complete: a fault of the service.

    Attributes:
        partial: the result as far as it came.
    """

    def __init__(self, missing: str, partial: Any) -> None:
        """Takes what is missing, and what there is."""
        super().__init__(missing, partial)
        self.partial = partial

    @property
    def request_id(self) -> str:
        """Names the call in the service's logs."""
        return str(self.partial.request_id)

    def __str__(self) -> str:
        return f"the stream ended with OK, but {self.args[0]}"


class AnswerParseError(PenstockError):
    """An answer is not the JSON that was asked for, perhaps because it was cut off.

    Attributes:
        answer: the whole result, with its `text` and `finish_reason`.
    """

    def __init__(self, message: str, answer: Any) -> None:
        """Takes what is wrong, and the result."""
        super().__init__(message, answer)
        self.answer = answer

    @property
    def request_id(self) -> str:
        """Names the call in the service's logs."""
        return str(self.answer.request_id)

    def __str__(self) -> str:
        return str(self.args[0])


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
"""The class for each status; another status is a plain `CallError`."""


def from_rpc(error: grpc.RpcError, request_id: str) -> CallError:
    """Returns the typed error for one of gRPC; takes the name under which the call was sent."""
    call: Any = error
    status = _status(call.code(), call.details() or "", call.trailing_metadata(), request_id)
    return BY_CODE.get(status.code, CallError)(status)


def cancelled(message: str, request_id: str) -> CallCancelledError:
    """Returns the error of a call that was cancelled on this side."""
    return CallCancelledError(Status(_Code.CANCELLED, message, request_id=request_id))


def _status(
    code: grpc.StatusCode,
    message: str,
    trailers: Iterable[tuple[str, Any]] | None,
    request_id: str,
) -> Status:
    # By its items: the metadata of grpc.aio has keys of its own kind in older versions.
    found = dict(iter(trailers or ()))
    call = CallInfo.read(found.items(), request_id)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    resource, quota = error_details_pb2.ResourceInfo(), error_details_pb2.QuotaFailure()
    rich = status_pb2.Status.FromString(found.get("grpc-status-details-bin", b""))
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
