"""The spans of calls and of their requests to upstreams; imports OpenTelemetry's API."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from time import time_ns
from typing import Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState

from penstock_server.telemetry.trace_context import TraceContext
from penstock_server.telemetry.tracing import contents, names

# How long the service waits at its end until its last spans are exported.
_LAST_SPANS_S = 3.0

_ROOT = Context()
_CANCELLED = "cancelled"

Attributes: TypeAlias = Mapping[str, str | bool | int | float | Sequence[str]]

Drops: TypeAlias = Callable[[str, TraceContext | None, str], bool]
"""Returns whether a call is not sampled, by its method, its parent and the id of its trace."""


class Tracing:
    """Records the spans of calls.

    Attributes:
        drops: see `Drops`; such a call needs no span. Otherwise, the span is to begin at once.
    """

    def __init__(
        self,
        tracer: Tracer,
        shutdown: Callable[[], None],
        drops: Drops,
        *,
        most_content: int = 0,
    ) -> None:
        """Prepares to record.

        Args:
            tracer: creates the spans.
            shutdown: exports the last ones; blocks.
            drops: see the attribute.
            most_content: see `CallSpan`.
        """
        self._tracer = tracer
        self._shutdown = shutdown
        self._most_content = most_content
        self.drops = drops

    def begin(
        self, method: str, parent: TraceContext | None, tracestate: str, *, may_keep: bool = False
    ) -> "CallSpan":
        """Begins the span of a call.

        Args:
            method: the method, such as "package.Service/Method".
            parent: the caller's span, if the caller traces the call.
            tracestate: what the caller sent with it.
            may_keep: whether the contents of the call may be recorded.
        """
        span = self._tracer.start_span(
            method,
            context=_context(parent, tracestate) if parent else _ROOT,
            kind=SpanKind.SERVER,
            attributes={names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method},
        )
        return CallSpan(self._tracer, span, self._most_content if may_keep else 0)

    async def stop(self) -> None:
        """Exports the last spans, unless that takes too long."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def finish() -> None:
            self._shutdown()
            loop.call_soon_threadsafe(done.set)

        # A thread that the end of the process does not wait for.
        Thread(target=finish, name="traces", daemon=True).start()
        waiting = asyncio.ensure_future(done.wait())
        await asyncio.wait((waiting,), timeout=_LAST_SPANS_S)
        waiting.cancel()


