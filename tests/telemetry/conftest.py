"""Services whose metrics are scraped, and a collector of their traces."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import FREE_PORT, Serve
from grpc import aio
from rpc.calls import BOUND_S, plain_channel

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .collector import Collector, collector
from .scrape import Scrape, scrape


@dataclass
class Observed:
    """A service whose metrics are served, and a channel to it."""

    service: Service
    channel: aio.Channel

    @property
    def chats(self) -> Any:
        return ChatCompletionServiceStub(self.channel)

    async def scrape(self) -> Scrape:
        """Returns the metrics once no call is running: callers may see the end of one earlier."""
        async with asyncio.timeout(BOUND_S):
            while (await self.scrape_now()).value("penstock_calls_in_flight"):
                pass
            # Parts of that scrape are from before the end of the last call.
            return await self.scrape_now()

    async def scrape_now(self) -> Scrape:
        return await scrape(self.service.metrics.address)


Observe = Callable[..., Awaitable[Observed]]


@pytest.fixture
async def observe(serve: Serve, simulator: Simulator) -> AsyncIterator[Observe]:
    """Starts a service, by default in front of the simulator, and opens a channel to it."""
    async with AsyncExitStack() as opened:

        async def start(**settings: Any) -> Observed:
            given = {"upstream": (simulator.url,), "metrics_listen": FREE_PORT} | settings
            service = await serve(**given)
            await service._fleet.probed()  # before, no model is known
            return Observed(service, await opened.enter_async_context(plain_channel(service)))

        yield start


@pytest.fixture
async def spans(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collector() as running:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "5")
        yield running
