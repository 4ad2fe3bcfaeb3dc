"""Failures of certain versions of vLLM, and of upstreams with a wrong content length."""

from email.utils import formatdate
from time import time
from urllib.parse import quote

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import FREE_PORT, Serve, both, chat, create, plain_channel, stream


async def test_a_body_that_ends_before_its_length(channel: aio.Channel) -> None:
    result = await create(channel, chat(fault="wrong-length by=3"))
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CLOSED")
    # All promised bytes arrived before the connection closed.
    assert (await stream(channel, chat(fault="wrong-length by=3"))).code is Code.OK


async def test_a_body_beyond_its_length(channel: aio.Channel) -> None:
    result = await create(channel, chat(fault="wrong-length by=-3"))
    assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")
    result = await stream(channel, chat(fault="wrong-length by=-200"))
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "STREAM_INTERRUPTED")


async def test_the_rest_of_a_body_is_not_taken_for_the_next_answer(channel: aio.Channel) -> None:
    for fault in ("wrong-length by=-3", "wrong-length by=-200"):
        await create(channel, chat(fault=fault))
        assert (await stream(channel, chat())).code is Code.OK
        await stream(channel, chat(fault=fault))
        assert (await stream(channel, chat())).code is Code.OK


async def test_a_date_for_a_retry(channel: aio.Channel) -> None:
    date = quote(formatdate(time() + 90, usegmt=True))
    result = await both(channel, chat(fault=f"status code=503 retry_after={date}"))
    assert result.code is Code.UNAVAILABLE
    assert result.retry_s == pytest.approx(90, abs=5)
    assert result.pushback == str(round((result.retry_s or 0) * 1000))
    past = quote(formatdate(time() - 90, usegmt=True))
    result = await both(channel, chat(fault=f"status code=503 retry_after={past}"))
    assert (result.code, result.retry_s) == (Code.UNAVAILABLE, 0.0)


@pytest.mark.parametrize(
    ("dialect", "row"),
    [
        # Without a body, a dead engine cannot be distinguished from other failures.
        ("0.10.0", (Code.INTERNAL, "UPSTREAM_INTERNAL")),
        ("0.16.0", (Code.INTERNAL, "UPSTREAM_INTERNAL")),
        ("0.32.0", (Code.UNAVAILABLE, "ENGINE_DEAD")),
    ],
)
async def test_a_dead_engine(serve: Serve, dialect: str, row: tuple[Code, str]) -> None:
    settings = SimulatorSettings(listen=FREE_PORT, dialect=dialect)
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,))
        async with plain_channel(service) as channel:
            simulator.engine_dead = True
            result = await both(channel, chat())
    assert (result.code, result.reason) == row
    assert result.metadata["upstreamStatus"] == "500"
    assert result.message