class CallSpan:
    """The span of a call; see `CallObserver` in `penstock_server.upstream`.

    Attributes:
        context: the span, as a part of its trace.
        tracestate: what belongs to it.
        recording: whether the span is recorded.
        most_content: the length of the longest attribute with contents of the request or of the
            answer; 0 to record none.
    """

    def __init__(self, tracer: Tracer, span: Span, most_content: int) -> None:
        """Wraps the span.

        Args:
            tracer: creates the spans of requests.
            span: the span.
            most_content: see the attribute.
        """
        self.most_content = most_content
        self._tracer = tracer
        self._span = span
        self._method = self._path = ""
        self._requests = 0
        found = span.get_span_context()
        self.context = _read(found)
        self.tracestate = _state(found)
        self.recording = span.is_recording()

    def describe(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Records the parameters of the request, and its contents if that was requested.

        Args:
            method: the HTTP method of the requests to upstreams.
            path: their path, with placeholders.
            body: the request.
        """
        self._method, self._path = method, path
        self._span.set_attributes(parameters(body))
        if self.most_content:
            self._span.set_attributes(contents.of_request(path, body, self.most_content))

    def begin_request(
        self, upstream: str, address: str, model: str, *, hedge: bool
    ) -> "RequestSpan":
        """Begins the span of a request to an upstream.

        Args:
            upstream: the name of the upstream.
            address: its host and port, or the path of its socket.
            model: the upstream's own name for the model; empty for none.
            hedge: whether another request of the call is late.
        """
        host, _, port = address.rpartition(":")
        attributes: dict[str, Any] = {
            names.HTTP_METHOD: self._method,
            names.URL_TEMPLATE: self._path,
            names.SERVER_ADDRESS: host.strip("[]") or address,
            names.UPSTREAM: upstream,
        }
        if host and port.isdecimal():
            attributes[names.SERVER_PORT] = int(port)
        if model:
            attributes[names.REQUEST_MODEL] = model
        if hedge:
            attributes[names.HEDGED] = True
        elif self._requests:
            attributes[names.HTTP_RESENDS] = self._requests
        self._requests += 1
        span = self._tracer.start_span(
            f"{self._method} {self._path}",
            context=set_span_in_context(self._span, _ROOT),
            kind=SpanKind.CLIENT,
            attributes=attributes,
        )
        return RequestSpan(span, has_ids="{" in self._path)

    def record_retry(self, upstream: str, error: str) -> None:
        """Records that a request is sent again because one failed."""
        self._span.add_event(names.RETRY, {names.UPSTREAM: upstream, names.ERROR_TYPE: error})

    def record_hedge(self, upstream: str) -> None:
        """Records that another upstream is asked because a request is late."""
        self._span.add_event(names.HEDGE, {names.UPSTREAM: upstream})

    def record_outputs(self, choices: Sequence[Mapping[str, Any]]) -> None:
        """Records the contents of the answer.

        Args:
            choices: messages as vLLM has them in JSON, each with its `finish_reason`.
        """
        self._span.set_attributes(contents.of_answer(choices, self.most_content))

    def end(self, attributes: Attributes, first_token_age_s: float | None, fault: str) -> None:
        """Ends the span.

        Args:
            attributes: the outcome.
            first_token_age_s: how long ago the first message was sent; None if there was none.
            fault: describes the fault of the service or an upstream; empty for none.
        """
        now = time_ns()
        self._span.set_attributes(attributes)
        if first_token_age_s is not None:
            self._span.add_event(names.FIRST_TOKEN, timestamp=now - int(first_token_age_s * 1e9))
        if fault:
            self._span.set_status(StatusCode.ERROR, fault)
        self._span.end(now)


class RequestSpan:
    """The span of a request to an upstream.

    Attributes:
        traceparent: refers to it, for the upstream.
        tracestate: what belongs to it.
    """

    def __init__(self, span: Span, *, has_ids: bool) -> None:
        """Wraps the span.

        Args:
            span: the span.
            has_ids: whether the path has ids, which are enough to read what they refer to.
        """
        self._span = span
        self._has_ids = has_ids
        found = span.get_span_context()
        self.traceparent, self.tracestate = _read(found).traceparent, _state(found)

    def end(self, path: str, status: int, error: str) -> None:
        """Ends the span.

        Args:
            path: the path of the request.
            status: the HTTP status of the answer; 0 if there was none.
            error: why the request failed, or `cancelled`; empty if it succeeded.
        """
        if path and not self._has_ids:
            self._span.set_attribute(names.URL_PATH, path)
        if status:
            self._span.set_attribute(names.HTTP_STATUS, status)
        if error:
            self._span.set_attribute(names.ERROR_TYPE, error)
            if error != _CANCELLED:
                self._span.set_status(StatusCode.ERROR)
        self._span.end()


def parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the attributes of a request's parameters."""
    found: dict[str, Any] = {}
    for field, name in names.REQUEST_NUMBERS.items():
        value = body.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    for field, name in names.REQUEST_TEXTS.items():
        if isinstance(value := body.get(field), str) and value:
            found[name] = value
    if body.get("stream") is True:
        found[names.STREAM] = True
    if stop := body.get("stop"):
        found[names.STOP_SEQUENCES] = [stop] if isinstance(stop, str) else list(stop)
    wanted = body.get("response_format")
    if isinstance(wanted, Mapping) and (kind := names.OUTPUT_TYPES.get(wanted.get("type", ""))):
        found[names.OUTPUT_TYPE] = kind
    return found


def _context(parent: TraceContext, tracestate: str) -> Context:
    found = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )
    return set_span_in_context(NonRecordingSpan(found), _ROOT)


def _read(found: SpanContext) -> TraceContext:
    return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags)


def _state(found: SpanContext) -> str:
    return found.trace_state.to_header() if found.trace_state else ""
