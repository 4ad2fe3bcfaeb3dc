"""A collector of traces: an OTLP service that keeps the spans it receives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

BOUND_S = 60


@dataclass(frozen=True)
class Span:
    """A span as it was exported.

    Attributes:
        name: its name.
        kind: `SERVER` or `CLIENT`.
        trace_id: its trace.
        span_id: itself.
        parent: the span above it; empty for none.
        attributes: its attributes.
        events: the names of its events.
        error: the description of its status; None if the status is not an error.
        seconds: its duration.
        resource: the attributes of its process.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    attributes: Mapping[str, Any]
    events: list[str]
    error: str | None
    seconds: float
    resource: Mapping[str, Any]

    @property
    def traceparent(self) -> str:
        """Its context without the flags, which are not exported."""
        return f"00-{self.trace_id}-{self.span_id}"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps spans.

    Attributes:
        endpoint: where it listens.
        spans: all spans so far.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self._came = asyncio.Event()

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        for group in request.resource_spans:
            resource = _values(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_span(span, resource) for span in scope.spans]
        self._came.set()
        return trace_service_pb2.ExportTraceServiceResponse()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition of the spans holds."""
        async with asyncio.timeout(BOUND_S):
            while not condition():
                self._came.clear()
                await self._came.wait()

    async def call(self, requests: int) -> tuple[Span, list[Span]]:
        """Returns the only span of a call, and those of its requests, once all are here."""
        await self.until(lambda: len(self.spans) == requests + 1)
        [call] = [span for span in self.spans if span.kind == "SERVER"]
        others = [span for span in self.spans if span is not call]
        assert {span.kind for span in others} <= {"CLIENT"}
        assert {span.trace_id for span in others} <= {call.trace_id}
        assert {span.parent for span in others} <= {call.span_id}
        return call, others


@asynccontextmanager
async def collector(port: int = 0) -> AsyncIterator[Collector]:
    running, server = Collector(), aio.server()
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(running, server)
    running.endpoint = f"http://127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    await server.start()
    try:
        yield running
    finally:
        await server.stop(0)


def _span(span: trace_pb2.Span, resource: Mapping[str, Any]) -> Span:
    is_error = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return Span(
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_values(span.attributes),
        events=[event.name for event in span.events],
        error=span.status.message if is_error else None,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        resource=resource,
    )


def _values(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
