"""Middleware that records the metrics of every call, once, at its end."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from prometheus_client import CollectorRegistry

from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Rpc
from penstock_server.telemetry.metrics import CallMetrics, Method, MethodMetrics, names

_CODES = {code: code.name.title().replace("_", "") for code in grpc.StatusCode}
_CODES[grpc.StatusCode.OK] = "OK"
_CODES[grpc.StatusCode.CANCELLED] = "Canceled"
_TYPES = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}
_EXPECTED = (
    (status.OVERLOADED.reason, "max_concurrent_calls"),
    (status.OVERLOADED.reason, "max_pending_calls"),
    (status.RATE_LIMITED.reason, "calls_per_minute"),
    (status.RATE_LIMITED.reason, "concurrent_calls"),
    (status.RATE_LIMITED.reason, "tokens_per_minute"),
    (status.DRAINING.reason, ""),
    (status.INVALID_CREDENTIALS.reason, ""),
    (status.MODEL_FORBIDDEN.reason, ""),
    (status.INVALID_REQUEST.reason, ""),
)


def methods(services: Iterable[str]) -> Mapping[str, Method]:
    """Returns the methods of services, by their names in calls."""
    pool = descriptor_pool.Default()
    return {
        f"/{service}/{method.name}": Method(
            _TYPES[method.client_streaming, method.server_streaming], service, method.name
        )
        for service in services
        for method in pool.FindServiceByName(service).methods
    }


class CallRecorder:
    """Records the metrics of calls."""

    def __init__(
        self,
        registry: CollectorRegistry,
        services: Iterable[str],
        listed_model: Callable[[str], str],
        *,
        conventions: str,
        by_caller: bool,
    ) -> None:
        """Registers the metrics.

        Args:
            registry: exports them.
            services: the names of the services whose methods are labels.
            listed_model: returns the public name of a model that an upstream lists, else nothing.
            conventions: see `CallMetrics`.
            by_caller: see `CallMetrics`.
        """
        self._listed_model = listed_model
        self._metrics = CallMetrics(
            registry,
            methods(services),
            codes=tuple(_CODES.values()),
            refusals=_EXPECTED,
            conventions=conventions,
            by_caller=by_caller,
        )

    async def record_call(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Runs a call and records it."""
        method = self._metrics.of(rpc.method)
        method.started += 1
        self._metrics.running += 1
        try:
            return await call_next(rpc)
        finally:
            self._metrics.running -= 1
            self._record(method, rpc, monotonic())

    def _record(self, method: MethodMetrics, rpc: Rpc, now: float) -> None:
        code = _CODES[rpc.code]
        trace_id = rpc.trace.trace_id if rpc.trace and rpc.trace.sampled else ""
        method.handled[code] += 1
        method.messages_received += rpc.messages_received
        method.bytes_received += rpc.bytes_received
        method.bytes_sent += rpc.bytes_sent
        method.seconds.observe(now - rpc.started, trace_id)
        succeeded = rpc.code is grpc.StatusCode.OK
        if method.streams:
            method.messages_sent += rpc.messages_sent
            answered = rpc.first_message
        else:
            method.messages_sent += succeeded
            answered = now if succeeded else 0.0
        if answered and rpc.attempts.count:
            method.overhead.observe(max(0.0, answered - rpc.requested - rpc.attempts.waited))
        if not succeeded:
            self._record_failure(rpc)
        if method.operation:
            self._record_generation(method, rpc, now, trace_id)
        if self._metrics.by_caller:
            self._record_caller(rpc, code)

    def _record_failure(self, rpc: Rpc) -> None:
        """Records why a call failed, in one metric of several."""
        attempts, metrics = rpc.attempts, self._metrics
        stage = attempts.stage.value if attempts.count else "request"
        if rpc.reason == status.CANCELLED.reason:
            metrics.cancelled[stage] += 1
        elif rpc.reason == status.DEADLINE.reason:
            metrics.late[stage] += 1
        elif attempts.count:
            metrics.failed[attempts.upstream, rpc.reason] += 1
        else:
            metrics.refused[rpc.reason or rpc.code.name, rpc.limit] += 1

    def _record_generation(
        self, method: MethodMetrics, rpc: Rpc, now: float, trace_id: str
    ) -> None:
        # An upstream may have chosen the model before its list was known.
        named = rpc.attempts.model or rpc.model or rpc.response_model
        model = self._listed_model(named) or names.OTHER
        recorded = self._metrics.generations(method, model)
        error_type = "" if rpc.code is grpc.StatusCode.OK else rpc.code.name
        recorded.ended(error_type).observe(now - rpc.started, trace_id)
        usage, first = rpc.usage, rpc.first_message
        if usage:
            recorded.tokens.record(*usage)
        if first:
            recorded.first_token.observe(first - rpc.started, trace_id)
            if usage and usage.output > 1:
                recorded.next_token.observe((now - first) / (usage.output - 1))

    def _record_caller(self, rpc: Rpc, code: str) -> None:
        metrics = self._metrics
        metrics.caller_calls[rpc.caller, code] += 1
        if rpc.usage:
            metrics.caller_tokens[rpc.caller, "input"] += rpc.usage.input
            metrics.caller_tokens[rpc.caller, "output"] += rpc.usage.output
