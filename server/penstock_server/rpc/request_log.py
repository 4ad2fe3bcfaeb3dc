"""The line of the log that every RPC ends with."""

import asyncio
import logging
from time import monotonic
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.interceptors import Context, Proceed
from penstock_server.rpc.rpc import Rpc
from penstock_server.telemetry import log

_LONGEST_LOGGED_NAME = 256
# A caller whose deadline passes cancels the call, which comes here before the deadline does here:
# on its way it was rounded up, by gRPC to three digits, and the call took a while itself.
_ROUNDED = 0.01
_ON_THE_WAY_S = 0.02

_log = logging.getLogger("penstock.rpc")


async def request_id_and_log(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Returns the request id to the caller and writes one line when the RPC is over.

    The line never holds contents or secrets.
    """
    try:
        answer = await proceed(rpc, context)
        context.set_trailing_metadata(rpc.trailing_metadata)
        return answer
    except asyncio.CancelledError:
        row = status.DEADLINE if _expired(rpc, context) else status.CANCELLED
        rpc.code, rpc.reason = row.code, row.reason
        raise
    finally:
        log.info(_log, "rpc", _line(rpc))


def _expired(rpc: Rpc, context: Context) -> bool:
    """Whether it is the caller's deadline that ended an RPC."""
    remaining = context.time_remaining()
    if remaining is None:
        return False
    allowed = monotonic() - rpc.started + remaining
    return remaining <= allowed * _ROUNDED + _ON_THE_WAY_S


def _line(rpc: Rpc) -> dict[str, Any]:
    line = {
        "method": rpc.method,
        "code": rpc.code.name,
        "ms": round((monotonic() - rpc.started) * 1000, 1),
        "request_id": rpc.request_id,
        "messages": rpc.messages_sent,
    }
    if rpc.reason:
        line["reason"] = rpc.reason
    if rpc.caller:
        line["caller"] = rpc.caller
    if rpc.model:
        line["model"] = rpc.model[:_LONGEST_LOGGED_NAME]
    if rpc.attempts.upstream:
        line["upstream"] = rpc.attempts.upstream
    if rpc.attempts.count > 1:
        line["attempts"] = rpc.attempts.count
    return line
