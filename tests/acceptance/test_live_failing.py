"""Real engines that die, are stopped, or are overloaded: callers get the documented statuses."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from conftest import Serve, unlimited
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc.calls import until
from servers import FLEET, LONG_FLAGS, VllmServers

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


@dataclass(frozen=True, slots=True)
class Engine:
    """A running server that the test may break.

    Attributes:
        url: its base URL.
        pid: its process.
    """

    url: str
    pid: int


@pytest.fixture
def engine(request: pytest.FixtureRequest, vllm: VllmServers) -> Iterator[Engine]:
    """A server with the options that the marker `flags` of the test lists."""
    marker = request.node.get_closest_marker("flags")
    flags = (*FLEET["chat"].flags, *LONG_FLAGS, *(marker.args if marker else ()))
    server = replace(FLEET["chat"], name="doomed", flags=flags)
    with unlimited(request.config):
        vllm.run_only(server)
    yield Engine(vllm.url(server.name), vllm.pid(server.name))
    vllm.stop()


@asynccontextmanager
async def in_front_of(
    engine: Engine, serve: Serve, **settings: float
) -> AsyncIterator[tuple[Service, aio.Channel]]:
    """Yields a service that knows its upstream, and a channel to it."""
    service = await serve(upstream=(engine.url,), probe_interval=0.2, **settings)
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        await serving(channel)
        yield service, channel


async def not_serving(channel: aio.Channel) -> None:
    """Waits until the service reports that chats cannot be served."""
    asked = health_pb2.HealthCheckRequest(service="penstock.v1.ChatCompletionService")
    watch = health_pb2_grpc.HealthStub(channel).Watch(asked)
    async with asyncio.timeout(CASE_LIMIT_S):
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                break
    watch.cancel()


def core_of(pid: int) -> int:
    """Returns the process that computes, a child of the HTTP server."""
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


async def test_the_engine_is_killed(engine: Engine, serve: Serve) -> None:
    async with in_front_of(engine, serve) as (service, channel):
        stream, call = await begun(service, channel)
        os.kill(core_of(engine.pid), signal.SIGKILL)
        broken, failed = await ends(stream), await fails(call)
        assert (broken.code, broken.reason) in ENDS_OF_A_STREAM
        assert (failed.code, failed.reason) in ENDS_OF_A_CALL
        await not_serving(channel)
        late = await Chats(channel).refused(asking("Say hello."))
        # The server may vanish before or after it reports its engine's death.
        assert late.code is UNAVAILABLE
        assert late.reason in ("ENGINE_DEAD", "UPSTREAM_CONNECT_FAILED")


async def test_the_server_stops_at_once(engine: Engine, serve: Serve) -> None:
    """The server aborts its requests, or keeps their connections open and silent."""
    limits = {"idle_timeout": 2.0, "first_byte_timeout": 8.0}
    async with in_front_of(engine, serve, **limits) as (service, channel):
        stream, call = await begun(service, channel)
        os.kill(engine.pid, signal.SIGTERM)
        broken, failed = await ends(stream), await fails(call)
        assert (broken.code, broken.reason) in ENDS_OF_A_STREAM
        assert (failed.code, failed.reason) in ENDS_OF_A_CALL
        await not_serving(channel)


@pytest.mark.flags("--shutdown-timeout", "60")
async def test_the_server_finishes_first(engine: Engine, serve: Serve) -> None:
    async with in_front_of(engine, serve) as (_, channel):
        chats = Chats(channel)
        stream = aiter(chats.open(story(SECONDS_OF_WORK)))
        await anext(stream)
        os.kill(engine.pid, signal.SIGTERM)
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


# It runs one request at a time, and queues none.
@pytest.mark.flags("--max-num-queued-reqs", "1")
async def test_overload(engine: Engine, serve: Serve) -> None:
    async with in_front_of(engine, serve) as (_, channel):
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
