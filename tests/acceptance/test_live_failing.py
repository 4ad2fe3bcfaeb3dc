"""Real engines that die, are told to stop, or have too much to do: the status table holds."""

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
from servers import FLEET, Server, VllmServers

from penstock.channel import open_async_channel
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.common_pb2 import SamplingParams
from penstock_server.app import Service

from .chats import HELLO, Chats, asking
from .conftest import CASE_LIMIT_S, serving
from .refusals import Refusal, read

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
ENDS_OF_A_STREAM = (
    (UNAVAILABLE, "ENGINE_DEAD"),
    (UNAVAILABLE, "STREAM_INTERRUPTED"),
)
ENDS_OF_A_CALL = (
    (UNAVAILABLE, "ENGINE_DEAD"),
    (UNAVAILABLE, "UPSTREAM_CLOSED"),
    (UNAVAILABLE, "UPSTREAM_CONNECT_FAILED"),
    (grpc.StatusCode.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT"),
)

STORY_TOKENS = 450
# Of the queue of the busy server. Each choice of a request takes one place.
PLACES = 32
# Choices of a request: a server generates 16 at a time, each for a second or longer.
SECONDS_OF_WORK = 32
ENDLESS_WORK = 512


def story(choices: int) -> CreateChatCompletionRequest:
    """Much work, though the model is small."""
    sampling = SamplingParams(
        temperature=0.5, seed=1, n=choices, ignore_eos=True, max_tokens=STORY_TOKENS
    )
    return asking("Tell me a story.", sampling=sampling)


def chat_server(name: str, *flags: str) -> Server:
    """A chat server of its own, for a test that ruins it."""
    return replace(FLEET["chat"], name=name, flags=(*FLEET["chat"].flags, *flags))


@pytest.fixture(scope="module")
def servers() -> Iterator[VllmServers]:
    """The servers of this module, started together: that takes no longer than the slowest."""
    doomed = [
        chat_server("killed"),
        chat_server("stopped"),
        chat_server("drained", "--shutdown-timeout", "60"),
        chat_server("busy", "--max-num-seqs", "1", "--max-num-queued-reqs", str(PLACES)),
    ]
    with VllmServers(doomed) as running:
        yield running


@asynccontextmanager
async def in_front_of(
    serve: Serve, url: str, **settings: float
) -> AsyncIterator[tuple[Service, aio.Channel]]:
    """A service that knows its upstream, and a channel to it."""
    service = await serve(upstream=(url,), probe_interval=0.2, **settings)
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        await serving(channel)
        yield service, channel


async def not_serving(channel: aio.Channel) -> None:
    """Waits until the service says that chats cannot be served."""
    asked = health_pb2.HealthCheckRequest(service="penstock.v1.ChatCompletionService")
    watch = health_pb2_grpc.HealthStub(channel).Watch(asked)
    async with asyncio.timeout(CASE_LIMIT_S):
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                break
    watch.cancel()


def engine_of(pid: int) -> int:
    """The process of the engine, below that of the HTTP server."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    named = {int(child): Path(f"/proc/{child}/comm").read_text() for child in children}
    return next(child for child, name in named.items() if "Engine" in name)


async def begun(
    service: Service, channel: aio.Channel
) -> tuple[AsyncIterator[object], Awaitable[object]]:
    """A stream that has begun, and a unary call that waits its turn; neither is near its end."""
    chats = Chats(channel)
    stream = aiter(chats.open(story(ENDLESS_WORK)))
    await anext(stream)
    call = asyncio.ensure_future(chats.call(story(ENDLESS_WORK)))
    async with asyncio.timeout(CASE_LIMIT_S):
        while sum(replica.outstanding for replica in service._fleet.snapshot()) < 2:
            await anext(stream)
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
    async with in_front_of(serve, servers.url("killed")) as (service, channel):
        stream, call = await begun(service, channel)
        os.kill(engine_of(servers.pid("killed")), signal.SIGKILL)
        broken, failed = await ends(stream), await fails(call)
        assert (broken.code, broken.reason) in ENDS_OF_A_STREAM
        assert (failed.code, failed.reason) in ENDS_OF_A_CALL
        await not_serving(channel)
        late = await Chats(channel).refused(asking("Say hello."))
        assert (late.code, late.reason) == (UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")


async def test_the_server_is_told_to_stop_at_once(servers: VllmServers, serve: Serve) -> None:
    """It no longer listens, holds on to its connections, and says nothing more on them."""
    url = servers.url("stopped")
    limits = {"idle_timeout": 2.0, "first_byte_timeout": 8.0}
    async with in_front_of(serve, url, **limits) as (service, channel):
        stream, call = await begun(service, channel)
        os.kill(servers.pid("stopped"), signal.SIGTERM)
        broken, failed = await ends(stream), await fails(call)
        assert (broken.code, broken.reason) in ENDS_OF_A_STREAM
        assert (failed.code, failed.reason) in ENDS_OF_A_CALL
        await not_serving(channel)


async def test_the_server_is_told_to_finish_first(servers: VllmServers, serve: Serve) -> None:
    async with in_front_of(serve, servers.url("drained")) as (_, channel):
        chats = Chats(channel)
        stream = aiter(chats.open(story(SECONDS_OF_WORK)))
        await anext(stream)
        os.kill(servers.pid("drained"), signal.SIGTERM)
        late = await until_refused(chats)
        assert (late.code, late.reason) == (UNAVAILABLE, "ENGINE_DEAD")
        rest = [message async for message in stream]
        assert rest[-1].usage.completion_tokens == SECONDS_OF_WORK * STORY_TOKENS


async def until_refused(chats: Chats) -> Refusal:
    """Asks until the server, which has got the signal, refuses."""
    async with asyncio.timeout(CASE_LIMIT_S):
        while True:
            try:
                await chats.whole(asking("Say hello."))
            except aio.AioRpcError as error:
                return read(error)


async def test_too_much_to_do(servers: VllmServers, serve: Serve) -> None:
    async with in_front_of(serve, servers.url("busy")) as (_, channel):
        chats = Chats(channel)
        running = chats.open(story(choices=PLACES))
        await anext(aiter(running))
        refusal = await chats.refused(story(choices=PLACES))
        assert refusal.code is UNAVAILABLE
        assert refusal.reason == "UPSTREAM_UNAVAILABLE"
        assert refusal.metadata["upstreamStatus"] == "503"
        running.cancel()
        await once_free(chats)


async def once_free(chats: Chats) -> None:
    """Asks until there is room again, as a caller does who is told to come later."""
    async with asyncio.timeout(CASE_LIMIT_S):
        while True:
            try:
                answer = await chats.both(asking("Say hello."))
            except aio.AioRpcError as error:
                if error.code() is not UNAVAILABLE:
                    raise
            else:
                assert answer.text == HELLO
                return
