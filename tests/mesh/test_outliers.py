"""Which failures make Envoy eject a Penstock."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from conftest import FREE_PORT
from grpc import aio
from rpc.calls import chat, create, until

from mesh.calls import answered, held
from mesh.conftest import StartMesh
from mesh.gateway import Envoy, envoy, opened
from mesh.load import unary
from mesh.processes import penstocks
from penstock_server.simulator import Simulator, SimulatorSettings

EJECTIONS = r"cluster\.chat\.outlier_detection\.ejections_enforced_total"


@pytest.mark.parametrize(
    ("fault", "limit", "code"),
    [
        ("silent", 0.2, grpc.StatusCode.DEADLINE_EXCEEDED),
        ("status code=400", None, grpc.StatusCode.INVALID_ARGUMENT),
        ("status code=418", None, grpc.StatusCode.UNKNOWN),
        ("status code=500", None, grpc.StatusCode.INTERNAL),
        ("status code=504", None, grpc.StatusCode.DEADLINE_EXCEEDED),
        ("cut after=0", None, grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_statuses_eject_no_penstock(
    start: StartMesh, fault: str, limit: float | None, code: grpc.StatusCode
) -> None:
    mesh = await start(max_attempts=1, ejection_failures=1000)
    ends = await asyncio.gather(
        *(create(mesh.channel, chat(fault=fault), timeout=limit) for _ in range(30))
    )
    assert Counter(end.code for end in ends) == {code: 30}
    assert await mesh.envoy.total(EJECTIONS) == 0


# Otherwise Envoy could learn of a death from the health.
LATE = {"interval: &interval 2s": "interval: &interval 3600s"}
NO_EJECTION = {"consecutive_local_origin_failure: 5": "consecutive_local_origin_failure: 1000000"}


async def test_a_penstock_that_died_is_ejected(tmp_path: Path) -> None:
    async with dead_and_living(tmp_path, LATE) as (front, channel):
        for _ in range(40):
            # The first may fail, on a connection whose end Envoy has not seen yet.
            await unary(channel)
        assert await front.total(EJECTIONS) >= 1


async def test_no_call_fails_until_it_is_ejected(tmp_path: Path) -> None:
    async with dead_and_living(tmp_path, LATE | NO_EJECTION, busy=16) as (front, channel):
        # The dead one has fewer calls, so that Envoy prefers it.
        for _ in range(40):
            await answered(channel)
        assert await front.total(EJECTIONS) == 0


@asynccontextmanager
async def dead_and_living(
    folder: Path, changes: Mapping[str, str], busy: int = 0
) -> AsyncIterator[tuple[Envoy, aio.Channel]]:
    """Runs Envoy in front of two services, one of which dies while streams are open."""
    async with (
        Simulator(SimulatorSettings(listen=FREE_PORT)) as simulator,
        penstocks("--upstream", simulator.url) as (dying, living),
        envoy((dying.address, living.address), folder, changes) as front,
        opened(front.address) as channel,
        held(channel, busy) as streams,
    ):
        dying.process.signal(signal.SIGKILL)
        await dying.process.end()
        # A call on its connection fails until Envoy has seen the end of that.
        await until(lambda: not busy or any(stream.done() for stream in streams))
        yield front, channel
