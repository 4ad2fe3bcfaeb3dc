"""Failed calls leave nothing that only a garbage collection frees."""

import gc
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from conftest import Serve

from penstock_server.simulator import Simulator
from penstock_server.upstream import UpstreamFailure

from .calls import chat, create, plain_channel, stream, until


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def failures() -> int:
    """Returns the number of failures of upstreams in memory."""
    return sum(type(one) is UpstreamFailure for one in gc.get_objects())


FAULTS = ("status code=500", "status code=400", "error-in-200 code=500", "html", "reset after=0")


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("call", [create, stream])
@pytest.mark.parametrize("fault", FAULTS)
async def test_failures_of_upstreams(
    serve: Serve, simulator: Simulator, call: Any, fault: str
) -> None:
    service = await serve(upstream=(simulator.url,), max_attempts=1)
    async with plain_channel(service) as channel:
        before = failures()
        for _ in range(3):
            assert (await call(channel, chat(fault=fault))).code is not grpc.StatusCode.OK
        await until(lambda: failures() == before)
