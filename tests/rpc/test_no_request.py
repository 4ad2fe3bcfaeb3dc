"""Callers who send no request, or not in time; and what the log says of those who leave."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, chat, create, ended, plain_channel, stream
from .every_rpc import EVERY_RPC, Called, names

SINGLE = tuple(rpc for rpc in EVERY_RPC if not rpc.uploads and not rpc.settings)
UPLOADS = tuple(rpc for rpc in EVERY_RPC if rpc.uploads)


def begun(rpc: Called, channel: aio.Channel, *, half_closed: bool = False, **options: Any) -> Any:
    """Begins a call without a message, which a client of the method itself cannot."""
    begin: Any = channel.stream_stream(f"/penstock.v1.{rpc.name}")
    return begin(iter(()) if half_closed else _nothing(), **options)


async def _nothing() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


class _Noting(set[Any]):
    """The calls that a service runs, and whether there was one."""

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
async def test_a_request_that_does_not_come(rpc: Called, serve: Serve) -> None:
    service = await serve(max_deadline=0.2)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        with pytest.raises(aio.AioRpcError) as raised:
            await begun(rpc, channel).read()
    assert ended(raised.value).metadata["limit"] == "max_deadline"


async def test_who_sends_nothing_counts(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_concurrent_calls=1)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        running = _Noting(service)
        first = begun(SINGLE[0], channel)
        await running.some.wait()
        assert (await create(channel, chat())).reason == "OVERLOADED"
        first.cancel()


Ends = asyncio.Queue[tuple[str, str]]


@pytest.fixture
def ends(caplog: pytest.LogCaptureFixture) -> Iterator[Ends]:
    """How the calls ended, by the log."""
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
async def test_a_deadline_is_no_cancellation(run: Any, channel: aio.Channel, ends: Ends) -> None:
    """A caller whose deadline passes cancels the call; gRPC tells us more time than it has."""
    calls = (run(channel, chat(fault="silent"), timeout=1.001) for _ in range(10))
    async with asyncio.timeout(BOUND_S):
        results = await asyncio.gather(*calls)
        assert {result.code for result in results} == {Code.DEADLINE_EXCEEDED}
        told = [await ends.get() for _ in results]
    # On a busy machine, one may take long to come here.
    assert told.count(("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")) > len(told) / 2
