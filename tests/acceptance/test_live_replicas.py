"""Two real replicas under steady load, one of which dies and comes back."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import grpc
import pytest
from conftest import Serve
from grpc import aio
from servers import FLEET, VllmServers

from penstock.channel import open_async_channel
from penstock.v1.common_pb2 import SamplingParams

from .chats import Chats, asking
from .conftest import CASE_LIMIT_S, serving
from .refusals import Refusal, read

# Time for a server to come back; half a minute on a quiet machine.
RETURN_LIMIT_S = 300
ROUND = 20
STORY = asking(
    "Tell me a story.",
    sampling=SamplingParams(temperature=0.5, seed=1, ignore_eos=True, max_tokens=100),
)


@pytest.fixture(scope="module")
def servers() -> Iterator[VllmServers]:
    """Two replicas of one model."""
    with VllmServers([replace(FLEET["chat"], name=name) for name in ("first", "second")]) as both:
        yield both


@dataclass
class Load:
    """Calls, one after the other, and what became of them.

    Attributes:
        pause_s: between two calls of each caller.
        served: how many calls each upstream answered.
        failed: unary calls that failed.
        broken: streams that broke off, each after its first message.
    """

    chats: Chats
    pause_s: float = 0.0
    served: Counter[str] = field(default_factory=Counter)
    failed: list[Refusal] = field(default_factory=list)
    broken: list[Refusal] = field(default_factory=list)
    ended: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def call(self) -> None:
        call = self.chats.call(STORY)
        try:
            await call
        except aio.AioRpcError as error:
            self.failed.append(read(error))
        else:
            await self._count(await call.trailing_metadata())

    async def stream(self) -> None:
        call = self.chats.open(STORY)
        received = 0
        try:
            async for _ in call:
                received += 1
        except aio.AioRpcError as error:
            (self.broken if received else self.failed).append(read(error))
        else:
            await self._count(await call.trailing_metadata())

    async def both_serve(self, limit_s: float) -> None:
        """Returns once each upstream has served a number of calls from now on."""
        before = Counter(self.served)
        async with asyncio.timeout(limit_s), self.ended:
            await self.ended.wait_for(lambda: self._least(before) >= ROUND)

    async def survivor_serves(self, limit_s: float) -> None:
        """Returns once a number of calls were served, by whichever upstream."""
        before = self.served.total()
        async with asyncio.timeout(limit_s), self.ended:
            await self.ended.wait_for(lambda: self.served.total() >= before + ROUND)

    def _least(self, before: Counter[str]) -> int:
        added = self.served - before
        return min(added.values()) if len(added) == 2 else 0

    async def _count(self, trailers: aio.Metadata | None) -> None:
        async with self.ended:
            self.served[str(dict(trailers or ())["x-penstock-upstream"])] += 1
            self.ended.notify_all()


@asynccontextmanager
async def steady(load: Load) -> AsyncIterator[None]:
    """Keeps the load up, with as many unary calls as streams."""

    async def again_and_again(ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            await ask()
            await asyncio.sleep(load.pause_s)

    async with asyncio.TaskGroup() as group:
        callers = (load.call, load.stream) * 3
        tasks = [group.create_task(again_and_again(ask)) for ask in callers]
        yield
        for task in tasks:
            task.cancel()


@pytest.mark.timeout(RETURN_LIMIT_S + 2 * CASE_LIMIT_S, func_only=True)
async def test_one_of_two_dies_and_comes_back(servers: VllmServers, serve: Serve) -> None:
    service = await serve(upstream=tuple(servers.urls().values()), probe_interval=0.5)
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        await serving(channel)
        load = Load(Chats(channel))
        async with steady(load):
            await load.both_serve(CASE_LIMIT_S)
            os.killpg(servers.pid("first"), signal.SIGKILL)
            await load.survivor_serves(CASE_LIMIT_S)
            # The load goes on, but leaves the processor to the server that starts.
            load.pause_s = 2.0
            await asyncio.to_thread(servers.restart, "first")
            load.pause_s = 0.0
            await load.both_serve(CASE_LIMIT_S)
    assert load.failed == []
    assert {(one.code, one.reason) for one in load.broken} <= {
        (grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")
    }
