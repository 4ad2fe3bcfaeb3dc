"""Calls with paths that are not text end without affecting others."""

import asyncio
import json
import signal
from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from cli.process import serving
from grpc import StatusCode as Code
from grpc import aio
from grpc._cython import cygrpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock_server.rpc.server import lasting
from penstock_server.simulator import Simulator

from .calls import BOUND_S, FREE_PORT, Serve, chat, plain_channel, stream
from .every_rpc import EVERY_RPC, STREAM_HEAD, Upstream, answer, event, running
from .raw import Frame, Raw, begin, connected, message, request

PATHS = (
    b"/\xff",
    b"\x80",
    b"/penstock.v1.ChatCompletionService/CreateChatCompletion\xc3",
    b"/grpc.health.v1.Health/\xed\xa0\x80",
    b"/penstock.v1.\xfe\xfe\xff\xff/Nothing",
)
MANY = 300
ENDS_AT_SUCH_PATHS = tuple(map(int, grpc.__version__.split(".")[:2])) >= (1, 84)
"""Whether this grpcio would stop serving; before 1.84, it decodes paths in a task of each call."""

CHUNK = event({"id": "i", "choices": [{"index": 0, "delta": {"content": "x"}}]})
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
LAST = {
    "index": 0,
    "delta": {},
    "message": {"role": "assistant", "content": "x"},
    "finish_reason": "stop",
}
WHOLE: dict[str, Any] = {"id": "i", "choices": [LAST], "usage": USAGE}
STREAM_END = event(WHOLE) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Gate(Upstream):
    """An upstream that begins an answer and ends it when allowed."""

    def __init__(self, begun: bytes, rest: bytes) -> None:
        super().__init__(begun)
        self.rest = rest
        self.may_end = asyncio.Event()

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super().respond(reader, writer)
        await self.may_end.wait()
        writer.write(self.rest)
        await writer.drain()


def gate(name: str) -> Gate:
    if name.startswith("Stream"):
        return Gate(STREAM_HEAD + CHUNK, STREAM_END)
    return Gate(b"", answer("200 OK", json.dumps(WHOLE).encode()))


async def end(hostile: Raw, number: int, path: bytes) -> None:
    """Makes a call of a path and waits for its end."""
    await hostile.send(begin(number, request(path)) + message(number))
    assert await hostile.until(Frame.HEADERS) == number


@pytest.mark.parametrize("rpc", EVERY_RPC[:2], ids=["unary", "stream"])
async def test_other_calls_continue(rpc: Any, serve: Serve) -> None:
    """Running calls, and calls that begin later."""
    name = rpc.name.partition("/")[2]
    async with running(gate(name)) as upstream, asyncio.timeout(5 * BOUND_S):
        service = await serve(upstream=(upstream.url,), probe_interval=3600)
        async with plain_channel(service) as channel, connected(service.port) as hostile:
            held = rpc.start(channel)
            await upstream.came.wait()
            for number in range(MANY):
                await asyncio.gather(
                    end(hostile, 2 * number + 1, PATHS[number % len(PATHS)]),
                    HealthStub(channel).Check(HealthCheckRequest(service="liveness")),
                )
            assert not held.done()
            upstream.may_end.set()
            if rpc.streams:
                assert [len(one.choices) async for one in held]
            assert await held.code() is Code.OK


async def answered(hostile: Raw, streams: Iterable[int]) -> None:
    """Waits for a frame on each stream."""
    left = set(streams)
    while left:
        left.discard(await hostile.until(Frame.HEADERS))


async def test_many_at_once(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    streams = range(1, 2 * MANY, 2)
    burst = b"".join(begin(n, request(PATHS[n % len(PATHS)])) + message(n) for n in streams)
    async with (
        asyncio.timeout(BOUND_S),
        plain_channel(service) as channel,
        connected(service.port) as hostile,
    ):
        await hostile.send(burst)
        others = (stream(channel, chat()) for _ in range(20))
        ends, _ = await asyncio.gather(asyncio.gather(*others), answered(hostile, streams))
    assert {one.code for one in ends} == {Code.OK}


async def test_the_admin_server_keeps_serving(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT)
    async with asyncio.timeout(BOUND_S), connected(service.admin.port) as hostile:
        for number in range(1, 20, 2):
            await end(hostile, number, PATHS[number % len(PATHS)])
        async with aio.insecure_channel(f"127.0.0.1:{service.admin.port}") as channel:
            await AdminServiceStub(channel).ListUpstreams(ListUpstreamsRequest())


@pytest.mark.parametrize("hostile_calls", [1, 50])
async def test_a_clean_stop_after_them(hostile_calls: int) -> None:
    """Running calls finish."""
    streams = range(1, 2 * hostile_calls, 2)
    burst = b"".join(begin(n, request(PATHS[n % len(PATHS)])) + message(n) for n in streams)
    async with (
        running(gate("StreamChatCompletion")) as upstream,
        serving("--upstream", upstream.url) as (process, target),
        aio.insecure_channel(target) as channel,
    ):
        async with asyncio.timeout(BOUND_S):
            held = EVERY_RPC[1].start(channel)
            await upstream.came.wait()
            async with connected(int(target.rpartition(":")[2])) as hostile:
                await hostile.send(burst)
                await answered(hostile, streams)
                process.signal(signal.SIGTERM)
                await process.log("draining")
            upstream.may_end.set()
            assert [len(one.choices) async for one in held]
            assert await held.code() is Code.OK
        ended = await process.end()
    assert ended.code == 0
    errors = {line["event"] for line in process.logged if line["level"] == "error"}
    assert errors <= {"upstream down"}
    assert "Traceback" not in ended.err


async def test_a_grpcio_without_the_overridden_names(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, simulator: Simulator
) -> None:
    """It serves as that grpcio does; where such a path ends it, the service reports that."""
    monkeypatch.setattr(lasting, "OVERRIDDEN", (*lasting.OVERRIDDEN, "_not_there"))
    service = await serve(upstream=(simulator.url,))
    async with asyncio.timeout(BOUND_S), plain_channel(service) as channel:
        assert (await stream(channel, chat())).code is Code.OK
        async with connected(service.port) as hostile:
            await hostile.send(begin(1, request(PATHS[0])) + message(1))
            if not ENDS_AT_SUCH_PATHS:
                await answered(hostile, (1,))
                assert (await stream(channel, chat())).code is Code.OK
                return
            await hostile.until(Frame.GOAWAY)
        assert service.serving
        with pytest.raises(UnicodeDecodeError):
            await service.serving


def test_this_grpcio_has_the_overridden_names() -> None:
    assert not [n for n in lasting.OVERRIDDEN if not hasattr(cygrpc.AioServer, n)]
