"""Failures of an upstream as the caller sees them."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from closed_port import closed_url
from grpc import StatusCode as Code
from grpc import aio
from skipping import LIMIT_S, Skipping

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import (
    CHAT,
    FREE_PORT,
    Ended,
    Serve,
    both,
    chat,
    create,
    ended,
    plain_channel,
    stream,
)

# fault: code, reason of both RPCs
FAULTS = {
    "status code=400": (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED"),
    "status code=401": (Code.INTERNAL, "UPSTREAM_AUTH_FAILED"),
    "status code=404": (Code.NOT_FOUND, "MODEL_NOT_FOUND"),
    "status code=404 body=flat": (Code.NOT_FOUND, "MODEL_NOT_FOUND"),
    "status code=404 body=detail": (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED"),
    "status code=404 body=empty": (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED"),
    "status code=404 body=html": (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED"),
    "status code=302 location=/elsewhere": (Code.INTERNAL, "GATEWAY_ERROR"),
    "status code=413": (Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE"),
    "status code=429": (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    "status code=500": (Code.INTERNAL, "UPSTREAM_INTERNAL"),
    "status code=503 body=text": (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    "status code=504": (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT"),
    "error-in-200 code=404": (Code.NOT_FOUND, "MODEL_NOT_FOUND"),
    "error-in-200 code=context_length_exceeded": (
        Code.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
    ),
    "error-in-200 code=503 body=flat": (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    "error-in-200 body=string": (Code.INTERNAL, "UPSTREAM_INTERNAL"),
    "error-in-200 body=detail": (Code.INTERNAL, "UPSTREAM_INTERNAL"),
    "error-event code=400": (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED"),
    "html": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
    "malformed-event after=0": (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
    "cut after=0": (Code.UNAVAILABLE, "UPSTREAM_CLOSED"),
    "reset after=0": (Code.UNAVAILABLE, "UPSTREAM_CLOSED"),
}


@pytest.mark.parametrize(("fault", "row"), FAULTS.items(), ids=FAULTS)
async def test_before_the_first_message(
    channel: aio.Channel, fault: str, row: tuple[grpc.StatusCode, str]
) -> None:
    request = chat(fault=fault)
    # A 404 for a model that the upstream lists would be a contradiction.
    request.model = "unlisted" if "404" in fault else ""
    result = await both(channel, request)
    assert (result.code, result.reason) == row
    assert result.domain == "penstock"
    assert "<html>" not in result.message


async def test_an_answer_without_choices(channel: aio.Channel) -> None:
    """Events without choices are skipped, and do not complete the stream."""
    for call in (create, stream):
        result = await call(channel, chat(fault="missing-choices"))
        assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")
        assert not any(message.choices for message in result.received)


async def test_when_to_retry(channel: aio.Channel, simulator: Simulator) -> None:
    result = await both(channel, chat(fault="status code=503 retry_after=7"))
    assert (result.retry_s, result.pushback) == (7.0, "7000")
    assert result.trailers["retry-after"] == "7"
    result = await both(channel, chat(fault="status code=429 retry_after=7"))
    assert (result.retry_s, result.pushback) == (7.0, None)
    result = await both(channel, chat(fault="status code=503 retry_after=1.5"))
    assert (result.retry_s, result.pushback, result.trailers["retry-after"]) == (1.5, "1500", "2")
    result = await both(channel, chat(fault="status code=413 retry_after=7"))
    assert (result.retry_s, result.pushback) == (None, "-1")
    simulator.faults = "status;code=503;retry_after=" + "9" * 400
    assert (await both(channel, chat())).reason == "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize("letter", ["x", "é", "好", "👋"])
async def test_a_very_long_message_keeps_its_status(
    channel: aio.Channel, simulator: Simulator, letter: str
) -> None:
    # Trailers over the client's limit would randomly end the call as RESOURCE_EXHAUSTED.
    simulator.faults = "status;code=400;message=" + letter * (65536 // len(letter.encode()))
    for _ in range(20):
        result = await both(channel, chat())
        assert result.code is Code.INVALID_ARGUMENT
        assert len(result.message.encode()) <= 1024
        assert result.details_size <= 4096


async def test_the_first_byte_has_a_limit(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), first_byte_timeout=0.2)
    async with plain_channel(service) as channel:
        result = await both(channel, chat(fault="silent"))
        assert (result.code, result.reason) == (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT")
        result = await stream(channel, chat(fault="slow-first-event seconds=9"))
        assert (result.code, result.reason) == (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT")


async def test_all_connections_in_use(simulator: Simulator, serve: Serve, skip: Skipping) -> None:
    service = await serve(
        upstream=(simulator.url,), max_connections=1, connect_timeout=LIMIT_S, max_attempts=1
    )
    async with plain_channel(service) as channel:
        waiting = ChatCompletionServiceStub(channel).CreateChatCompletion(chat(fault="silent"))
        await simulator.wait_active(1)
        refused = asyncio.create_task(both(channel, chat()))
        for _ in range(2):
            await skip()
        result = await refused
        assert (result.code, result.reason) == (Code.UNAVAILABLE, "OVERLOADED")
        assert result.retry_s == 1.0
        waiting.cancel()


async def test_the_upstream_is_down(serve: Serve) -> None:
    with closed_url() as url:
        async with plain_channel(await serve(upstream=(url,))) as channel:
            result = await both(channel, chat())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
    assert (result.retry_s, result.pushback) == (1.0, "1000")
    assert result.metadata["stage"] == "connect"


async def test_no_secret_reaches_the_caller(serve: Serve) -> None:
    keyed = SimulatorSettings(listen=FREE_PORT, api_key="right")
    async with Simulator(keyed) as simulator:
        service = await serve(upstream=(simulator.url,), upstream_api_key="sk-secret")
        async with plain_channel(service) as channel:
            result = await both(channel, chat())
            assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_AUTH_FAILED")
            assert "sk-secret" not in str(result)
        service = await serve(upstream=(simulator.url,), upstream_api_key="right")
        async with plain_channel(service) as channel:
            for code in (400, 401, 500):
                simulator.faults = f"status;code={code};message=not-with-right"
                assert "right" not in str(await both(channel, chat()))


async def test_the_callers_request_id_is_used(channel: aio.Channel, simulator: Simulator) -> None:
    metadata = (("x-request-id", "mine-1"),)
    stub = ChatCompletionServiceStub(channel)
    unary = stub.CreateChatCompletion(chat(), metadata=metadata)
    assert "mine-1" in (await unary).id
    assert dict(await unary.trailing_metadata())["x-request-id"] == "mine-1"
    streamed = stub.StreamChatCompletion(chat(), metadata=metadata)
    assert all(["mine-1" in message.id async for message in streamed])
    assert dict(await streamed.initial_metadata())["x-request-id"] == "mine-1"
    assert _names_sent(simulator) == ["mine-1", "mine-1"]
    failed = await both(channel, chat(fault="status"), metadata=metadata)
    assert (failed.request_id, failed.trailers["x-request-id"]) == ("mine-1", "mine-1")


async def test_the_request_id_for_the_engine_takes_precedence_upstream(
    channel: aio.Channel, simulator: Simulator
) -> None:
    request = chat()
    request.engine.request_id = "inner"
    call = ChatCompletionServiceStub(channel).CreateChatCompletion(
        request, metadata=(("x-request-id", "outer"),)
    )
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "outer"
    assert _names_sent(simulator) == ["inner"]


@pytest.mark.parametrize("given", [(), (("x-request-id", "x" * 129),), (("x-request-id", ""),)])
async def test_a_missing_request_id_is_generated(
    channel: aio.Channel, simulator: Simulator, given: tuple[tuple[str, str], ...]
) -> None:
    results = [await create(channel, chat(fault="status"), metadata=given) for _ in range(2)]
    assert len({result.request_id for result in results}) == 2
    assert _names_sent(simulator) == [result.request_id for result in results]
    assert all(len(result.request_id) == 32 for result in results)


async def test_too_large_requests_leave_the_connection_usable(
    simulator: Simulator, serve: Serve
) -> None:
    service = await serve(upstream=(simulator.url,), max_message_bytes=10_000)
    async with plain_channel(service) as channel:
        for _ in range(3):
            assert (await _too_large(channel)).code is Code.RESOURCE_EXHAUSTED
            assert (await stream(channel, chat())).code is Code.OK
        assert _peers(service) == 1


async def _too_large(channel: aio.Channel) -> Ended:
    return await create(channel, chat("x" * 10_000))


def _peers(service: Service) -> int:
    """Returns the number of connections to the service's port, as counted by the kernel."""
    tables = (Path("/proc/net/tcp").read_text(), Path("/proc/net/tcp6").read_text())
    rows = [line.split() for table in tables for line in table.splitlines()]
    port = f":{service.port:04X}"
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


