"""grpc.health.v1: the state of each service follows the upstream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from server_process import free_port

from penstock_server.app import Service
from penstock_server.configuration import Settings, UpstreamTable
from penstock_server.rpc.server.health_list import HealthListRequest, HealthListResponse
from penstock_server.rpc.services import SERVICES
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, FREE_PORT, Serve, both, chat, create, plain_channel, stream, until

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
CHATS = "penstock.v1.ChatCompletionService"
LIVENESS = "liveness"


class Watcher:
    """A watch of one service."""

    def __init__(self, channel: aio.Channel, service: str = "") -> None:
        self.call: Any = HealthStub(channel).Watch(HealthCheckRequest(service=service))

    async def next(self) -> int:
        async with asyncio.timeout(BOUND_S):
            message = await self.call.read()
        assert message is not aio.EOF
        return int(message.status)

    async def until(self, status: int) -> None:
        while await self.next() != status:
            pass

    async def end(self) -> grpc.StatusCode:
        """Returns the status, which follows all messages."""
        with contextlib.suppress(aio.AioRpcError):
            while True:
                await self.call.read()
        return await self.call.code()  # type: ignore[no-any-return]


async def check(channel: aio.Channel, service: str = "") -> int:
    answer = await HealthStub(channel).Check(HealthCheckRequest(service=service))
    return int(answer.status)


@asynccontextmanager
async def health_of(serve: Serve, url: str) -> AsyncIterator[tuple[Service, aio.Channel]]:
    service = await serve(upstream=(url,))
    async with plain_channel(service) as channel:
        yield service, channel


async def test_serving(channel: aio.Channel) -> None:
    names = ("", CHATS, "penstock.v1.ModelService")
    for name in names:
        await Watcher(channel, name).until(SERVING)
        assert await check(channel, name) == SERVING
    listing = channel.unary_unary(
        "/grpc.health.v1.Health/List",
        request_serializer=HealthListRequest.SerializeToString,
        response_deserializer=HealthListResponse.FromString,
    )
    listed = await listing(HealthListRequest())
    assert set(listed.statuses) == {"", LIVENESS, *SERVICES}
    assert all(listed.statuses[name].status == SERVING for name in names)


async def test_unknown_service(channel: aio.Channel) -> None:
    with pytest.raises(aio.AioRpcError) as raised:
        await check(channel, "penstock.v1.Nothing")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    watcher = Watcher(channel, "penstock.v1.Nothing")
    assert await watcher.next() == UNKNOWN
    assert not watcher.call.done()


async def test_health_follows_an_upstream_that_stops_and_starts(serve: Serve) -> None:
    settings = SimulatorSettings(listen=f"127.0.0.1:{free_port()}")
    async with health_of(serve, f"http://{settings.listen}") as (_, channel):
        server, chats = Watcher(channel), Watcher(channel, CHATS)
        assert [await server.next(), await chats.next()] == [NOT_SERVING, NOT_SERVING]
        assert await check(channel, LIVENESS) == SERVING
        down = await both(channel, chat())
        assert (down.code, down.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "UPSTREAM_CONNECT_FAILED",
        )
        assert down.retry_s
        for _ in range(2):
            async with Simulator(settings):
                assert [await server.next(), await chats.next()] == [SERVING, SERVING]
                assert (await stream(channel, chat())).code is grpc.StatusCode.OK
            assert [await server.next(), await chats.next()] == [NOT_SERVING, NOT_SERVING]
            assert (await create(channel, chat())).code is grpc.StatusCode.UNAVAILABLE


async def test_health_follows_the_upstreams_health(
    channel: aio.Channel, simulator: Simulator
) -> None:
    watcher = Watcher(channel)
    await watcher.until(SERVING)
    simulator.healthy = False
    await watcher.until(NOT_SERVING)
    simulator.healthy = True
    await watcher.until(SERVING)


async def test_a_failed_call_is_noticed_before_the_next_probe(serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT)) as simulator:
        service = await serve(upstream=(simulator.url,), probe_interval=3600)
        async with plain_channel(service) as channel:
            watcher = Watcher(channel)
            await watcher.until(SERVING)
            await simulator.stop()
            await create(channel, chat())
            await watcher.until(NOT_SERVING)


async def test_a_reload_does_not_change_health(serve: Serve) -> None:
    """Whether an upstream keeps its address or another one replaces it."""
    settings = SimulatorSettings(listen=FREE_PORT)
    async with Simulator(settings) as one, Simulator(settings) as other:
        for simulator in (one, other):
            simulator.path_faults["/health"] = "slow-headers seconds=0.1"
        service = await serve(upstream=(one.url,))
        table = UpstreamTable(one.url, name="one", weight=2.0, models={"m": "tiny-chat"})
        async with plain_channel(service) as channel:
            watcher, reported = Watcher(channel, CHATS), [SERVING]
            await watcher.until(SERVING)

            async def follow() -> None:
                while True:
                    reported.append((await watcher.call.read()).status)

            following = asyncio.create_task(follow())
            for upstream in ((one.url,), (table,), (table, other.url), (other.url,), (one.url,)):
                await service.reload(Settings(upstream=upstream, idle_timeout=7.0))
                await until(lambda: all(r.known.alive is not None for r in service._fleet.replicas))
            await service.reload(Settings(upstream=("http://127.0.0.1:1",)))
            await until(lambda: service._fleet.healthy() is False and reported[-1] == NOT_SERVING)
            assert reported == [SERVING, NOT_SERVING]
            following.cancel()


async def test_a_busy_upstream_is_serving(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), max_connections=1)
    async with plain_channel(service) as channel:
        await Watcher(channel).until(SERVING)
        waiting = asyncio.create_task(create(channel, chat(fault="silent")))
        await simulator.wait_active(1)
        probes = simulator.request_count
        async with asyncio.timeout(BOUND_S):
            await simulator.wait_requests(probes + 3)
        assert await check(channel) == SERVING
        waiting.cancel()


async def test_watchers_are_independent(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as first_channel, plain_channel(service) as channel:
        first, second, third = Watcher(first_channel), Watcher(channel), Watcher(channel, CHATS)
        for watcher in (first, second, third):
            await watcher.until(SERVING)
        first.call.cancel()
        simulator.healthy = False
        assert [await second.next(), await third.next()] == [NOT_SERVING, NOT_SERVING]
        await first_channel.close()
        simulator.healthy = True
        assert [await second.next(), await third.next()] == [SERVING, SERVING]


async def test_a_stop_ends_watches_and_does_not_wait_for_them(
    simulator: Simulator, serve: Serve
) -> None:
    async with health_of(serve, simulator.url) as (service, channel):
        watchers = [Watcher(channel), Watcher(channel, "unknown")]
        await watchers[0].until(SERVING)
        await watchers[1].until(UNKNOWN)
        async with asyncio.timeout(BOUND_S):
            await service.stop(3600)
            assert [await watcher.end() for watcher in watchers] == [
                grpc.StatusCode.UNAVAILABLE
            ] * 2


async def test_draining_is_reported_while_calls_finish(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), drain_delay=2, drain_timeout=30)
    async with plain_channel(service) as channel:
        watcher, alive = Watcher(channel), Watcher(channel, LIVENESS)
        await watcher.until(SERVING)
        assert await alive.next() == SERVING
        running = asyncio.create_task(stream(channel, chat("Tell me a story.")))
        draining = asyncio.create_task(service.drain())
        assert await watcher.next() == NOT_SERVING
        assert await check(channel, LIVENESS) == SERVING
        assert (await stream(channel, chat())).code is grpc.StatusCode.OK  # still accepted
        assert (await running).code is grpc.StatusCode.OK
        async with asyncio.timeout(BOUND_S):
            await draining
