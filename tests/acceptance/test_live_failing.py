"""Real engines that die, are stopped, or are overloaded: callers get the documented statuses."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from conftest import Serve
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc.calls import until
from servers import FLEET, LONG_FLAGS, Server, VllmServers

from penstock.channel import open_async_channel
from penstock.v1.common_pb2 import SamplingParams
from penstock_server.app import Service

from .chats import HELLO, Chats, asking, story
from .conftest import CASE_LIMIT_S, serving
from .refusals import Refusal, read

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
ENDS_OF_A_STREAM = (
    (UNAVAILABLE, "ENGINE_DEAD"),
    (UNAVAILABLE, "GENERATION_ABORTED"),
    (UNAVAILABLE, "STREAM_INTERRUPTED"),
)
ENDS_OF_A_CALL = (
    (UNAVAILABLE, "ENGINE_DEAD"),
    (UNAVAILABLE, "GENERATION_ABORTED"),
    (UNAVAILABLE, "UPSTREAM_CLOSED"),
    (UNAVAILABLE, "UPSTREAM_CONNECT_FAILED"),
    (grpc.StatusCode.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT"),
)

# Tokens of an answer; a server generates a few hundred a second.
SECONDS_OF_WORK = 3000
ENDLESS_WORK = 16000


def chat_server(name: str, *flags: str) -> Server:
    """Returns a chat server that one test may break."""
    return replace(FLEET["chat"], name=name, flags=(*FLEET["chat"].flags, *LONG_FLAGS, *flags))


@pytest.fixture(scope="module")
def servers() -> Iterator[VllmServers]:
    """The servers of this module, which start at the same time."""
    doomed = [
        chat_server("killed"),
        chat_server("stopped"),
        chat_server("drained", "--shutdown-timeout", "60"),
        # It runs one request at a time, and queues none.
        chat_server("busy", "--max-num-queued-reqs", "1"),
    ]
    with VllmServers(doomed) as running:
        yield running


@asynccontextmanager
async def in_front_of(
    servers: VllmServers, name: str, serve: Serve, **settings: float
) -> AsyncIterator[tuple[Service, aio.Channel]]:
    """Yields a service that knows its upstream, and a channel to it; stops the upstream at the end.

    A server that kept generating would slow the servers of other tests.
    """
    service = await serve(upstream=(servers.url(name),), probe_interval=0.2, **settings)
    try:
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            await serving(channel)
            yield service, channel
    finally:
        await asyncio.to_thread(servers.stop, [name])


async def not_serving(channel: aio.Channel) -> None:
    """Waits until the service reports that chats cannot be served."""
    asked = health_pb2.HealthCheckRequest(service="penstock.v1.ChatCompletionService")
    watch = health_pb2_grpc.HealthStub(channel).Watch(asked)
    async with asyncio.timeout(CASE_LIMIT_S):
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                break
    watch.cancel()


def engine_of(pid: int) -> int:
    """Returns the process of the engine, a child of the HTTP server."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    named = {int(child): Path(f"/proc/{child}/comm").read_text() for child in children}
    return next(child for child, name in named.items() if "Engine" in name)


async def begun(
    service: Service, channel: aio.Channel
) -> tuple[AsyncIterator[object], Awaitable[object]]:
    """Yields a stream that has begun and a running unary call, both far from their end."""
    chats = Chats(channel)
    stream = aiter(chats.open(story(ENDLESS_WORK)))
    await anext(stream)
    call = asyncio.ensure_future(chats.call(story(ENDLESS_WORK)))
    await until(lambda: sum(one.outstanding for one in service._fleet.snapshot()) == 2)
    return stream, call


async def ends(stream: AsyncIterator[object]) -> Refusal:
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in stream:
            pass
    assert dict(caught.value.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"
    refusal = read(caught.value)
    assert int(refusal.metadata["messagesSent"]) > 0
    return refusal


async def fails(call: Awaitable[object]) -> Refusal:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return read(caught.value)


async def test_the_engine_is_killed(servers: VllmServers, serve: Serve) -> None:
    async with in_front_of(servers, "killed", serve) as (service, channel):
        stream, call = await begun(service, channel)
        os.kill(engine_of(servers.pid("killed")), signal.SIGKILL)
        broken, failed = await ends(stream), await fails(call)
        assert (broken.code, broken.reason) in ENDS_OF_A_STREAM
        assert (failed.code, failed.reason) in ENDS_OF_A_CALL
        await not_serving(channel)
        late = await Chats(channel).refused(asking("Say hello."))
        # The server may vanish before or after it reports its engine's death.
        assert late.code is UNAVAILABLE
        assert late.reason in ("ENGINE_DEAD", "UPSTREAM_CONNECT_FAILED")


async def test_the_server_stops_at_once(servers: VllmServers, serve: Serve) -> None:
    """The server aborts its requests, or keeps their connections open and silent."""
    limits = {"idle_timeout": 2.0, "first_byte_timeout": 8.0}
    async with in_front_of(servers, "stopped", serve, **limits) as (service, channel):
        stream, call = await begun(service, channel)
        os.kill(servers.pid("stopped"), signal.SIGTERM)
        broken, failed = await ends(stream), await fails(call)
        assert (broken.code, broken.reason) in ENDS_OF_A_STREAM
        assert (failed.code, failed.reason) in ENDS_OF_A_CALL
        await not_serving(channel)


async def test_the_server_finishes_first(servers: VllmServers, serve: Serve) -> None:
    async with in_front_of(servers, "drained", serve) as (_, channel):
        chats = Chats(channel)
        stream = aiter(chats.open(story(SECONDS_OF_WORK)))
        await anext(stream)
        os.kill(servers.pid("drained"), signal.SIGTERM)
        late = await until_refused(chats)
        assert (late.code, late.reason) == (UNAVAILABLE, "ENGINE_DEAD")
        rest = [message async for message in stream]
        assert rest[-1].usage.completion_tokens == SECONDS_OF_WORK


async def until_refused(chats: Chats) -> Refusal:
    """Sends requests until the server, which has received the signal, refuses one."""
    async with asyncio.timeout(CASE_LIMIT_S):
        while True:
            try:
                await chats.whole(asking("Say hello."))
            except aio.AioRpcError as error:
                return read(error)


async def test_overload(servers: VllmServers, serve: Serve) -> None:
    async with in_front_of(servers, "busy", serve) as (_, channel):
        chats = Chats(channel)
        two_at_once = asking("Say hello.", sampling=SamplingParams(n=2))
        check_too_much(await chats.refused(two_at_once))
        assert (await chats.both(asking("Say hello."))).text == HELLO

        calls = [chats.whole(story(SECONDS_OF_WORK)) for _ in range(8)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, aio.AioRpcError)]
        assert 0 < len(refused) < len(calls)
        for error in refused:
            check_too_much(read(error))
        assert (await chats.both(asking("Say hello."))).text == HELLO


def check_too_much(refusal: Refusal) -> None:
    assert refusal.code is UNAVAILABLE
    assert refusal.reason == "UPSTREAM_UNAVAILABLE"
    assert refusal.metadata["upstreamStatus"] == "503"
