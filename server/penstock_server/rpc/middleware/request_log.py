"""Middleware that logs every call."""

import asyncio
import logging
from collections import Counter
from time import monotonic
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

_log = logging.getLogger("penstock.rpc")


class RequestLog:
    """Writes one line when a call is over, and ends a successful call with our metadata.

    The line never contains contents or secrets. Anybody can make calls that are refused before they
    are admitted: beyond a rate, their lines are left out and counted.
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
            if rpc.code is StatusCode.OK:
                self._log_success(rpc)
            else:
                self._log_failure(rpc)

    def _log_success(self, rpc: Rpc) -> None:
        self._successes += 1
        if self._one_in == 1 or (self._one_in and self._successes % self._one_in == 1):
            _write(rpc, "info")

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
        log.write(_log, _line(rpc, level))


def _line(rpc: Rpc, level: str) -> log.Line:
    line = log.begun(level, events.CALL.name)
    line["method"] = rpc.method
    line["code"] = rpc.code.name
    line["ms"] = _ms(monotonic() - rpc.started)
    if rpc.first_message:
        line["first_message_ms"] = _ms(rpc.first_message - rpc.started)
    line["request_id"] = rpc.request_id
    line["messages"] = rpc.messages_sent
    if rpc.reason:
        line["reason"] = rpc.reason
    if rpc.caller:
        line["caller"] = rpc.caller
    if rpc.model:
        line["model"] = rpc.model[:_LONGEST_LOGGED_NAME]
    if rpc.usage:
        line["input_tokens"] = rpc.usage.input
        line["output_tokens"] = rpc.usage.output
    if rpc.attempts.upstream:
        line["upstream"] = rpc.attempts.upstream
    if rpc.attempts.count > 1:
        line["attempts"] = rpc.attempts.count
    if rpc.trace:
        line["trace_id"] = rpc.trace.trace_id
    return line


def _ms(seconds: float) -> float:
    # `round` takes longer.
    return int(seconds * 10_000) / 10
