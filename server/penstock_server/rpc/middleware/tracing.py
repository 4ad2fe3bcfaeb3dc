"""Middleware that records the span of every call."""

from collections.abc import Awaitable, Collection
from os import urandom
from time import monotonic
from typing import TYPE_CHECKING, Any

from grpc import StatusCode

from penstock_server.rpc.calls import PACKAGE, CallNext, Outputs, Rpc
from penstock_server.telemetry.metrics.names import OPERATIONS, PROVIDER
from penstock_server.telemetry.tracing import names

if TYPE_CHECKING:
    # It imports OpenTelemetry, which need not be installed.
    from penstock_server.telemetry.tracing import Tracing

_FAULTS = frozenset(
    (
        StatusCode.UNKNOWN,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.UNIMPLEMENTED,
        StatusCode.INTERNAL,
        StatusCode.UNAVAILABLE,
        StatusCode.DATA_LOSS,
    )
)
"""The codes that OpenTelemetry's conventions regard as errors of a server's span."""


class CallTracer:
    """Records the spans of calls."""

    def __init__(self, tracing: "Tracing", methods: Collection[str]) -> None:
        """Prepares to record.

        Args:
            tracing: creates the spans.
            methods: the names of the methods that the service has.
        """
        self._tracing = tracing
        self._names = {method: method[1:] for method in methods}

    def trace_call(self, call_next: CallNext, rpc: Rpc) -> Awaitable[Any]:
        """Runs a call, and records its span if the call is sampled.

        This decides once, before anything is recorded, and a call that is not sampled does not even
        run in a coroutine of its own.
        """
        name = self._names.get(rpc.method, names.OTHER_METHOD)
        trace_id = rpc.trace_id or _new_trace_id(rpc)
        if not self._tracing.drops(name, rpc.parent, trace_id):
            return self._record(call_next, rpc, name)
        if not rpc.parent:
            rpc.trace_id = trace_id
            # There is no span that the header could refer to.
            rpc.propagated = (f"00-{trace_id}-{trace_id[:16]}-00", "")
        return call_next(rpc)

    async def _record(self, call_next: CallNext, rpc: Rpc, name: str) -> Any:
        """Runs a call and records its span."""
        tracestate = rpc.text("tracestate")
        may_keep = _operation(rpc) in names.WITH_CONTENTS
        span = self._tracing.begin(name, rpc.parent, tracestate, may_keep=may_keep)
        context = span.context
        rpc.trace_id, rpc.sampled = context.trace_id, context.sampled
        rpc.propagated = (context.traceparent, span.tracestate)
        if not span.recording:
            return await call_next(rpc)
        rpc.observer = span
        if span.most_content:
            rpc.outputs = Outputs(span.most_content)
        try:
            return await call_next(rpc)
        finally:
            now, first = monotonic(), rpc.first_message
            if rpc.outputs:
                span.record_outputs(rpc.outputs.messages())
            fault = (rpc.reason or rpc.code.name) if rpc.code in _FAULTS else ""
            span.end(_attributes(rpc), now - first if first else None, fault)


def _new_trace_id(rpc: Rpc) -> str:
    """Returns the id of a trace that begins: the request id, unless the caller chose that."""
    return urandom(16).hex() if "x-request-id" in rpc.metadata else rpc.request_id


def _operation(rpc: Rpc) -> str:
    return OPERATIONS.get(rpc.method.removeprefix(PACKAGE), "")


def _attributes(rpc: Rpc) -> dict[str, Any]:
    """Returns the attributes of a call that has ended."""
    code = rpc.code.name
    found: dict[str, Any] = {names.RPC_STATUS: code, names.REQUEST_ID: rpc.request_id}
    if rpc.code is not StatusCode.OK:
        found[names.ERROR_TYPE] = code
    if operation := _operation(rpc):
        found |= {names.OPERATION: operation, names.PROVIDER: PROVIDER}
    optional = {
        names.REASON: rpc.reason,
        names.CALLER: rpc.caller,
        names.REQUEST_MODEL: rpc.model,
        names.RESPONSE_MODEL: rpc.response_model,
        names.FINISH_REASONS: rpc.finish_reasons,
        names.ATTEMPTS: rpc.attempts.count,
        names.UPSTREAM: rpc.attempts.upstream,
        names.MESSAGES: rpc.messages_sent,
    }
    found |= {name: value for name, value in optional.items() if value}
    if rpc.first_message:
        found[names.TIME_TO_FIRST_CHUNK] = rpc.first_message - rpc.started
    return found | _usage(rpc) | _peer(rpc)


def _usage(rpc: Rpc) -> dict[str, int]:
    if not rpc.usage:
        return {}
    tokens = {
        names.INPUT_TOKENS: rpc.usage.input,
        names.OUTPUT_TOKENS: rpc.usage.output,
        names.CACHED_INPUT_TOKENS: rpc.usage.cached_input,
        names.REASONING_TOKENS: rpc.usage.reasoning,
    }
    return {name: number for name, number in tokens.items() if number is not None}


def _peer(rpc: Rpc) -> dict[str, str | int]:
    """Returns the caller's address; a peer is such as `ipv4:127.0.0.1:40000`."""
    kind, _, address = rpc.context.peer().partition(":")
    host, _, port = address.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return {}
    return {names.PEER_ADDRESS: host.strip("[]"), names.PEER_PORT: int(port)}
