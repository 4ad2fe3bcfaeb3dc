"""How a status travels: its message, its details and the signals to retry, within their caps."""

from math import ceil
from traceback import format_exception_only, format_tb

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from penstock_server.convert.errors import Violation
from penstock_server.rpc.status import Resend, Status

DOMAIN = "penstock"
MESSAGE_LIMIT = 1024
"""Bytes of the status message. More would risk the client's limit for trailers, and a status
that is over it reaches the client as another code."""
DETAILS_LIMIT = 4096
"""Bytes of all details together."""

_TEXT_LIMIT = 256
_VIOLATIONS_LIMIT = 2048
_STACK_LIMIT = 2048
_DEFAULT_RETRY_S = 1.0


def trailers(status: Status, request_id: str) -> tuple[str, tuple[tuple[str, str | bytes], ...]]:
    """Returns the status message and the trailing metadata that carry a status to the caller."""
    message = _cut(status.message, MESSAGE_LIMIT)
    rich = status_pb2.Status(code=status.row.code.value[0], message=message)
    for detail in _details(status, request_id):
        packed = any_pb2.Any()
        packed.Pack(detail)
        if rich.ByteSize() + packed.ByteSize() <= DETAILS_LIMIT:
            rich.details.append(packed)
    metadata: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", rich.SerializeToString())
    ]
    return message, (*metadata, *_retry_metadata(status))


def _details(status: Status, request_id: str) -> list[Message]:
    """Lists the details, the ones that matter most first: what is over the limit is left out."""
    metadata = {key: _cut(value, _TEXT_LIMIT) for key, value in status.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=status.row.reason, domain=DOMAIN, metadata=metadata)
    details: list[Message] = [info, error_details_pb2.RequestInfo(request_id=request_id)]
    if _tells_when(status):
        details.append(error_details_pb2.RetryInfo(retry_delay=_duration(_delay(status))))
    if status.violations:
        details.append(_bad_request(status.violations))
    if status.missing:
        kind, name = status.missing[0], _cut(status.missing[1], _TEXT_LIMIT)
        details.append(error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name))
    if status.quota:
        details.append(_quota_failure(*status.quota))
    if status.bug:
        details.append(_debug_info(status.bug))
    return details


def _quota_failure(subject: str, description: str) -> error_details_pb2.QuotaFailure:
    failure = error_details_pb2.QuotaFailure()
    failure.violations.add(subject=_cut(subject, _TEXT_LIMIT), description=description)
    return failure


def _debug_info(bug: Exception) -> error_details_pb2.DebugInfo:
    """Tells where it happened, the innermost frame first, as far as there is room."""
    said = "".join(format_exception_only(bug)).strip()
    info = error_details_pb2.DebugInfo(detail=_cut(said, _TEXT_LIMIT))
    for entry in reversed(format_tb(bug.__traceback__)):
        info.stack_entries.append(_cut(entry.strip(), 2 * _TEXT_LIMIT))
        if info.ByteSize() > _STACK_LIMIT:
            del info.stack_entries[-1]
            break
    return info


def _bad_request(violations: tuple[Violation, ...]) -> error_details_pb2.BadRequest:
    """Lists as many violations as there is room for beside the other details."""
    bad = error_details_pb2.BadRequest()
    for violation in violations:
        bad.field_violations.add(
            field=_cut(violation.field, _TEXT_LIMIT),
            description=_cut(violation.description, 2 * _TEXT_LIMIT),
        )
        if bad.ByteSize() > _VIOLATIONS_LIMIT:
            del bad.field_violations[-1]
            break
    return bad


def _retry_metadata(status: Status) -> list[tuple[str, str]]:
    if status.row.resend is Resend.NEVER:
        return [("grpc-retry-pushback-ms", "-1")]
    if not _tells_when(status):
        return []
    delay = _delay(status)
    retry_after = ("retry-after", str(max(1, ceil(delay))))
    if status.row.resend is not Resend.YES:
        return [retry_after]
    return [("grpc-retry-pushback-ms", str(round(delay * 1000))), retry_after]


def _tells_when(status: Status) -> bool:
    known = status.retry_after_s is not None
    resend = status.row.resend
    callers = resend in (Resend.CALLER_DECIDES, Resend.ELSEWHERE)
    return resend is Resend.YES or (callers and known)


def _delay(status: Status) -> float:
    return _DEFAULT_RETRY_S if status.retry_after_s is None else status.retry_after_s


def _duration(seconds: float) -> duration_pb2.Duration:
    whole = int(seconds)
    return duration_pb2.Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def _cut(text: str, limit: int) -> str:
    """Cuts a text to a number of UTF-8 bytes, never inside a character."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"
