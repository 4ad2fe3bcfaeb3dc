"""Middleware that ends a failed call with the status for its exception."""

from typing import Any, NoReturn

from grpc import aio

from penstock_server.rpc.calls import CallNext, Ending, Middleware, Rpc, encoded, ending
from penstock_server.rpc.status import Status


async def failure_to_status(call_next: CallNext, rpc: Rpc) -> Any:
    """Ends the call with the status that the table has for the exception."""
    try:
        return await call_next(rpc)
    except aio.BaseError:
        raise
    except Exception as error:
        ended = ending(error, rpc)
    return await _abort(rpc, ended)


async def abort(rpc: Rpc, ended: Status) -> NoReturn:
    """Ends the call with a status.

    Raises:
        grpc.aio.AbortError: always; it is how grpc ends a call.
    """
    await _abort(rpc, encoded(ended, rpc))


async def _abort(rpc: Rpc, ended: Ending) -> NoReturn:
    rpc.end_with(ended.status)
    await rpc.context.abort(rpc.code, ended.message, ended.metadata)


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
