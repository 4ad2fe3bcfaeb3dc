"""Middleware that logs every call."""

import asyncio
import logging
from collections import Counter
from time import monotonic, time
from typing import Any

from grpc import StatusCode

from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Rpc
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.telemetry import Episode, events, log

_LONGEST_LOGGED_NAME = 256
_REFUSALS_PER_MINUTE = 60
_SUMMARY_S = 10.0
# A caller whose deadline passes cancels the call, and that arrives before the deadline passes here:
# gRPC rounded the deadline up to three digits, and the call itself took time to arrive.
_ROUNDED = 0.01
_ON_THE_WAY_S = 0.02

# Looking them up takes a tenth of the time to make a line.
_OK = StatusCode.OK
_EVENT = events.CALL.name

_log = logging.getLogger("penstock.rpc")


class RequestLog:
    """Writes one line when a call is over, and ends a successful call with our metadata.

    The line never contains contents or secrets. Any client can make calls that are refused before
    admission: beyond a rate, their lines are left out and counted.
    """

    def __init__(self, calls: str = "all") -> None:
        """Allows a minute's worth of lines of refused calls at once.

        Args:
            calls: which calls are logged; see `log_only`.
        """
        self._lines = Quota(_REFUSALS_PER_MINUTE)
        self._left_out = Counter[str]()
        self._overload = Episode()
        self._successes = 0
        self.log_only(calls)

    def log_only(self, calls: str) -> None:
        """Logs only some calls from now on: `all`, `failed` or `sampled:N`, see the option."""
        self._one_in = {"all": 1, "failed": 0}.get(calls) or int(calls.partition(":")[2] or 0)

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
            if rpc.code is not _OK:
                self._log_failure(rpc)
            elif (self._one_in == 1 or self._is_sampled()) and log.enabled(_log, "info"):
                now = time()
                log.write_soon(_log, _line, (rpc, "info", now, monotonic()), now)

    def _is_sampled(self) -> bool:
        """Returns whether a success is logged although not all are."""
        self._successes += 1
        return bool(self._one_in) and self._successes % self._one_in == 1

    def _log_failure(self, rpc: Rpc) -> None:
        if rpc.reason == status.OVERLOADED.reason and not rpc.attempts.count:
            self._record_overload(rpc.limit)
        if rpc.admitted or not self._lines.take(monotonic()):
            _write(rpc, status.severity(rpc.code, rpc.reason))
        else:
            self._leave_out(rpc)

    def _leave_out(self, rpc: Rpc) -> None:
        if not self._left_out:
            asyncio.get_running_loop().call_later(_SUMMARY_S, self._sum_up)
        self._left_out[rpc.reason or rpc.code.name] += 1

    def _sum_up(self) -> None:
        left_out, self._left_out = self._left_out, Counter()
        events.CALLS_NOT_LOGGED.log(**left_out)

    def _record_overload(self, limit: str) -> None:
        now = monotonic()
        if self._overload.record(now):
            events.REFUSING.log(limit=limit)
            self._look_again(now)

    def _look_again(self, now: float) -> None:
        delay = self._overload.quiet_in(now)
        asyncio.get_running_loop().call_later(delay, self._end_overload)

    def _end_overload(self) -> None:
        if self._overload.quiet_in(now := monotonic()) > 0:
            self._look_again(now)
            return
        refused, seconds = self._overload.end()
        events.NOT_REFUSING.log(refused=refused, seconds=round(seconds, 1))


def _expired(rpc: Rpc) -> bool:
    """Returns whether the caller's deadline ended a call."""
    remaining = rpc.context.time_remaining()
    if remaining is None:
        return False
    allowed = monotonic() - rpc.started + remaining
    return remaining <= allowed * _ROUNDED + _ON_THE_WAY_S


def _write(rpc: Rpc, level: str) -> None:
    if log.enabled(_log, level):
        log.write(_log, _line(rpc, level, time(), monotonic()))


def _line(rpc: Rpc, level: str, moment: float, ended: float) -> log.Line:
    """Returns the line of a call that has ended.

    Args:
        rpc: the call.
        level: the level of the line.
        moment: the time of its end as a POSIX timestamp.
        ended: the same time on the monotonic clock.
    """
    # At once: one key after the other would take longer, as would `log.begun` and `round`.
    line: log.Line = {
        "time": moment,
        "level": level,
        "event": _EVENT,
        "method": rpc.method,
        "code": "OK" if rpc.code is _OK else rpc.code.name,
        "ms": int((ended - rpc.started) * 10_000) / 10,
        "request_id": rpc.request_id,
        "messages": rpc.messages_sent,
    }
    if rpc.first_message:
        line["first_message_ms"] = int((rpc.first_message - rpc.started) * 10_000) / 10
    if rpc.items:
        line["items"], line["failed_items"] = rpc.items, rpc.failed_items
    if rpc.reason:
        line["reason"] = rpc.reason
    if rpc.caller:
        line["caller"] = rpc.caller
    if rpc.model:
        line["model"] = rpc.model[:_LONGEST_LOGGED_NAME]
    if usage := rpc.usage:
        line["input_tokens"], line["output_tokens"] = usage.input, usage.output
    attempts = rpc.attempts
    if attempts.upstream:
        line["upstream"] = attempts.upstream
    if attempts.count > 1:
        line["attempts"] = attempts.count
    if rpc.trace_id:
        line["trace_id"] = rpc.trace_id
    return line
