"""A channel without retries, so that tests see each failure."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import FREE_PORT, Serve, plain_channel, until
from .keyed import CallersFile
from .operators import OPERATOR, Admin
from .test_admin import admin_channel
from .test_sleeping import states


@pytest.fixture
def callers_file(tmp_path: Path) -> CallersFile:
    def write(content: str) -> str:
        path = tmp_path / "callers.toml"
        path.write_text(content)
        return str(path)

    return write


@pytest.fixture
async def channel(service: Service) -> AsyncIterator[aio.Channel]:
    async with plain_channel(service) as opened:
        yield opened


@pytest.fixture
async def admins(serve: Serve, callers_file: CallersFile) -> AsyncIterator[Any]:
    guarded = {"callers_file": callers_file(OPERATOR), "admin_requires_caller": True}
    async with AsyncExitStack() as stack:

        async def start(*simulated: dict[str, Any], **settings: Any) -> Admin:
            defaults: dict[str, Any] = {"listen": FREE_PORT, "development_mode": True}
            simulators = [
                await stack.enter_async_context(Simulator(SimulatorSettings(**defaults | one)))
                for one in simulated
            ]
            service = await serve(
                admin_listen=FREE_PORT,
                slow_start=0,
                **{"upstream": tuple(one.url for one in simulators)} | guarded | settings,
            )
            await until(lambda: "PROBING" not in {one.name for one in states(service)})
            channel = await stack.enter_async_context(admin_channel(service))
            return Admin(channel, service, simulators)

        yield start
