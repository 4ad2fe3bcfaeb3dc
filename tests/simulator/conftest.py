"""A running simulator and a client for it."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import client


@pytest.fixture
def settings() -> SimulatorSettings:
    return SimulatorSettings(listen="127.0.0.1:0")


@pytest_asyncio.fixture
async def simulator(settings: SimulatorSettings) -> AsyncIterator[Simulator]:
    async with Simulator(settings) as running:
        yield running


@pytest_asyncio.fixture
async def http(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with client(simulator.url) as opened:
        yield opened
