"""Services in front of simulators of each kind."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import FREE_PORT
from grpc import aio

from penstock.channel import open_async_channel
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator, SimulatorSettings


@dataclass(frozen=True, slots=True)
class Stand:
    """A service and the simulator behind it."""

    simulator: Simulator
    channel: aio.Channel

    @property
    def sent(self) -> Any:
        """Returns the JSON of the latest request to an operation."""
        return self.posts[-1][1]

    @property
    def posts(self) -> list[tuple[str, Any]]:
        """Returns path and JSON of each request to an operation."""
        return [(one.path, one.json) for one in self.simulator.requests if one.method == "POST"]


Start = Callable[..., Awaitable[Stand]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts both: `await start(kind="rerank", multimodal=True)`."""
    # The service stops before its upstream.
    async with AsyncExitStack() as running:

        async def begin(**settings: Any) -> Stand:
            settings = {"listen": FREE_PORT, "kind": "all"} | settings
            simulator = Simulator(SimulatorSettings(**settings))
            await running.enter_async_context(simulator)
            asked = Settings(
                listen=FREE_PORT,
                admin_listen="",
                metrics_listen="",
                upstream=(simulator.url,),
                probe_interval=1.0,
            )
            service = await running.enter_async_context(Service(asked))
            opened = open_async_channel(f"127.0.0.1:{service.port}")
            return Stand(simulator, await running.enter_async_context(opened))

        yield begin


@pytest.fixture
async def stand(start: Start) -> Stand:
    """A service and a simulator that serves every operation."""
    return await start()
