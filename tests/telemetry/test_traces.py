"""Traces as a collector receives them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from random import getrandbits
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from grpc import StatusCode as Code
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from operations.transcriptions import WHISPER, asking, stub, upload
from rpc.calls import Serve, chat, create, parsed, plain_channel, stream, until
from steps import steps

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.model_pb2 import ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub
from penstock.v1.response_pb2 import GetResponseRequest
from penstock.v1.response_pb2_grpc import ResponseServiceStub
from penstock_server.rpc.calls import Rpc
from penstock_server.rpc.middleware import CallTracer
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.http.requests import Request
from penstock_server.telemetry import tracing
from penstock_server.telemetry.trace_context import TraceContext
from penstock_server.telemetry.trace_context import parsed as parsed_context
from penstock_server.telemetry.tracing.sampling import NextIds, Sampling
from penstock_server.telemetry.tracing.spans import Tracing

from .collector import BOUND_S, Collector, Span

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-1] + "0"
UNARY = "penstock.v1.ChatCompletionService/CreateChatCompletion"
STREAM = "penstock.v1.ChatCompletionService/StreamChatCompletion"
ROUTE = "/v1/chat/completions"


@pytest.fixture
async def other() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(listen="127.0.0.1:0")) as running:
        yield running


def name_of(simulator: Simulator) -> str:
    return simulator.url.removeprefix("http://")


def sent(simulator: Simulator) -> list[str | None]:
    """The trace contexts of the chats that a simulator received, without their flags."""
    return [context(request) for request in requests(simulator)]


def requests(simulator: Simulator) -> list[Request]:
    """The chats that a simulator received."""
    return [request for request in simulator.requests if request.path == ROUTE]


def context(request: Request) -> str | None:
    return (request.headers.get("traceparent") or "").rpartition("-")[0] or None


REQUEST = (
    "model: 'tiny-chat' sampling { temperature: 0.5 top_p: 0.25 seed: 7 max_tokens: 6 stop: 'X' }"
)


async def test_a_unary_call(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        metadata = (("traceparent", PARENT), ("tracestate", "a=b"), ("x-request-id", "mine"))
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            parsed(REQUEST), metadata=metadata
        )
    call, [request] = await spans.call(1)
    assert (call.name, call.trace_id, call.parent) == (UNARY, TRACE, PARENT.split("-")[2])
    assert call.error is None
    assert call.events == []
    given = dict(call.attributes)
    assert given.pop("network.peer.port") > 0
    assert given.pop("gen_ai.usage.input_tokens") > 0
    assert given.pop("gen_ai.usage.output_tokens") > 0
    assert given == {
        "rpc.system.name": "grpc",
        "rpc.method": UNARY,
        "rpc.status_code": "OK",
        "network.peer.address": "127.0.0.1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.id": "mine",
        "gen_ai.request.model": "tiny-chat",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.25,
        "gen_ai.request.seed": 7,
        "gen_ai.request.max_tokens": 6,
        "gen_ai.request.stop_sequences": ["X"],
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.response.model": "tiny-chat",
        "gen_ai.response.finish_reasons": given["gen_ai.response.finish_reasons"],
        "penstock.attempts": 1,
        "penstock.upstream": name_of(simulator),
    }
    assert set(given["gen_ai.response.finish_reasons"]) <= {"stop", "length"}
    assert request.name == f"POST {ROUTE}"
    assert request.error is None
    host, port = name_of(simulator).split(":")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.template": ROUTE,
        "url.path": ROUTE,
        "server.address": host,
        "server.port": int(port),
        "penstock.upstream": name_of(simulator),
        "gen_ai.request.model": "tiny-chat",
    }
    assert sent(simulator) == [request.traceparent]
    [chatted] = [one for one in simulator.requests if one.path == ROUTE]
    assert chatted.headers["tracestate"] == "a=b"
    assert call.resource["service.name"] == "penstock"


async def test_a_stream(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        result = await stream(channel, chat())
    call, [request] = await spans.call(1)
    assert (call.name, call.parent, call.error) == (STREAM, "", None)
    assert call.attributes["rpc.status_code"] == "OK"
    assert call.attributes["gen_ai.request.stream"] is True
    assert call.attributes["penstock.messages"] == len(result.received) > 3
    assert 0 < call.attributes["gen_ai.response.time_to_first_chunk"] <= call.seconds + 0.01
    # One for the first message, none for each.
    assert call.events == ["penstock.first_token"]
    assert (request.error, request.attributes["http.response.status_code"]) == (None, 200)
    assert sent(simulator) == [request.traceparent]
    assert result.trailers.get("x-penstock-trace-id", call.trace_id) == call.trace_id


@pytest.mark.parametrize("begun", [True, False], ids=["after its first message", "before"])
async def test_a_cancelled_stream_is_not_an_error(
    begun: bool, spans: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        fault = "stall after=1" if begun else "silent"
        call_ = ChatCompletionServiceStub(channel).StreamChatCompletion(chat(fault=fault))
        if begun:
            await call_.read()
        await simulator.wait_active(1)
        call_.cancel()
        call, [request] = await spans.call(1)
    assert call.attributes["rpc.status_code"] == call.attributes["error.type"] == "CANCELLED"
    assert (call.error, request.error) == (None, None)
    assert request.attributes["error.type"] == "cancelled"
    assert call.events == ["penstock.first_token"] * begun


async def test_a_failure(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_attempts=1)
    async with plain_channel(service) as channel:
        failed = await create(channel, chat(fault="status code=500"))
    call, [request] = await spans.call(1)
    assert call.error == call.attributes["penstock.reason"] == "UPSTREAM_INTERNAL"
    assert call.attributes["rpc.status_code"] == call.attributes["error.type"] == "INTERNAL"
    assert request.error == ""
    assert request.attributes["error.type"] == "500"
    assert request.attributes["http.response.status_code"] == 500
    assert failed.trailers["x-penstock-trace-id"] == call.trace_id


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
@pytest.mark.parametrize("chosen", ["", "mine", "ABCD" * 8])
async def test_the_trace_of_a_call_with_a_request_id(
    chosen: str,
    sampler: str,
    spans: Collector,
    serve: Serve,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trace that begins here has the request id, unless that is the caller's choice."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    service = await serve(upstream=(simulator.url,), max_attempts=1)
    metadata = (("x-request-id", chosen),) if chosen else ()
    async with plain_channel(service) as channel:
        failed = await create(channel, chat(fault="status code=500"), metadata=metadata)
    trace_id, request_id = (failed.trailers[f"x-{key}-id"] for key in ("penstock-trace", "request"))
    assert parsed_context(f"00-{trace_id}-{trace_id[:16]}-00")
    assert request_id == (chosen or trace_id)
    [request] = requests(simulator)
    assert request.headers["traceparent"].split("-")[1] == trace_id


async def test_an_error_of_the_caller(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await create(channel, chat(), metadata=(("x-vllm-priority", "high"),))
    call, requests = await spans.call(0)
    assert requests == []
    assert call.attributes["error.type"] == "INVALID_ARGUMENT"
    assert call.error is None


async def test_a_stream_that_breaks(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await stream(channel, chat(fault="cut after=2"))
    call, [request] = await spans.call(1)
    assert call.error == "STREAM_INTERRUPTED"
    assert request.attributes["error.type"] == "interrupted"
    assert request.error is not None


async def test_a_retry(
    spans: Collector, serve: Serve, simulator: Simulator, other: Simulator
) -> None:
    for one in (simulator, other):
        one.faults = "status code=503"
    service = await serve(upstream=(simulator.url, other.url), max_attempts=2)
    async with plain_channel(service) as channel:
        await create(channel, chat())
    call, requests = await spans.call(2)
    assert call.events == ["penstock.retry"]
    assert call.attributes["penstock.attempts"] == 2
    assert [one.attributes.get("http.request.resend_count") for one in requests] == [None, 1]
    assert {one.attributes["error.type"] for one in requests} == {"503"}
    # Each upstream has the context of its own request.
    by_name = {one.attributes["penstock.upstream"]: one for one in requests}
    for one in (simulator, other):
        assert sent(one) == [by_name[name_of(one)].traceparent]


async def test_a_hedge(
    spans: Collector, serve: Serve, simulator: Simulator, other: Simulator
) -> None:
    service = await serve(upstream=(simulator.url, other.url), hedge_after=0.01)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        simulator.faults = other.faults = "silent"
        running = asyncio.ensure_future(stream(channel, chat()))
        await until(lambda: bool(simulator.active and other.active))
        running.cancel()
        call, requests = await spans.call(2)
    assert call.events == ["penstock.hedge"]
    assert [one.attributes.get("penstock.hedge") for one in by_start(requests)] == [None, True]
    assert {one.attributes["error.type"] for one in requests} == {"cancelled"}
    assert sent(simulator) + sent(other) != [None, None]
    assert len(set(sent(simulator) + sent(other))) == 2


def by_start(requests: list[Span]) -> list[Span]:
    return sorted(requests, key=lambda span: "penstock.hedge" in span.attributes)


async def test_an_upload(spans: Collector, serve: Serve) -> None:
    async with Simulator(WHISPER) as simulator:
        service = await serve(upstream=(simulator.url,))
        async with plain_channel(service) as channel:
            await stub(channel).UploadTranscribe(upload(asking()))
        call, [request] = await spans.call(1)
        [uploaded] = [one for one in simulator.requests if one.path == request.name.split()[1]]
    assert call.attributes["gen_ai.operation.name"] == "transcription"
    assert (call.error, request.error) == (None, None)
    assert request.attributes["http.response.status_code"] == 200
    assert context(uploaded) == request.traceparent


async def test_a_stored_response(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    """Its id is enough to read it, so no span has it."""
    service = await serve(upstream=(simulator.url,), native_responses="always")
    async with plain_channel(service) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await ResponseServiceStub(channel).GetResponse(GetResponseRequest(response_id="resp_1"))
    call, [request] = await spans.call(1)
    assert (call.attributes["rpc.status_code"], call.error) == ("NOT_FOUND", None)
    assert request.name == "GET /v1/responses/{response_id}"
    assert "resp_1" not in str([call, request])
    assert request.attributes["error.type"] == "404"


async def test_a_method_that_does_not_exist(
    spans: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        unknown: Any = channel.unary_unary("/penstock.v1.No/Invented")
        with pytest.raises(grpc.aio.AioRpcError):
            await unknown(b"")
    call, _ = await spans.call(0)
    assert call.name == call.attributes["rpc.method"] == "_OTHER"
    assert call.error == "UNSUPPORTED_OPERATION"


async def test_a_call_that_its_caller_does_not_sample(
    spans: Collector, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat(), metadata=(("traceparent", UNSAMPLED),)
        )
        await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
    call, [_] = await spans.call(1)
    assert call.parent == ""
    contexts = [request.headers.get("traceparent", "") for request in simulator.requests]
    [unsampled, sampled] = [one for one in contexts if one]
    assert unsampled.startswith(f"00-{TRACE}-")
    assert unsampled.endswith("-00")
    assert sampled.startswith(f"00-{call.trace_id}-")


async def test_the_standard_sampler(
    spans: Collector, serve: Serve, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        for metadata in ((), (("traceparent", PARENT),)):
            await ChatCompletionServiceStub(channel).CreateChatCompletion(chat(), metadata=metadata)
    call, _ = await spans.call(1)
    assert (call.trace_id, call.resource["service.name"]) == (TRACE, "mine")
    [unsampled, _] = [request.headers["traceparent"] for request in requests(simulator)]
    assert not int(unsampled.rpartition("-")[2], 16) & 1


class Half(Sampler):
    """Samples even trace ids, by a rule of its own."""

    def should_sample(
        self, parent_context: Any, trace_id: int, *given: Any, **named: Any
    ) -> SamplingResult:
        chosen = ALWAYS_OFF if trace_id % 2 else ALWAYS_ON
        return chosen.should_sample(parent_context, trace_id, *given, **named)

    def get_description(self) -> str:
        return "half"


@pytest.mark.parametrize(
    "sampler", [TraceIdRatioBased(0.5), ParentBased(TraceIdRatioBased(0.5)), Half()]
)
def test_a_span_is_sampled_as_was_decided_before_it_was_created(sampler: Sampler) -> None:
    ids = NextIds()
    provider = TracerProvider(sampler=sampler, id_generator=ids)
    drops = Sampling(ids, provider.sampler).drops
    tracing = Tracing(provider.get_tracer("t"), provider.shutdown, drops)
    trace_ids = [f"{getrandbits(128):032x}" for _ in range(200)]
    sampled = [trace_id for trace_id in trace_ids if not drops(UNARY, None, trace_id)]
    assert 0 < len(sampled) < 200
    for trace_id in sampled:
        assert not drops(UNARY, None, trace_id)
        span = tracing.begin(UNARY, None, "")
        assert (span.recording, span.context.trace_id) == (True, trace_id)
    for trace_id in {*trace_ids} - {*sampled}:
        decided = sampler.should_sample(None, int(trace_id, 16), UNARY)
        assert decided.decision is Decision.DROP


@pytest.mark.parametrize("root", [ALWAYS_OFF, ALWAYS_ON, *map(TraceIdRatioBased, (0, 0.125, 1))])
def test_the_bound_of_a_sampler(root: Sampler) -> None:
    sampling = Sampling(NextIds(), ParentBased(root))
    for last in (0, 1, 2**61 - 1, 2**61, 2**64 - 1):
        trace_id = (7 << 64) + last
        decided = root.should_sample(None, trace_id, UNARY).decision
        assert sampling.drops(UNARY, None, f"{trace_id:032x}") is (decided is Decision.DROP)


@pytest.mark.parametrize("sampler", [TraceIdRatioBased(0.0), ALWAYS_OFF])
@pytest.mark.parametrize("parent", [None, parsed_context(UNSAMPLED)])
def test_a_call_that_is_not_sampled_costs_little(
    parent: TraceContext | None, sampler: Sampler
) -> None:
    sampling = Sampling(NextIds(), ParentBased(sampler))
    assert sampling.drops(UNARY, parent, TRACE)
    assert steps(lambda: sampling.drops(UNARY, parent, TRACE)) < 12


async def test_a_call_that_is_not_sampled_runs_as_without_traces() -> None:
    """No coroutine is around it, and nothing observes it."""
    drops = Sampling(NextIds(), ParentBased(ALWAYS_OFF)).drops
    tracing = Tracing(TracerProvider().get_tracer("t"), lambda: None, drops)
    rpc = Rpc(f"/{UNARY}", Mock(invocation_metadata=list), None)
    answer = asyncio.get_running_loop().create_future()
    assert CallTracer(tracing, [rpc.method]).trace_call(lambda _: answer, rpc) is answer
    assert rpc.observer is None
    assert (rpc.trace_id, rpc.sampled) == (rpc.request_id, False)


@pytest.mark.parametrize(
    "sent_context",
    [(), (("traceparent", UNSAMPLED),), (("traceparent", UNSAMPLED), ("tracestate", "a=b"))],
    ids=["without a parent", "with a parent", "with a parent and its state"],
)
async def test_a_call_that_is_not_sampled_has_no_span(
    sent_context: tuple[tuple[str, str], ...],
    spans: Collector,
    serve: Serve,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    monkeypatch.setattr(SdkTracer, "start_span", None)
    service = await serve(upstream=(simulator.url,), max_attempts=1)
    async with plain_channel(service) as channel:
        await create(channel, chat(fault="status code=500"), metadata=sent_context)
        failed = await stream(channel, chat(fault="status code=500"), metadata=sent_context)
        await stream(channel, chat(), metadata=sent_context)
    given = dict(sent_context)
    for request in requests(simulator):
        version, trace_id, span_id, flags = request.headers["traceparent"].split("-")
        assert (version, int(flags, 16) & 1) == ("00", 0)
        assert int(trace_id, 16)
        assert int(span_id, 16)
        assert request.headers.get("tracestate") == given.get("tracestate")
        assert not given or request.headers["traceparent"] == UNSAMPLED
    assert len(requests(simulator)) == 3
    assert failed.trailers["x-penstock-trace-id"] in {
        request.headers["traceparent"].split("-")[1] for request in requests(simulator)
    }


async def test_without_the_variables(serve: Serve, simulator: Simulator) -> None:
    """The caller's trace context is sent upstream unchanged."""
    service = await serve(upstream=(simulator.url,))
    assert service._observers.tracer is None
    async with plain_channel(service) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat(), metadata=(("traceparent", PARENT),)
        )
    assert sent(simulator) == [PARENT.rpartition("-")[0]]


