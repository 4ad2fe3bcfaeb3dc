"""Middleware that ends a failed call with the status for its exception."""

from traceback import clear_frames, walk_tb
from typing import Any, NoReturn

from grpc import aio

from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, UnsupportedRequest
from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Middleware, ReplyTooLarge, Rpc
from penstock_server.rpc.status import Metadata, Status, trailers
from penstock_server.telemetry import events
from penstock_server.upstream import UpstreamFailure


async def failure_to_status(call_next: CallNext, rpc: Rpc) -> Any:
    """Ends the call with the status that the table has for the exception."""
    try:
        return await call_next(rpc)
    except aio.BaseError:
        raise
    except Exception as error:
        ended, message, metadata = _ending(error, rpc)
        _release(error)
    return await _abort(rpc, ended, message, metadata)


async def abort(rpc: Rpc, ended: Status) -> NoReturn:
    """Ends the call with a status.

    Raises:
        grpc.aio.AbortError: always; it is how grpc ends a call.
    """
    await _abort(rpc, ended, *_encoded(ended, rpc))


async def _abort(rpc: Rpc, ended: Status, message: str, metadata: Metadata) -> NoReturn:
    rpc.code, rpc.reason = ended.row.code, ended.row.reason
    rpc.limit = ended.metadata.get("limit", "")
    await rpc.context.abort(rpc.code, message, metadata)


def _ending(error: Exception, rpc: Rpc) -> tuple[Status, str, Metadata]:
    """Returns the status for an exception, encoded; that of a bug if finding it raises another."""
    try:
        ended = _status(error, rpc)
        return ended, *_encoded(ended, rpc)
    except Exception as bug:
        ended = _of_bug(bug, rpc)
        return ended, *_encoded(ended, rpc)


def _release(error: BaseException | None) -> None:
    """Clears the stacks of an exception and of its causes.

    Their frames refer to the exceptions: until a garbage collection, this cycle would keep the
    request of the call in memory, too. The frames have ended, except for the caller's, which stays:
    an exception of another task reaches the call once that task is over.
    """
    while error and error.__traceback__:
        clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _encoded(ended: Status, rpc: Rpc) -> tuple[str, Metadata]:
    ended = ended.in_call(
        model=rpc.model, attempts=rpc.attempts.count, messages_sent=rpc.messages_sent
    )
    return trailers(ended, rpc.request_id, rpc.trailing_metadata, rpc.errors_url)


def _status(error: Exception, rpc: Rpc) -> Status:
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


def errors_page(url: str) -> Middleware:
    """Returns a middleware that links the error of a call to a page that describes it."""

    async def link(call_next: CallNext, rpc: Rpc) -> Any:
        rpc.errors_url = url
        return await call_next(rpc)

    return link


async def debug_info(call_next: CallNext, rpc: Rpc) -> Any:
    """Lets the caller see the stack of a bug."""
    rpc.debug = True
    return await call_next(rpc)
