"""Calls whose caller leaves: the upstream's work ends at once, and nothing is leaked."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, FREE_PORT, STORY, Serve, chat, create, plain_channel, stream, until
from .keyed import calls_heard

# State of the call when its caller leaves.
PLACES = {
    "unary, no headers": ("CreateChatCompletion", "silent"),
    "stream, no headers": ("StreamChatCompletion", "silent"),
    "stream, no first event": ("StreamChatCompletion", "stall after=0"),
    "stream, only heartbeats": ("StreamChatCompletion", "stall after=0 heartbeats"),
    "stream, between events": ("StreamChatCompletion", "stall after=2"),
}


@pytest.mark.parametrize(("method", "fault"), PLACES.values(), ids=PLACES)
async def test_the_caller_cancels(
    channel: aio.Channel, simulator: Simulator, method: str, fault: str
) -> None:
    call = getattr(ChatCompletionServiceStub(channel), method)(chat(fault=fault))
    async with asyncio.timeout(BOUND_S):
        await simulator.wait_active(1)
        if "after=2" in fault:
            await call.read()
        call.cancel()
        await simulator.wait_aborted(1)
        await simulator.wait_active(0)


@pytest.mark.parametrize(("method", "fault"), PLACES.values(), ids=PLACES)
async def test_the_deadline_passes(
    channel: aio.Channel, simulator: Simulator, method: str, fault: str
) -> None:
    run: Callable[..., Any] = create if method.startswith("Create") else stream
    async with asyncio.timeout(BOUND_S):
        result = await run(channel, chat(fault=fault), timeout=0.3)
        assert result.code is grpc.StatusCode.DEADLINE_EXCEEDED
        await simulator.wait_aborted(1)
        await simulator.wait_active(0)


async def test_the_connection_breaks(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(chat(fault="stall"))
        await call.read()
    async with asyncio.timeout(BOUND_S):
        await simulator.wait_aborted(1)


async def test_a_caller_that_does_not_read_cancels(serve: Serve) -> None:
    # More than all windows can hold: the service is blocked in a write when the caller leaves.
    async with Simulator(SimulatorSettings(listen=FREE_PORT, max_model_len=100_000)) as simulator:
        service = await serve(upstream=(simulator.url,))
        async with plain_channel(service) as channel:
            request = chat("word " * 20_000)
            call = ChatCompletionServiceStub(channel).StreamChatCompletion(request)
            await call.read()
            await asyncio.sleep(0.5)  # for the windows to fill; valid even if they do not
            async with asyncio.timeout(BOUND_S):
                assert simulator.active == 1
                call.cancel()
                await simulator.wait_aborted(1)
                await simulator.wait_active(0)


async def test_many_cancelled_calls_leak_nothing(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), probe_interval=3600)
    async with plain_channel(service) as channel, asyncio.timeout(60):
        assert (await stream(channel, chat())).code is grpc.StatusCode.OK
        await until(lambda: bool(service._fleet.healthy()))
        tasks = len(asyncio.all_tasks())
        stub = ChatCompletionServiceStub(channel)
        methods: list[Any] = [stub.CreateChatCompletion, stub.StreamChatCompletion]
        for number in range(66):
            fault = ("silent", "stall after=0", "stall after=1")[number % 3]
            call = methods[number % 2](
                chat(STORY, fault=fault), timeout=None if number % 11 else 0.4
            )
            if number % 11:
                await simulator.wait_active(1)
                call.cancel()
            # On a busy machine, the deadline may pass before the request arrives upstream.
            await call.code()
            await simulator.wait_active(0)
        assert 50 <= simulator.aborted == len(calls_heard(simulator)) - 1
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert service._fleet.replicas[0].upstream.outstanding == 0
        idle = 2  # kept for reuse: one of the earlier calls, one of the probes
        await until(lambda: simulator.open_connections <= idle)
