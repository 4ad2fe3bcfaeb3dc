"""Callers that send no request, or not in time; and log lines of callers that leave."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1.batch_pb2 import RunBatchRequest
from penstock.v1.batch_pb2_grpc import BatchServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, chat, create, ended, plain_channel, stream, until
from .every_rpc import EVERY_RPC, Called, names

SINGLE = tuple(rpc for rpc in EVERY_RPC if not rpc.uploads and not rpc.settings)
UPLOADS = tuple(rpc for rpc in EVERY_RPC if rpc.uploads)


def begun(rpc: Called, channel: aio.Channel, *, half_closed: bool = False, **options: Any) -> Any:
    """Begins a call without a message, which the method's own stub cannot do."""
    begin: Any = channel.stream_stream(f"/penstock.v1.{rpc.name}")
    return begin(iter(()) if half_closed else _nothing(), **options)


async def _nothing() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


class _Noting(set[Any]):
    """The running calls of a service, and whether there ever was one."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.some = asyncio.Event()
        service._admission._running = self

    def add(self, element: Any) -> None:
        super().add(element)
        self.some.set()


@pytest.mark.parametrize("rpc", SINGLE, ids=names(SINGLE))
async def test_no_request(rpc: Called, channel: aio.Channel) -> None:
    async with asyncio.timeout(BOUND_S):
        with pytest.raises(aio.AioRpcError) as raised:
            await begun(rpc, channel, half_closed=True).read()
    result = ended(raised.value)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.parametrize("rpc", SINGLE, ids=names(SINGLE))
async def test_a_missing_request(rpc: Called, serve: Serve) -> None:
    service = await serve(max_deadline=0.2)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        with pytest.raises(aio.AioRpcError) as raised:
            await begun(rpc, channel).read()
    assert ended(raised.value).metadata["limit"] == "max_deadline"


@pytest.mark.parametrize("rpc", [SINGLE[0], *UPLOADS], ids=names((SINGLE[0], *UPLOADS)))
async def test_calls_without_a_request_do_not_count_as_concurrent(
    rpc: Called, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), max_concurrent_calls=2)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        running = _Noting(service)
        silent = [begun(rpc, channel) for _ in range(10)]
        await until(lambda: len(running) == len(silent))
        assert (await stream(channel, chat())).code is Code.OK
        for call in silent:
            call.cancel()


@pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
async def test_the_request_has_a_time_limit(rpc: Called, serve: Serve) -> None:
    service = await serve(request_timeout=0.1)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        with pytest.raises(aio.AioRpcError) as raised:
            await begun(rpc, channel).read()
    result = ended(raised.value)
    assert (result.code, result.metadata["limit"]) == (Code.DEADLINE_EXCEEDED, "request_timeout")


@pytest.mark.parametrize("rpc", UPLOADS, ids=names(UPLOADS))
async def test_each_part_of_an_upload_has_a_time_limit(
    rpc: Called, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), request_timeout=0.2)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = rpc.start(channel, endless=True)
        with pytest.raises(aio.AioRpcError) as raised:
            await (call.read() if rpc.streams else call)
    assert ended(raised.value).metadata["limit"] == "request_timeout"


def test_the_request_has_a_time_limit_by_default() -> None:
    assert 0 < Settings().request_timeout <= 60


async def test_the_oldest_of_too_many_calls_without_a_request_is_refused(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), max_pending_calls=3)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        running = _Noting(service)
        silent = []
        for count in range(1, 4):
            silent.append(begun(SINGLE[0], channel))
            await until(lambda: len(running) == count)  # noqa: B023  awaited here
        assert (await stream(channel, chat())).code is Code.OK
        with pytest.raises(aio.AioRpcError) as raised:
            await silent.pop(0).read()
        assert ended(raised.value).reason == "OVERLOADED"
        assert not any(call.done() for call in silent)


async def test_an_admitted_call_makes_no_room_for_others(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), max_pending_calls=1)
    one = RunBatchRequest(key="a", chat_completion=chat())
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        running = _Noting(service)
        call: Any = BatchServiceStub(channel).RunBatch()
        await call.write(one)
        assert (await call.read()).key == "a"
        silent = begun(SINGLE[0], channel)
        await until(lambda: len(running) == 2)
        await call.write(one)
        assert (await call.read()).key == "a"
        assert not silent.done()
        call.cancel()


async def test_a_stop_does_not_wait_for_calls_without_a_request(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        running = _Noting(service)
        silent = begun(SINGLE[0], channel)
        await until(lambda: len(running) == 1)
        await service.stop(3600)
        with pytest.raises(aio.AioRpcError) as raised:
            await silent.read()
    assert ended(raised.value).reason == "DRAINING"


Ends = asyncio.Queue[tuple[str, str]]


@pytest.fixture
def ends(caplog: pytest.LogCaptureFixture) -> Iterator[Ends]:
    """The ends of the calls, from the log."""
    logger = logging.getLogger("penstock.rpc")
    found: Ends = asyncio.Queue()

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg == "rpc":
                fields = record.__dict__["fields"]
                found.put_nowait((fields["code"], fields.get("reason", "")))

    handler = Noting()
    with caplog.at_level(logging.INFO, logger.name):
        logger.addHandler(handler)
        yield found
        logger.removeHandler(handler)


LEAVING = [*SINGLE[:2], *UPLOADS]


@pytest.mark.parametrize("rpc", LEAVING, ids=names(tuple(LEAVING)))
async def test_leaving_before_any_message(
    rpc: Called, service: Service, channel: aio.Channel, ends: Ends
) -> None:
    async with asyncio.timeout(BOUND_S):
        running = _Noting(service)
        call = begun(rpc, channel)
        await running.some.wait()
        call.cancel()
        assert await ends.get() == ("CANCELLED", "CANCELLED")
        with pytest.raises(aio.AioRpcError):
            await begun(rpc, channel, timeout=0.2).read()
        assert (await ends.get())[0] in ("CANCELLED", "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("run", [create, stream])
async def test_a_deadline_is_not_logged_as_a_cancellation(
    run: Any, channel: aio.Channel, ends: Ends
) -> None:
    """A caller cancels the call when its deadline passes; gRPC reports a later deadline."""
    calls = (run(channel, chat(fault="silent"), timeout=1.001) for _ in range(10))
    async with asyncio.timeout(BOUND_S):
        results = await asyncio.gather(*calls)
        assert {result.code for result in results} == {Code.DEADLINE_EXCEEDED}
        logged = [await ends.get() for _ in results]
    # On a busy machine, most may take long to arrive.
    assert ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED") in logged
