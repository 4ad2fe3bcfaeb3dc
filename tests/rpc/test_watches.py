"""Calls of health and reflection, which require no key: their limits, and how they end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, chat, ended, plain_channel, stream


def watch(channel: aio.Channel) -> Any:
    return HealthStub(channel).Watch(HealthCheckRequest())


def reflection(channel: aio.Channel) -> Any:
    method: Any = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
    )
    return method(_asking_once())


async def _asking_once() -> AsyncIterator[ServerReflectionRequest]:
    yield ServerReflectionRequest(list_services="")
    await asyncio.Event().wait()


KINDS = {"watch": watch, "reflection": reflection}
PER_CONNECTION, IN_ALL = {"max_watches_per_connection": 3}, {"max_watches": 3}


async def refused(call: Any) -> bool:
    """Returns whether a call is refused as one too many; if not, it has its first message."""
    try:
        await call.read()
    except aio.AioRpcError as error:
        result = ended(error)
        assert (result.code, result.reason) == (Code.UNAVAILABLE, "OVERLOADED")
        assert result.retry_s
        return True
    return False


@pytest.mark.parametrize("begin", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("limit", [PER_CONNECTION, IN_ALL], ids=["connection", "all"])
async def test_one_too_many(begin: Any, limit: Any, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), **limit)
    async with plain_channel(service) as channel, plain_channel(service) as another:
        async with asyncio.timeout(BOUND_S):
            calls = [begin(channel) for _ in range(3)]
            assert not any([await refused(call) for call in calls])
            assert await refused(begin(channel))
            assert await refused(begin(another)) == (limit == IN_ALL)
            assert (await stream(channel, chat())).code is Code.OK
            calls.pop().cancel()
            while await refused(begin(channel)):
                pass


async def test_calls_without_a_request_count(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), **PER_CONNECTION)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        check: Any = channel.stream_stream("/grpc.health.v1.Health/Check")
        async with AsyncExitStack() as silent:
            for _ in range(3):
                silent.callback(check(_nothing()).cancel)
            while not await refused(watch(channel)):
                pass


async def _nothing() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


def test_there_is_a_limit_by_default() -> None:
    assert 0 < Settings().max_watches_per_connection < Settings().max_watches


@pytest.mark.parametrize("begin", KINDS.values(), ids=KINDS)
async def test_a_stop_ends_them(begin: Any, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = begin(channel)
        await call.read()
        await service.stop(3600)
        # The status follows the messages, of which there may be more.
        with contextlib.suppress(aio.AioRpcError):
            while True:
                await call.read()
        assert await call.code() is Code.UNAVAILABLE
