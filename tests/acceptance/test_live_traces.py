"""The spans of a real vLLM are part of the caller's trace."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from conftest import Serve, unlimited
from server_process import free_port
from servers import FLEET, VllmServers
from telemetry.collector import Collector, Span, collector

from penstock.channel import open_async_channel
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.telemetry.tracing import names

from .chats import HELLO, asking
from .conftest import serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
METADATA = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"), ("x-request-id", "traced"))


@pytest.fixture
def port() -> int:
    """The port of the collector, which the server gets before the collector starts."""
    return free_port()


@pytest.fixture
def url(request: pytest.FixtureRequest, vllm: VllmServers, port: int) -> str:
    """The URL of a server that exports its spans."""
    flags = (*FLEET["chat"].flags, "--otlp-traces-endpoint", f"http://127.0.0.1:{port}")
    with unlimited(request.config):
        vllm.run_only(replace(FLEET["chat"], name="traced", flags=flags))
    return vllm.url("traced")


@pytest.fixture
async def spans(port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collector(port) as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "5")
        yield running


async def test_a_call_its_request_and_the_engine_are_one_trace(
    url: str, spans: Collector, serve: Serve
) -> None:
    service = await serve(upstream=(url,))
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        await serving(channel)
        stub = ChatCompletionServiceStub(channel)
        await stub.CreateChatCompletion(asking(HELLO), metadata=METADATA)
    await spans.until(lambda: len(traced(spans)) == 3)
    call, request, engine = traced(spans)
    assert (call.resource["service.name"], call.parent) == ("penstock", "00f067aa0ba902b7")
    assert (request.kind, request.parent) == ("CLIENT", call.span_id)
    assert (engine.name, engine.parent) == ("llm_request", request.span_id)
    assert str(engine.attributes[names.REQUEST_ID]).startswith("chatcmpl-traced-")


def traced(spans: Collector) -> list[Span]:
    """Returns the spans of the trace, each after its parent."""
    found = [span for span in spans.spans if span.trace_id == TRACE]
    above = {span.span_id: span for span in found}

    def depth(span: Span) -> int:
        return 1 + depth(above[span.parent]) if span.parent in above else 0

    return sorted(found, key=depth)
