"""Callers of several workers: their limits hold for all together, and the admin address."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from rpc.calls import chat, create, until
from rpc.keyed import SECRET, bearer

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import Simulator

from .process import BOUND_S, penstock
from .test_workers import workers

METADATA = bearer(SECRET)


@pytest.fixture
def callers(tmp_path: Path) -> Any:
    def write(limit: str) -> tuple[str, str]:
        path = tmp_path / "callers.toml"
        path.write_text(f'[[caller]]\nname = "a"\nkeys = ["{SECRET}"]\n{limit}\n')
        path.chmod(0o600)
        return "--callers-file", str(path)

    return write


async def outcomes(channels: list[aio.Channel]) -> Counter[str]:
    """Makes a call on each channel; returns how many ended with each code."""

    async def code(channel: aio.Channel) -> str:
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat(), metadata=METADATA)
        found: grpc.StatusCode = await call.code()
        return found.name

    return Counter(await asyncio.gather(*map(code, channels)))


async def test_calls_per_minute(simulator: Simulator, callers: Any) -> None:
    # A second call would be allowed after a minute.
    async with (
        workers(simulator.url, *callers("calls_per_minute = 1")) as served,
        served.channels() as channels,
    ):
        made = await outcomes(channels)
    assert made == {"OK": 1, "RESOURCE_EXHAUSTED": len(channels) - 1}


async def test_tokens_per_minute(simulator: Simulator, callers: Any) -> None:
    async with workers(simulator.url, *callers("tokens_per_minute = 1")) as served:
        async with served.channels() as channels:
            assert await outcomes(channels[:1]) == {"OK": 1}
            assert await outcomes(channels) == {"RESOURCE_EXHAUSTED": len(channels)}
        # The successor of a worker knows what was used before.
        os.kill(served.pids[0], signal.SIGKILL)
        await served.process.log("worker serves")
        async with served.channels() as channels:
            assert await outcomes(channels) == {"RESOURCE_EXHAUSTED": len(channels)}


async def test_concurrent_calls(simulator: Simulator, callers: Any) -> None:
    most = 5
    async with (
        workers(simulator.url, *callers(f"concurrent_calls = {most}")) as served,
        served.channels() as channels,
    ):
        stubs = [ChatCompletionServiceStub(channel) for channel in channels]
        request = chat(fault="stall after=1")
        calls = [stub.StreamChatCompletion(request, metadata=METADATA) for stub in stubs]
        ended = {call: asyncio.create_task(call.read()) for call in calls}

        def refused() -> int:
            return sum(call.done() for call in calls)

        await until(lambda: refused() == len(calls) - most)
        await simulator.wait_active(most)
        # The calls of a worker that dies leave their places.
        os.kill(served.pids[0], signal.SIGKILL)
        await served.process.log("worker serves")
        for call in calls:
            call.cancel()
        await asyncio.gather(*ended.values(), return_exceptions=True)
        await simulator.wait_active(0)
        stubs = [ChatCompletionServiceStub(channel) for channel in channels[:most]]
        again = [stub.StreamChatCompletion(request, metadata=METADATA) for stub in stubs]
        await asyncio.gather(*(call.read() for call in again))
        result = await create(channels[-1], chat(), metadata=METADATA)
        assert result.metadata["limit"] == "concurrent_calls"
        for call in again:
            call.cancel()


async def test_the_admin_address(simulator: Simulator, callers: Any) -> None:
    """The supervisor serves it, and follows the file by itself."""

    async def listed(stub: Any, metadata: Any = METADATA) -> str:
        call = stub.ListUpstreams(ListUpstreamsRequest(), metadata=metadata)
        code: grpc.StatusCode = await call.code()
        return code.name

    arguments = (*callers("admin = true"), "--admin-requires-caller", "true")
    async with (
        workers(simulator.url, *arguments, "--reload-interval", "0.05") as served,
        aio.insecure_channel(served.admin) as channel,
    ):
        stub = AdminServiceStub(channel)
        assert await listed(stub, ()) == "UNAUTHENTICATED"
        assert await listed(stub) == "OK"
        shown = await penstock("upstreams", "--target", served.admin, "--api-key", SECRET)
        assert shown.code == 0
        callers("")
        async with asyncio.timeout(BOUND_S):
            while await listed(stub) == "OK":
                pass
        assert await listed(stub) == "PERMISSION_DENIED"
