"""Who may wait for how long: the caller's deadline, the server's, and the limits upstream."""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

import grpc
import pytest
from grpc import StatusCode as Code
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_server.simulator import Simulator

from .calls import BOUND_S, Ended, Serve, chat, create, ended, plain_channel, stream
from .every_rpc import EVERY_RPC, STREAM_HEAD, Upstream, answer, event, names, running

CHATS = {rpc.name.partition("/")[2]: rpc for rpc in EVERY_RPC}
STREAM = CHATS["StreamChatCompletion"]
LONG = 30.0

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))


@every_rpc
@pytest.mark.parametrize("limit", ["default_deadline", "max_deadline"])
async def test_the_servers_deadline(rpc: Any, limit: str, serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream:
        settings = {limit: 0.2} | rpc.settings
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **settings)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            result = await rpc.run(service, channel)
            await upstream.left.wait()
    assert (result.code, result.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert result.metadata["limit"] == limit
    assert (result.retry_s, result.pushback) == (None, None)
    assert "0.2 s" in result.message
    assert upstream.requests == 1


# settings, the caller's deadline: whose deadline it is, and how long that is
PRECEDENCE: Mapping[str, tuple[dict[str, float], float | None, str, float]] = {
    "the caller's is shorter": ({"max_deadline": LONG}, 0.3, "", 0.3),
    "the caller's is longer": ({"max_deadline": 0.3}, LONG, "max_deadline", 0.3),
    "the caller's is no default": ({"default_deadline": 0.1}, 0.5, "", 0.5),
    "the default is longer": (
        {"default_deadline": LONG, "max_deadline": 0.3},
        None,
        "max_deadline",
        0.3,
    ),
    "the default is shorter": (
        {"default_deadline": 0.3, "max_deadline": LONG},
        None,
        "default_deadline",
        0.3,
    ),
}


@pytest.mark.parametrize(
    ("settings", "deadline", "limit", "seconds"), PRECEDENCE.values(), ids=PRECEDENCE
)
async def test_precedence(
    simulator: Simulator,
    serve: Serve,
    settings: dict[str, float],
    deadline: float | None,
    limit: str,
    seconds: float,
) -> None:
    service = await serve(upstream=(simulator.url,), **settings)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        for run in (create, stream):
            since = monotonic()
            result = await run(channel, chat(fault="silent"), timeout=deadline)
            assert seconds * 0.9 < monotonic() - since < seconds + BOUND_S
            assert (result.code, result.metadata.get("limit", "")) == (
                Code.DEADLINE_EXCEEDED,
                limit,
            )
        await simulator.wait_active(0)
    assert simulator.aborted == 2


async def test_a_deadline_in_the_middle_of_a_stream(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), max_deadline=0.5)
    async with plain_channel(service) as channel:
        result = await stream(channel, chat(fault="stall after=2"))
    assert (result.code, result.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert int(result.metadata["messagesSent"]) == len(result.received) > 0
    assert (result.metadata["stage"], result.pushback) == ("stream", "-1")


async def test_the_deadline_of_a_caller_who_does_not_read(serve: Serve) -> None:
    async with running(Upstream(STREAM_HEAD, repeat=event(STREAM.event) * 100)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, max_deadline=1.5)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = STREAM.start(channel)
            await upstream.stalled.wait()
            await upstream.left.wait()
            # What was sent comes first.
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                _ = [message async for message in call]
    assert ended(raised.value).metadata["limit"] == "max_deadline"


async def test_the_deadline_of_an_upload(serve: Serve) -> None:
    rpc = CHATS["UploadTranscribe"]
    async with running(Upstream(hold=True)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600, max_deadline=0.5)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await rpc.start(channel, endless=True)
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
# upstream, RPC, what its limit is: code and reason, stage
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
async def test_the_limits_upstream(
    sent: tuple[bytes, ...],
    method: str,
    limit: str,
    row: tuple[Code, str],
    stage: str,
    serve: Serve,
) -> None:
    result = await _limited(Upstream(*sent, hold=True), method, serve, limit)
    assert (result.code, result.reason) == row
    assert (result.metadata["limit"], result.metadata["stage"]) == (limit, stage)
    assert result.pushback == "-1"


async def test_a_stream_that_never_ends_has_a_total(serve: Serve) -> None:
    # It is never idle; it is only long.
    upstream = Upstream(STREAM_HEAD, repeat=event(STREAM.event))
    result = await _limited(upstream, STREAM.name, serve, "total_timeout")
    assert (result.code, result.reason) == _TIMEOUT
    assert int(result.metadata["messagesSent"]) == len(result.received) > 0
    assert result.pushback == "-1"


async def test_a_limit_to_connecting(serve: Serve) -> None:
    with _deaf() as url:
        service = await serve(upstream=(url,), probe_interval=3600, connect_timeout=0.3)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            result = await create(channel, chat())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
    assert (result.metadata["limit"], result.metadata["stage"]) == ("connect_timeout", "connect")


async def _limited(upstream: Upstream, method: str, serve: Serve, limit: str) -> Ended:
    """How a call ends with one limit short and the others long; the connection is closed."""
    rpc = CHATS[method.rpartition("/")[2]]
    settings = _FAST | {limit: 0.3} | rpc.settings
    async with running(upstream):
        service = await serve(upstream=(upstream.url,), probe_interval=3600, **settings)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            result = await rpc.run(service, channel)
            await upstream.left.wait()
    return result


@contextmanager
def _deaf() -> Iterator[str]:
    """An address at which no connection is accepted."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # the kernel's queue is full now; more are not answered
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"
