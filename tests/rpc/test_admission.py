"""Admission of calls: the limit, and no admission while the server stops."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator

from .calls import BOUND_S, FREE_PORT, Ended, Serve, chat, create, plain_channel, stream
from .every_rpc import EVERY_RPC, Called, Upstream, names, running


@pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
async def test_one_too_many(rpc: Called, serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream:
        settings: dict[str, Any] = {"probe_interval": 3600, "max_concurrent_calls": 1}
        service = await serve(upstream=(upstream.url,), **settings, **rpc.settings)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            first = rpc.start(channel)
            await upstream.came.wait()
            result = await rpc.run(service, channel)
            assert (result.code, result.reason) == (Code.UNAVAILABLE, "OVERLOADED")
            assert (result.retry_s, result.pushback) == (1.0, "1000")
            assert result.trailers["retry-after"] == "1"
            assert upstream.requests == 1
            first.cancel()


async def test_a_call_that_ends_makes_room(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), max_concurrent_calls=2)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        method = ChatCompletionServiceStub(channel).StreamChatCompletion
        running = [method(chat(fault="stall after=1")) for _ in range(2)]
        await simulator.wait_active(2)
        assert (await create(channel, chat())).reason == "OVERLOADED"
        running.pop().cancel()
        await simulator.wait_aborted(1)
        for fault in ("", "status code=500"):  # neither success nor failure keeps its place
            for _ in range(3):
                assert (await stream(channel, chat(fault=fault))).reason != "OVERLOADED"


async def test_health_is_always_admitted(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), max_concurrent_calls=1)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat(fault="silent"))
        await simulator.wait_active(1)
        health = health_pb2_grpc.HealthStub(channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status
        call.cancel()


@pytest.fixture
async def stopping(simulator: Simulator) -> AsyncIterator[Service]:
    settings = Settings(
        listen=FREE_PORT, admin_listen="", metrics_listen="", upstream=(simulator.url,)
    )
    async with Service(settings) as service:
        yield service


@pytest.fixture
def delayed(stopping: Service, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, ...]:
    """Events: one that is set when gRPC's own stop begins, and one that the stop waits for."""
    asked, allowed = asyncio.Event(), asyncio.Event()
    stop = stopping._server.stop

    async def stop_later(grace_s: float | None) -> None:
        asked.set()
        # gRPC itself ends later calls as CANCELLED.
        await allowed.wait()
        await stop(grace_s)

    monkeypatch.setattr(stopping._server, "stop", stop_later)
    return asked, allowed


async def test_a_call_during_the_stop(
    stopping: Service, delayed: tuple[asyncio.Event, ...]
) -> None:
    asked, allowed = delayed
    async with plain_channel(stopping) as channel, asyncio.timeout(BOUND_S):
        await channel.channel_ready()
        stopped = asyncio.create_task(stopping.stop(0.5))
        await asked.wait()
        result = await create(channel, chat())
        allowed.set()
        await stopped
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "DRAINING")
    assert (result.retry_s, result.pushback) == (0.0, "0")


async def test_a_call_just_before_the_stop_is_answered(
    simulator: Simulator, stopping: Service, delayed: tuple[asyncio.Event, ...]
) -> None:
    asked, allowed = delayed
    async with plain_channel(stopping) as channel, asyncio.timeout(BOUND_S):
        await channel.channel_ready()
        stopped = asyncio.create_task(stopping.stop(3600))
        calls = [asyncio.create_task(stream(channel, chat())) for _ in range(20)]
        await asked.wait()
        assert not simulator.active
        allowed.set()
        assert [(await call).code for call in calls] == [Code.OK] * 20
        await stopped


async def test_continuous_calls_do_not_delay_the_stop(stopping: Service) -> None:
    async with plain_channel(stopping) as channel, asyncio.timeout(BOUND_S):
        await channel.channel_ready()
        stopped = asyncio.create_task(stopping.stop(3600))
        calls = []
        while not stopping._admission._closed:
            calls.append(asyncio.create_task(stream(channel, chat())))
            await asyncio.sleep(0.001)
        await asyncio.gather(*calls)
        await stopped


async def test_calls_fail_after_the_grace_period(simulator: Simulator, stopping: Service) -> None:
    async with plain_channel(stopping) as channel, asyncio.timeout(BOUND_S):
        unary = asyncio.create_task(create(channel, chat(fault="silent")))
        begun = asyncio.Event()
        streamed = asyncio.create_task(stream(channel, chat(fault="stall after=1"), begun))
        await simulator.wait_active(2)
        await begun.wait()
        await stopping.stop(0.2)
        ends: list[Ended] = [await unary, await streamed]
        await simulator.wait_active(0)
    assert [end.code for end in ends] == [Code.UNAVAILABLE] * 2
    assert [end.reason for end in ends] == ["UPSTREAM_CLOSED", "STREAM_INTERRUPTED"]
    assert ends[1].metadata["messagesSent"] == "1"
    assert [end.pushback for end in ends] == ["-1", "-1"]
