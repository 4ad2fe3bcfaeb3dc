"""Middleware that logs every call."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any

from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Rpc
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.telemetry import log

_LONGEST_LOGGED_NAME = 256
_REFUSALS_PER_MINUTE = 60
_SUMMARY_S = 10.0
# A caller whose deadline passes cancels the call, and that arrives before the deadline passes here:
# gRPC rounded the deadline up to three digits, and the call itself took time to arrive.
_ROUNDED = 0.01
_ON_THE_WAY_S = 0.02

_log = logging.getLogger("penstock.rpc")


class RequestLog:
    """Writes one line when a call is over, and ends a successful call with our metadata.

    The line never contains contents or secrets. Anybody can make calls that are refused before they
    are admitted: beyond a rate, their lines are left out and counted.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Allows a minute's worth of lines at once, by a clock in seconds."""
        self._clock = clock
        self._lines = Quota(_REFUSALS_PER_MINUTE, clock())
        self._left_out = Counter[str]()

    async def log_call(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Runs a call and logs its end."""
        try:
            answer = await call_next(rpc)
            rpc.context.set_trailing_metadata(rpc.trailing_metadata)
            return answer
        except asyncio.CancelledError:
            row = status.DEADLINE if _expired(rpc) else status.CANCELLED
            rpc.code, rpc.reason = row.code, row.reason
            raise
        finally:
            if rpc.admitted or not self._lines.take(self._clock()):
                log.info(_log, "rpc", _line(rpc))
            else:
                self._leave_out(rpc)

    def _leave_out(self, rpc: Rpc) -> None:
        if not self._left_out:
            asyncio.get_running_loop().call_later(_SUMMARY_S, self._sum_up)
        self._left_out[rpc.reason or rpc.code.name] += 1

    def _sum_up(self) -> None:
        left_out, self._left_out = self._left_out, Counter()
        _log.warning("refused calls not logged", extra={"fields": dict(left_out)})


def _expired(rpc: Rpc) -> bool:
    """Reports whether the caller's deadline ended a call."""
    remaining = rpc.context.time_remaining()
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
