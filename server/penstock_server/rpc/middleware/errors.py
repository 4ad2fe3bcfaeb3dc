"""How an RPC ends that failed: whatever was raised becomes a status."""

import logging
from traceback import walk_tb
from typing import Any, NoReturn

from grpc import aio

from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, UnsupportedRequest
from penstock_server.rpc import status
from penstock_server.rpc.calls import Context, Proceed, ReplyTooLarge, Rpc
from penstock_server.rpc.status import trailers
from penstock_server.upstream import UpstreamFailure

_log = logging.getLogger("penstock.rpc")


async def failure_to_status(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Ends the RPC with the status that the table has for what was raised."""
    try:
        return await proceed(rpc, context)
    except UpstreamFailure as failure:
        ended = status.of_failure(failure, rpc.model)
    except InvalidRequest as error:
        ended = status.of_invalid(error)
    except UnsupportedRequest as error:
        ended = status.of_unsupported(error)
    except MalformedAnswer as error:
        _log.warning("malformed answer", extra={"fields": _cause(error, rpc)})
        ended = status.of_malformed(error, rpc.attempts)
    except ReplyTooLarge as error:
        ended = status.of_too_large(error.size, error.limit)
    except status.Refusal as refusal:
        ended = refusal.status
    except aio.BaseError:
        raise
    except Exception as error:
        _log.exception("bug", extra={"fields": {"request_id": rpc.request_id}})
        ended = status.of_bug(error if rpc.debug else None)
    return await abort(rpc, context, ended)


def _cause(error: MalformedAnswer, rpc: Rpc) -> dict[str, Any]:
    """Returns what tells the upstream's fault from one of ours: where the answer was not read."""
    *_, innermost = walk_tb((error.__cause__ or error).__traceback__)
    frame, line = innermost
    return {
        "request_id": rpc.request_id,
        "upstream": rpc.attempts.upstream,
        "cause": type(error.__cause__ or error).__name__,
        "at": f"{frame.f_globals.get('__name__')}:{line}",
    }


async def abort(rpc: Rpc, context: Context, ended: status.Status) -> NoReturn:
    """Ends the RPC with a status.

    Raises:
        grpc.aio.AbortError: always; it is how grpc ends an RPC.
    """
    rpc.code, rpc.reason = ended.row.code, ended.row.reason
    ended = ended.in_call(
        model=rpc.model, attempts=rpc.attempts.count, messages_sent=rpc.messages_sent
    )
    message, metadata = trailers(ended, rpc.request_id, rpc.trailing_metadata)
    await context.abort(rpc.code, message, metadata)


async def debug_info(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Lets the caller know the stack of a bug, if there will be one."""
    rpc.debug = True
    return await proceed(rpc, context)
