"""Which calls Envoy retries, and when."""

import asyncio
from time import monotonic

import grpc
import pytest
from rpc.calls import BOUND_S, chat, create

from mesh.calls import answered
from mesh.conftest import StartMesh
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub

OVERLOADED = "status code=503 retry_after=2"
LARGE = "word " * 400_000


async def test_an_overloaded_penstock_is_left_for_the_other(start: StartMesh) -> None:
    mesh = await start(max_attempts=1)
    mesh.simulators[0].faults = "status code=503 retry_after=1"
    calls = 0
    # Envoy draws the Penstock of each call.
    while not mesh.requests[0]:
        await answered(mesh.channel)
        calls += 1
    assert mesh.requests[1] == calls


async def test_a_retry_waits_as_long_as_the_status_says(start: StartMesh) -> None:
    mesh = await start(max_attempts=1)
    began = monotonic()
    failed = await create(mesh.channel, chat(fault=OVERLOADED))
    assert failed.code is grpc.StatusCode.UNAVAILABLE
    assert sum(mesh.requests) == 3
    assert monotonic() - began > 2 * 2


async def test_a_long_delay_is_not_ignored(start: StartMesh) -> None:
    mesh = await start(max_attempts=1)
    stub = ChatCompletionServiceStub(mesh.channel)
    call = stub.CreateChatCompletion(chat(fault="status code=503 retry_after=900"))
    async with asyncio.timeout(BOUND_S):
        # Counted when Envoy has decided to retry.
        while not await mesh.envoy.total(r"chat\.retry\.upstream_rq_200"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    # Time for a retry that comes too early.
    await asyncio.sleep(0.5)
    assert sum(mesh.requests) == 1
    assert not call.done()
    call.cancel()


@pytest.mark.parametrize(
    "fault",
    ["cut after=0", "status code=500", "status code=504", "status code=429", "status code=400"],
)
async def test_a_status_that_forbids_a_retry_is_final(start: StartMesh, fault: str) -> None:
    mesh = await start(max_attempts=1)
    failed = await create(mesh.channel, chat(fault=fault))
    assert failed.domain == "penstock"
    assert sum(mesh.requests) == 1


async def test_a_large_request_is_retried(start: StartMesh) -> None:
    mesh = await start(max_attempts=1, max_connections=8)
    for simulator in mesh.simulators:
        simulator.faults = "status code=503 retry_after=1"
    failed = await create(mesh.channel, chat(LARGE))
    assert failed.code is grpc.StatusCode.UNAVAILABLE
    assert sum(mesh.requests) == 3
