"""Time limits: the caller's deadline, the server's deadlines, and the upstream timeouts."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc import StatusCode as Code
from grpc_health.v1 import health_pb2, health_pb2_grpc
from skipping import LIMIT_S, Skipping

from penstock_server.simulator import Simulator
from penstock_server.upstream.http.response_parser import ResponseParser

from .calls import BOUND_S, Ended, Serve, chat, create, ended, plain_channel, stream, until
from .every_rpc import EVERY_RPC, STREAM_HEAD, Upstream, answer, event, names, running

CHATS = {rpc.name.partition("/")[2]: rpc for rpc in EVERY_RPC}
STREAM = CHATS["StreamChatCompletion"]
LONG = 60.0

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))


@every_rpc
@pytest.mark.parametrize("limit", ["default_deadline", "max_deadline"])
async def test_the_servers_deadline(rpc: Any, limit: str, serve: Serve, skip: Skipping) -> None:
    async with running(Upstream(hold=True)) as upstream:
        settings = {limit: LIMIT_S} | rpc.settings
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **settings)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = asyncio.create_task(rpc.run(service, channel))
            await upstream.came.wait()
            await skip()
            result = await call
            await upstream.left.wait()
    assert (result.code, result.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert result.metadata["limit"] == limit
    assert (result.retry_s, result.pushback) == (None, None)
    assert f"{LIMIT_S:g} s" in result.message
    assert upstream.requests == 1


# settings, the caller's deadline, the effective deadline
PRECEDENCE: Mapping[str, tuple[dict[str, float], float | None, str]] = {
    "the caller's is shorter": ({"max_deadline": LONG}, 0.5, ""),
    "the caller's is longer": ({"max_deadline": 0.3}, LONG, "max_deadline"),
    "the default does not apply": ({"default_deadline": 0.1}, 0.5, ""),
    "the default is longer": (
        {"default_deadline": LONG, "max_deadline": 0.3},
        None,
        "max_deadline",
    ),
    "the default is shorter": (
        {"default_deadline": 0.3, "max_deadline": LONG},
        None,
        "default_deadline",
    ),
}


@pytest.mark.parametrize(("settings", "deadline", "limit"), PRECEDENCE.values(), ids=PRECEDENCE)
async def test_precedence(
    simulator: Simulator,
    serve: Serve,
    settings: dict[str, float],
    deadline: float | None,
    limit: str,
) -> None:
    service = await serve(upstream=(simulator.url,), **settings)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        for run in (create, stream):
            result = await run(channel, chat(fault="silent"), timeout=deadline)
            assert (result.code, result.metadata.get("limit", "")) == (
                Code.DEADLINE_EXCEEDED,
                limit,
            )
        await simulator.wait_active(0)


async def test_a_deadline_in_the_middle_of_a_stream(serve: Serve, skip: Skipping) -> None:
    async with running(Upstream(*_EVENT, hold=True)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, max_deadline=LIMIT_S)
        async with plain_channel(service) as channel:
            call = STREAM.start(channel)
            assert await call.read()
            await skip()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call.read()
    result = ended(raised.value)
    assert (result.code, result.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert result.metadata["messagesSent"] == "1"
    assert (result.metadata["stage"], result.pushback) == ("stream", "-1")


async def test_the_deadline_of_a_caller_that_does_not_read(serve: Serve, skip: Skipping) -> None:
    async with running(Upstream(STREAM_HEAD, repeat=event(STREAM.event) * 100)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, max_deadline=LIMIT_S)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = STREAM.start(channel)
            await upstream.stalled.wait()
            await skip()
            await upstream.left.wait()
            # Sent messages arrive first.
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                _ = [message async for message in call]
    assert ended(raised.value).metadata["limit"] == "max_deadline"


async def test_the_deadline_of_an_upload(serve: Serve, skip: Skipping) -> None:
    rpc = CHATS["UploadTranscribe"]
    async with running(Upstream(hold=True)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, max_deadline=LIMIT_S)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = rpc.start(channel, endless=True)
            await upstream.came.wait()
            await skip()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            await upstream.left.wait()
    assert raised.value.code() is Code.DEADLINE_EXCEEDED


async def test_health_has_no_deadline(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), max_deadline=0.1, default_deadline=0.1)
    async with plain_channel(service) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        finished, _ = await asyncio.wait((asyncio.ensure_future(watch.code()),), timeout=0.5)
        assert not finished
        watch.cancel()


_FAST = {"first_byte_timeout": LONG, "idle_timeout": LONG, "total_timeout": 0.0}
_UNARY, _TIMEOUT = "CreateChatCompletion", (Code.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT")
_EVENT = (STREAM_HEAD, event(STREAM.event))
# upstream, RPC, setting, code and reason, stage
LIMITS: Mapping[str, tuple[tuple[bytes, ...], str, str, tuple[Code, str], str]] = {
    "unary, first byte": ((), _UNARY, "first_byte_timeout", _TIMEOUT, "headers"),
    "unary, body": (
        (answer("200 OK", b"x" * 99)[:-1],),
        _UNARY,
        "first_byte_timeout",
        _TIMEOUT,
        "body",
    ),
    "unary, total": ((), _UNARY, "total_timeout", _TIMEOUT, "headers"),
    "stream, headers": ((), STREAM.name, "first_byte_timeout", _TIMEOUT, "headers"),
    "stream, first event": ((STREAM_HEAD,), STREAM.name, "first_byte_timeout", _TIMEOUT, "stream"),
    "stream, total before an event": (
        (STREAM_HEAD,),
        STREAM.name,
        "total_timeout",
        _TIMEOUT,
        "stream",
    ),
    "stream, idle": (
        _EVENT,
        STREAM.name,
        "idle_timeout",
        (Code.UNAVAILABLE, "STREAM_INTERRUPTED"),
        "stream",
    ),
    "stream, total": (_EVENT, STREAM.name, "total_timeout", _TIMEOUT, "stream"),
    "upload, total": ((), "UploadTranscribe", "total_timeout", _TIMEOUT, "headers"),
    "upload, first byte": ((), "UploadTranscribe", "first_byte_timeout", _TIMEOUT, "headers"),
    "stored, total": ((), "GetResponse", "total_timeout", _TIMEOUT, "headers"),
}


@pytest.mark.parametrize(("sent", "method", "limit", "row", "stage"), LIMITS.values(), ids=LIMITS)
async def test_upstream_timeouts(
    sent: tuple[bytes, ...],
    method: str,
    limit: str,
    row: tuple[Code, str],
    stage: str,
    serve: Serve,
    skip: Skipping,
    headed: asyncio.Event,
) -> None:
    upstream = Upstream(*sent, hold=True)
    arrived = headed if sent else upstream.came
    messages = int(sent == _EVENT)
    result = await _limited(upstream, method, serve, limit, skip, arrived, messages)
    assert (result.code, result.reason) == row
    assert (result.metadata["limit"], result.metadata["stage"]) == (limit, stage)
    assert len(result.received) == messages
    assert result.pushback == "-1"


async def test_an_endless_stream_has_a_total_timeout(
    serve: Serve, skip: Skipping, headed: asyncio.Event
) -> None:
    # It is never idle, only long.
    upstream = Upstream(STREAM_HEAD, repeat=event(STREAM.event))
    result = await _limited(upstream, STREAM.name, serve, "total_timeout", skip, headed, 1)
    assert (result.code, result.reason) == _TIMEOUT
    assert int(result.metadata["messagesSent"]) == len(result.received) > 0
    assert result.pushback == "-1"


async def test_the_connect_timeout(serve: Serve) -> None:
    with _deaf() as url:
        service = await serve(upstream=(url,), probe_interval=3600, connect_timeout=0.3)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            result = await create(channel, chat())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
    assert (result.metadata["limit"], result.metadata["stage"]) == ("connect_timeout", "connect")


@pytest.fixture
def headed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """An event that is set when the headers of an answer arrive, except those of probes."""
    came, take = asyncio.Event(), ResponseParser.on_headers_complete

    def taken(parser: ResponseParser) -> None:
        take(parser)
        if parser.status == 200:
            came.set()

    monkeypatch.setattr(ResponseParser, "on_headers_complete", taken)
    return came


async def _limited(
    upstream: Upstream,
    method: str,
    serve: Serve,
    limit: str,
    skip: Skipping,
    arrived: asyncio.Event,
    messages: int,
) -> Ended:
    """Returns the end of a call whose time limit expires; checks that its connection is closed."""
    rpc = CHATS[method.rpartition("/")[2]]
    settings = _FAST | {limit: LIMIT_S} | rpc.settings
    received: list[Any] = []
    async with running(upstream):
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **settings)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = asyncio.create_task(rpc.run(service, channel, received))
            await arrived.wait()
            await until(lambda: len(received) >= messages)
            await skip()
            result = await call
            await upstream.left.wait()
    return result


@contextmanager
def _deaf() -> Iterator[str]:
    """Yields an address that accepts no connection."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # they fill the kernel's queue
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"
