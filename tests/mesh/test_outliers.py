"""Which failures make Envoy eject a Penstock."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import grpc
import pytest
from conftest import FREE_PORT
from rpc.calls import chat, create

from mesh.calls import answered, held
from mesh.conftest import StartMesh
from mesh.gateway import envoy, opened
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


async def test_a_penstock_that_died_is_ejected_and_no_call_fails(tmp_path: Path) -> None:
    # Otherwise Envoy could learn it from the health.
    late = {"interval: &interval 2s": "interval: &interval 3600s"}
    async with (
        Simulator(SimulatorSettings(listen=FREE_PORT)) as simulator,
        penstocks("--upstream", simulator.url) as (dying, living),
        envoy((dying.address, living.address), tmp_path, late) as front,
        opened(front.address) as channel,
        held(channel, 8),
    ):
        dying.process.signal(signal.SIGKILL)
        await dying.process.end()
        for _ in range(20):
            await answered(channel)
        assert await front.total(EJECTIONS) >= 1