async def test_models(spans: Collector, serve: Serve, simulator: Simulator) -> None:
    """A call that generates nothing; its upstreams see it as their parent."""
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await ModelServiceStub(channel).ListModels(ListModelsRequest())
    call, _ = await spans.call(0)
    assert call.attributes["rpc.status_code"] == Code.OK.name
    assert "gen_ai.operation.name" not in call.attributes
    contexts = {context(request) for request in simulator.requests}
    assert contexts == {None, call.traceparent}


REQUESTED = {
    "OTEL_TRACES_EXPORTER=otlp": True,
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1": True,
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1": True,
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_TRACES_EXPORTER=none": False,
    "OTEL_TRACES_EXPORTER=otlp OTEL_SDK_DISABLED=true": False,
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:1": False,
    "OTEL_SERVICE_NAME=mine": False,
}


@pytest.mark.parametrize("variables", REQUESTED)
def test_variables_that_request_traces(variables: str) -> None:
    environment = dict(entry.split("=", 1) for entry in variables.split())
    started = tracing.start(environment)
    assert (started is not None) is REQUESTED[variables]


UNUSABLE = {
    "OTEL_TRACES_EXPORTER=abacus": "abacus",
    "OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=telex": "telex",
}


@pytest.mark.parametrize("variables", UNUSABLE)
def test_variables_that_cannot_be_used(variables: str, caplog: pytest.LogCaptureFixture) -> None:
    environment = dict(entry.split("=", 1) for entry in variables.split())
    assert tracing.start(environment) is None
    [line] = [record for record in caplog.records if record.msg == "traces are not exported"]
    assert UNUSABLE[variables] in vars(line)["fields"]["reason"]


@pytest.fixture
def without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the extra were not installed."""
    names = ("opentelemetry", "penstock_server.telemetry.tracing.")
    loaded = {name for name in sys.modules if name.startswith(names)}
    with monkeypatch.context() as patch:
        for name in loaded:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, "opentelemetry", None)
        yield


@pytest.mark.usefixtures("without_opentelemetry")
def test_without_the_extra(caplog: pytest.LogCaptureFixture) -> None:
    assert tracing.start({}) is None
    assert tracing.start({"OTEL_TRACES_EXPORTER": "otlp"}) is None
    [line] = [record for record in caplog.records if record.msg == "traces are not exported"]
    assert "penstock[otel]" in vars(line)["fields"]["reason"]


def test_nothing_is_imported_without_need() -> None:
    program = "import sys, penstock_server.app; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=10 * BOUND_S).returncode == 0
