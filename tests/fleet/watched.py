"""A fleet that follows its upstreams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from penstock_server.fleet import Fleet, Policy, State
from penstock_server.fleet.discovery import Resolve
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.http.address import resolve


class Watched:
    """A fleet whose upstreams are probed all the time.

    Attributes:
        fleet: the fleet.
        task: what follows the upstreams.
        healthy: whether it was healthy, each time that it told of something.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.healthy: list[bool | None] = []
        self.task = asyncio.create_task(fleet.watch(self._tell))
        self._told = asyncio.Event()

    def _tell(self) -> None:
        self.healthy.append(self.fleet.healthy())
        self._told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once a condition holds that it tells of."""
        async with asyncio.timeout(60):
            while not condition():
                self._told.clear()
                await self._told.wait()

    @property
    def states(self) -> list[State]:
        return [replica.state for replica in self.fleet.snapshot()]


@asynccontextmanager
async def watched(
    *configs: UpstreamConfig,
    resolve: Resolve = resolve,
    default_model: str = "",
    **policy: Any,
) -> AsyncIterator[Watched]:
    settings = {"probe_interval": 0.01, "slow_start": 0} | policy
    fleet = Fleet(configs, Policy(**settings), resolve=resolve, default_model=default_model)
    running = Watched(fleet)
    try:
        yield running
    finally:
        running.task.cancel()
        await asyncio.wait((running.task,))
        running.fleet.close()
