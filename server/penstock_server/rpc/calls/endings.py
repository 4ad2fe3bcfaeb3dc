"""The status that an exception ends a call with, or an item of a call."""

from traceback import clear_frames, walk_tb
from typing import Any, NamedTuple

from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, UnsupportedRequest
from penstock_server.rpc import status
from penstock_server.rpc.calls.context import Rpc
from penstock_server.rpc.status import Metadata, Status, trailers
from penstock_server.telemetry import events
from penstock_server.upstream import UpstreamFailure


class ReplyTooLarge(Exception):
    """A reply exceeds the size limit of a message.

    Attributes:
        size: its size in bytes.
        limit: the limit in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        """Sets both."""
        super().__init__(size, limit)
        self.size = size
        self.limit = limit


class Ending(NamedTuple):
    """The end of a failed call, or of an item.

    Attributes:
        status: the status.
        message: its message, as sent.
        metadata: the trailing metadata, which contains the details.
    """

    status: Status
    message: str
    metadata: Metadata


def ending(error: Exception, rpc: Rpc) -> Ending:
    """Returns the end that an exception causes; that of a bug if finding it raises another.

    It clears the stacks of the exception.
    """
    try:
        made = encoded(status_of(error, rpc), rpc)
    except Exception as bug:
        made = encoded(_of_bug(bug, rpc), rpc)
    release(error)
    return made


def encoded(ended: Status, rpc: Rpc) -> Ending:
    """Returns the end of a call with a status."""
    known = ended.in_call(
        model=rpc.model, attempts=rpc.attempts.count, messages_sent=rpc.messages_sent
    )
    sent = trailers(known, rpc.request_id, rpc.trailing_metadata, rpc.errors_url)
    return Ending(ended, *sent)


def status_of(error: Exception, rpc: Rpc) -> Status:
    """Returns the status of an exception."""
    match error:
        case UpstreamFailure():
            return status.of_failure(error, rpc.model)
        case InvalidRequest():
            return status.of_invalid(error)
        case UnsupportedRequest():
            return status.of_unsupported(error)
        case MalformedAnswer():
            events.MALFORMED.log(**_cause(error, rpc))
            return status.of_malformed(error, rpc.attempts)
        case ReplyTooLarge():
            return status.of_too_large(error.size, error.limit)
        case status.Refusal():
            return error.status
        case _:
            return _of_bug(error, rpc)


def release(error: BaseException | None) -> None:
    """Clears the stacks of an exception and of its causes.

    Their frames refer to the exceptions: until a garbage collection, this cycle would keep the
    request of the call in memory, too. The frames have ended, except for the caller's, which stays:
    an exception of another task reaches the call once that task is over.
    """
    while error and error.__traceback__:
        clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _of_bug(bug: Exception, rpc: Rpc) -> Status:
    events.BUG.log(bug, request_id=rpc.request_id)
    return status.of_bug(bug if rpc.debug else None)


def _cause(error: MalformedAnswer, rpc: Rpc) -> dict[str, Any]:
    """Returns where reading the answer failed, which shows whether the fault is the upstream's."""
    *_, innermost = walk_tb((error.__cause__ or error).__traceback__)
    frame, line = innermost
    return {
        "request_id": rpc.request_id,
        "upstream": rpc.attempts.upstream,
        "cause": type(error.__cause__ or error).__name__,
        "at": f"{frame.f_globals.get('__name__')}:{line}",
    }