def _names_sent(simulator: Simulator) -> list[str]:
    """Returns the callers' ids within the unique ids of the requests."""
    paths = {"/v1/chat/completions"}
    sent = [r.headers["x-request-id"] for r in simulator.requests if r.path in paths]
    assert len(set(sent)) == len(sent)
    return [request_id.rpartition("-")[0] for request_id in sent]


async def test_unknown_methods(channel: aio.Channel) -> None:
    calls = {
        "/penstock.v1.ImageService/CreateImage": "UNSUPPORTED_OPERATION",
        CHAT + "s": "UNSUPPORTED_OPERATION",
        "/penstock.v2.ChatCompletionService/CreateChatCompletion": "",
        "/other.Service/Method": "",
    }
    for method, reason in calls.items():
        unary: Any = channel.unary_unary(method)
        client_streaming: Any = channel.stream_unary(method)
        streaming: Any = channel.unary_stream(method)
        both_ways: Any = channel.stream_stream(method)
        attempts: list[Any] = [
            unary(b""),
            client_streaming(iter([b"a", b"b"])),
            streaming(b"").read(),
            both_ways(iter([b"a"])).read(),
        ]
        for attempt in attempts:
            with pytest.raises(aio.AioRpcError) as raised:
                await attempt
            result = ended(raised.value)
            assert (result.code, result.reason) == (Code.UNIMPLEMENTED, reason)
            if reason:
                assert "penstock.v1.ChatCompletionService" in result.message
                assert result.request_id
