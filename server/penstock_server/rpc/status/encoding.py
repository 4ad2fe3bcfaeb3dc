"""Encodes a status: its message, its details and the signals to retry, within size limits."""

from collections.abc import Iterator
from math import ceil
from traceback import format_exception_only, format_tb
from typing import TypeAlias

from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from penstock_server.convert.errors import Violation
from penstock_server.rpc.status.statuses import Status
from penstock_server.rpc.status.table import Resend

DOMAIN = "penstock"
LIMIT = 7 * 1024
"""Bytes of everything that ends a call, as encoded on the wire: clients with a limit of 8 KiB,
gRPC's default, report a status that exceeds it as another code, without details."""
MESSAGE_LIMIT = 1024
"""Bytes of the status message."""
DETAILS_LIMIT = 4096
"""Bytes of all details together."""
DETAILS_KEY = "grpc-status-details-bin"
"""The metadata key of the details."""

# `:status`, `content-type`, `grpc-status` and the other fields that gRPC adds.
_RESERVED = 256
# The size that HTTP/2 counts for a field in addition to its name and value (RFC 9113, 6.5.2).
_FIELD = 32
_MESSAGE_KEY = "grpc-message"
# The name of its type, and lengths.
_DETAIL_FRAME = 64
_CUT = "…"
_TEXT_LIMIT = 256
_VIOLATIONS_LIMIT = 2048
_STACK_LIMIT = 2048
_DEFAULT_RETRY_S = 1.0


Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]


def trailers(
    status: Status, request_id: str, common: Metadata = (), errors_url: str = ""
) -> tuple[str, Metadata]:
    """Returns the status message and the trailing metadata that carry a status to the caller.

    Args:
        status: the status.
        request_id: the id of the call.
        common: other metadata that ends every call; it is part of the result and of its size.
        errors_url: the page that describes the reasons, each at an anchor; empty for none.
    """
    metadata: Metadata = (*common, *_retry_metadata(status))
    room = LIMIT - _RESERVED - _size((*metadata, (_MESSAGE_KEY, ""), (DETAILS_KEY, b"")))
    # The message is sent twice: as text, and in the details.
    message = _shortened(status.message, room * 3 // 5)
    room = (room - _percent_encoded(message)) * 3 // 4
    rich = status_pb2.Status(code=status.row.code.value[0], message=message)
    room = min(room, DETAILS_LIMIT)
    _add_details(rich, status, request_id, room)
    if errors_url:
        _add(rich, _help(status.row.reason, errors_url), room)
    return message, (*metadata, (DETAILS_KEY, rich.SerializeToString()))


def _size(metadata: Metadata) -> int:
    return sum(_FIELD + len(key) + len(value) for key, value in metadata)


def _shortened(message: str, room: int) -> str:
    """Returns as much of a message as fits."""
    message = _cut(message, MESSAGE_LIMIT)
    if _cost(message) <= room:
        return message
    room -= _cost(_CUT)
    for end, char in enumerate(message):
        room -= _cost(char)
        if room < 0:
            return message[:end] + _CUT
    return message


def _cost(text: str) -> int:
    """Returns the size in bytes of a text that is sent percent-encoded and again in base64."""
    return _percent_encoded(text) + -(-len(_utf8(text)) * 4 // 3)


def _percent_encoded(text: str) -> int:
    return sum(1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in _utf8(text))


def _add_details(rich: status_pb2.Status, status: Status, request_id: str, room: int) -> None:
    """Adds the details that fit, the most important first."""
    for detail in _details(status, request_id):
        _add(rich, detail, room)
    left = room - rich.ByteSize() - _DETAIL_FRAME
    if status.violations and (bad := _bad_request(status.violations, left)).field_violations:
        _add(rich, bad, room)
    if status.bug:
        _add(rich, _debug_info(status.bug, room - rich.ByteSize() - _DETAIL_FRAME), room)


def _add(rich: status_pb2.Status, detail: Message, room: int) -> None:
    rich.details.add().Pack(detail)
    if rich.ByteSize() > room:
        del rich.details[-1]


def _details(status: Status, request_id: str) -> Iterator[Message]:
    """Yields the details that are never large."""
    metadata = {key: _cut(value, _TEXT_LIMIT) for key, value in status.metadata.items()}
    yield error_details_pb2.ErrorInfo(reason=status.row.reason, domain=DOMAIN, metadata=metadata)
    yield error_details_pb2.RequestInfo(request_id=request_id)
    if _has_delay(status):
        yield error_details_pb2.RetryInfo(retry_delay=_duration(_delay(status)))
    if status.missing:
        kind, name = status.missing[0], _cut(status.missing[1], _TEXT_LIMIT)
        yield error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name)
    if status.quota:
        yield _quota_failure(*status.quota)


def _quota_failure(subject: str, description: str) -> error_details_pb2.QuotaFailure:
    failure = error_details_pb2.QuotaFailure()
    failure.violations.add(subject=_cut(subject, _TEXT_LIMIT), description=description)
    return failure


def _help(reason: str, errors_url: str) -> error_details_pb2.Help:
    link = error_details_pb2.Help.Link(description=reason, url=f"{errors_url}#{reason}")
    return error_details_pb2.Help(links=[link])


def _debug_info(bug: Exception, room: int) -> error_details_pb2.DebugInfo:
    """Returns the stack of a bug, the innermost frame first, as much as fits."""
    detail = "".join(format_exception_only(bug)).strip()
    info = error_details_pb2.DebugInfo(detail=_cut(detail, _TEXT_LIMIT))
    for entry in reversed(format_tb(bug.__traceback__)):
        info.stack_entries.append(_cut(entry.strip(), 2 * _TEXT_LIMIT))
        if info.ByteSize() > min(room, _STACK_LIMIT):
            del info.stack_entries[-1]
            break
    return info


def _bad_request(violations: tuple[Violation, ...], room: int) -> error_details_pb2.BadRequest:
    """Returns the violations that fit, the first without its description if necessary.

    The field matters more than the description, which the message repeats.
    """
    bad = error_details_pb2.BadRequest()
    for violation in violations:
        added = bad.field_violations.add(
            field=_cut(violation.field, _TEXT_LIMIT),
            description=_cut(violation.description, 2 * _TEXT_LIMIT),
        )
        if bad.ByteSize() > min(room, _VIOLATIONS_LIMIT):
            added.ClearField("description")
            if len(bad.field_violations) > 1 or bad.ByteSize() > room:
                del bad.field_violations[-1]
            break
    return bad


def _retry_metadata(status: Status) -> list[tuple[str, str]]:
    """Returns the metadata that libraries and proxies with automatic retries obey.

    gRPC libraries obey the first key. Envoy ignores it, but never retries a status with the second
    one, whatever its policy.
    """
    resend, delayed = status.row.resend, _has_delay(status)
    kept = resend in (Resend.CALLER_DECIDES, Resend.NEVER)
    metadata = [("grpc-retry-pushback-ms", "-1"), ("x-envoy-ratelimited", "true")] if kept else []
    if resend is Resend.YES:
        metadata = [("grpc-retry-pushback-ms", str(round(_delay(status) * 1000)))]
    if delayed:
        metadata.append(("retry-after", str(max(1, ceil(_delay(status))))))
    return metadata


def _has_delay(status: Status) -> bool:
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
    encoded = _utf8(text)
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(_utf8(_CUT))].decode("utf-8", "ignore") + _CUT


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
