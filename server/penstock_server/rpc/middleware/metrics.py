"""Middleware that records the metrics of every call, once, at its end."""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from time import monotonic
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from prometheus_client import CollectorRegistry

from penstock_server.rpc import status
from penstock_server.rpc.calls import CallNext, Rpc
from penstock_server.telemetry.metrics import (
    AdminCalls,
    CallMetrics,
    Generations,
    Method,
    MethodMetrics,
    names,
)

# Values of histograms are counted after so many calls of a method, or at a scrape.
_COUNTED_AT_ONCE = 256

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
    (status.RATE_LIMITED.reason, "max_failed_logins"),
    (status.DRAINING.reason, ""),
    (status.INVALID_CREDENTIALS.reason, ""),
    (status.METHOD_FORBIDDEN.reason, ""),
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


class AdminRecorder:
    """Counts the calls of operators.

    Attributes:
        calls: the counts.
    """

    def __init__(self, service: str) -> None:
        """Starts without calls.

        Args:
            service: the name of the service for operators.
        """
        self._methods = methods((service,))
        self.calls = AdminCalls(method.name for method in self._methods.values())

    async def record_call(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Runs a call and counts it."""
        try:
            return await call_next(rpc)
        finally:
            method = self._methods.get(rpc.method)
            self.calls.count(method.name if method else names.OTHER, _CODES[rpc.code])


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

    def export_faults(self, upstreams: Iterable[str]) -> None:
        """Exports how often upstreams caused each error, also if they never did.

        The increase of a counter includes its first count only if it was exported before.
        """
        for pair in product(upstreams, status.UPSTREAM_FAULTS):
            self._metrics.failed.setdefault(pair, 0)

    async def record_call(self, call_next: CallNext, rpc: Rpc) -> Any:
        """Runs a call and records it."""
        method = self._metrics.of(rpc.method)
        method.started += 1
        rpc.record_item = self._record_item
        try:
            return await call_next(rpc)
        finally:
            self._record(method, rpc, monotonic())
            if not method.started % _COUNTED_AT_ONCE:
                self._metrics.count_values()

    def _record(self, method: MethodMetrics, rpc: Rpc, now: float) -> None:
        succeeded = rpc.code is grpc.StatusCode.OK
        method.handled["OK" if succeeded else _CODES[rpc.code]] += 1
        method.messages_received += rpc.messages_received
        method.bytes_received += rpc.bytes_received
        method.bytes_sent += rpc.bytes_sent
        seconds, answered = now - rpc.started, 0.0
        method.seconds.observe(seconds)
        if method.streams:
            method.messages_sent += rpc.messages_sent
            answered = rpc.first_message
        elif succeeded:
            method.messages_sent += 1
            answered = now
        attempts = rpc.attempts
        if answered and attempts.count:
            added = answered - rpc.requested - attempts.waited
            method.overhead.observe(added if added > 0 else 0.0)
        if not succeeded:
            self._record_failure(rpc)
        generation = self._record_generation(method, rpc, now) if method.operation else None
        if rpc.sampled:
            _exemplify(method, generation, rpc, seconds)
        if self._metrics.by_caller:
            self._record_caller(rpc, _CODES[rpc.code])

    def _record_item(self, rpc: Rpc, item: Rpc) -> None:
        """Records an item that has ended: as a generation, and for its caller."""
        code = _CODES[item.code]
        self._metrics.items[rpc.method, code] += 1
        method = self._metrics.of(item.method)
        if method.operation:
            self._record_generation(method, item, monotonic())
        if self._metrics.by_caller:
            self._record_caller(item, code)

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

    def _record_generation(self, method: MethodMetrics, rpc: Rpc, now: float) -> Generations:
        """Records a call that generates; returns the metrics of its operation and model."""
        # An upstream may have chosen the model before its list was known.
        named = rpc.attempts.model or rpc.model or rpc.response_model
        recorded = self._metrics.generations(method, self._listed_model(named) or names.OTHER)
        ok = rpc.code is grpc.StatusCode.OK
        ended = recorded.succeeded if ok else recorded.ended(rpc.code.name)
        ended.observe(now - rpc.started)
        usage, first = rpc.usage, rpc.first_message
        if usage:
            recorded.tokens.record(*usage)
        if first:
            recorded.first_token.observe(first - rpc.started)
            if usage and usage.output > 1:
                recorded.next_token.observe((now - first) / (usage.output - 1))
        return recorded

    def _record_caller(self, rpc: Rpc, code: str) -> None:
        metrics = self._metrics
        metrics.caller_calls[rpc.caller, code] += 1
        if rpc.usage:
            metrics.caller_tokens[rpc.caller, "input"] += rpc.usage.input
            metrics.caller_tokens[rpc.caller, "output"] += rpc.usage.output


def _exemplify(
    method: MethodMetrics, generation: Generations | None, rpc: Rpc, seconds: float
) -> None:
    """Makes the times of a call examples, with the trace of the call."""
    trace_id = rpc.trace_id
    method.seconds.exemplify(seconds, trace_id)
    if not generation:
        return
    error_type = "" if rpc.code is grpc.StatusCode.OK else rpc.code.name
    generation.ended(error_type).exemplify(seconds, trace_id)
    if rpc.first_message:
        generation.first_token.exemplify(rpc.first_message - rpc.started, trace_id)
