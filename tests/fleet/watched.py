"""A fleet that watches its upstreams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from penstock_server.fleet import Fleet, Policy, State
from penstock_server.fleet.discovery import Resolve
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.http.address import resolve


class Watched:
    """A fleet whose upstreams are probed continuously.

    Attributes:
        fleet: the fleet.
        task: the watch.
        healthy: whether the fleet was healthy at each reported change.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.healthy: list[bool | None] = []
        self.task = asyncio.create_task(fleet.watch(self._record))
        self._changed = asyncio.Event()

    def _record(self) -> None:
        self.healthy.append(self.fleet.healthy())
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition, which is checked at each reported change."""
        async with asyncio.timeout(60):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

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
