"""Envoy with the file of deploy/envoy, and Penstocks behind it."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cli.process import BOUND_S, started
from conftest import FREE_PORT, Serve
from grpc import aio
from rpc.calls import until
from servers import HOST, cache_folder, other_version

from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "envoy"
# Another version of vLLM has its own cache folder.
CACHE = cache_folder().parent if other_version() else cache_folder()
PROGRAM = CACHE / "routers" / "bin" / "envoy"
DESCRIPTORS = ROOT / "client" / "penstock" / "descriptors.binpb"
OPTIONS = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
ALONE = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
"""Options of a channel that neither retries nor shares its connection."""
ORIGIN = "http://localhost:8000"
"""The origin that the file allows browsers to call from."""


def configuration(penstocks: Sequence[str], changes: Mapping[str, str]) -> str:
    """Returns the file with the addresses of a test; every text to replace must be in it.

    Args:
        penstocks: the addresses of two Penstocks.
        changes: other texts to replace.
    """
    text = (FILES / "envoy.yaml").read_text("utf-8")
    first, second = (_socket(address) for address in penstocks)
    table = {
        "address: 127.0.0.1, port_value: 9901": _socket(FREE_PORT),
        "address: 0.0.0.0, port_value: 8080": _socket(FREE_PORT),
        "address: penstock-1, port_value: 50051": first,
        "address: penstock-2, port_value: 50051": second,
        "/etc/envoy/descriptors.binpb": str(DESCRIPTORS),
        **changes,
    }
    for old, new in table.items():
        assert old in text, f"{old} is not in the file"
        text = text.replace(old, new)
    return text


def _socket(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"address: {host}, port_value: {port}"


@dataclass(frozen=True, slots=True)
class Envoy:
    """A running Envoy.

    Attributes:
        address: for callers.
        admin: a client of its administration.
    """

    address: str
    admin: httpx.AsyncClient

    async def stats(self, pattern: str) -> dict[str, int]:
        """Returns the counters and gauges whose names match a pattern."""
        answer = await self.admin.get("/stats", params={"filter": pattern, "format": "json"})
        return {one["name"]: one["value"] for one in answer.json()["stats"] if "name" in one}

    async def until_healthy(self, count: int) -> None:
        """Returns once so many Penstocks serve chats."""
        async with asyncio.timeout(BOUND_S):
            while await self.total(r"cluster\.chat\.membership_healthy") != count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def total(self, pattern: str) -> int:
        """Returns the sum of them."""
        return sum((await self.stats(pattern)).values())


@asynccontextmanager
async def envoy(
    penstocks: Sequence[str], folder: Path, changes: Mapping[str, str] | None = None
) -> AsyncIterator[Envoy]:
    """Runs Envoy with the file; see `configuration`."""
    file, log, admin = (folder / f"envoy.{name}" for name in ("yaml", "log", "admin"))
    file.write_text(configuration(penstocks, changes or {}), "utf-8")
    files = ("--config-path", file, "--log-path", log, "--admin-address-path", admin)
    async with started(str(PROGRAM), *OPTIONS, *map(str, files)):
        try:
            await until(lambda: admin.exists() and admin.read_text() != "", BOUND_S)
        except TimeoutError:
            raise AssertionError(log.read_text("utf-8")) from None
        url = f"http://{admin.read_text().strip()}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=BOUND_S) as client:
            yield Envoy(await _address(client), client)


async def _address(admin: httpx.AsyncClient) -> str:
    """Returns where Envoy listens, once it knows the health of the Penstocks."""
    async with asyncio.timeout(BOUND_S):
        while (await admin.get("/ready")).status_code != httpx.codes.OK:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    found = re.search(r"^callers::(.+)$", (await admin.get("/listeners")).text, re.MULTILINE)
    assert found
    return found[1].replace("0.0.0.0", HOST)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Two Penstocks behind an Envoy, each with a simulator of its own.

    Attributes:
        simulators: the two upstreams.
        envoy: the Envoy.
        channel: to the Envoy.
    """

    simulators: Sequence[Simulator]
    services: Sequence[Service]
    envoy: Envoy
    channel: aio.Channel

    @property
    def requests(self) -> list[int]:
        """The number of calls that each upstream has received."""
        return [
            sum(
                request.path.startswith("/v1/") and request.method == "POST"
                for request in one.requests
            )
            for one in self.simulators
        ]


@asynccontextmanager
async def mesh(
    serve: Serve,
    folder: Path,
    *upstreams: SimulatorSettings,
    changes: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Mesh]:
    """Starts two Penstocks and Envoy.

    Args:
        serve: starts a Penstock.
        folder: for files.
        upstreams: the settings of the two simulators; by default, of two that chat.
        changes: texts to replace in Envoy's file.
        settings: options of both Penstocks.
    """
    chosen = upstreams or (SimulatorSettings(listen=FREE_PORT),) * 2
    async with AsyncExitStack() as stack:
        simulators = [await stack.enter_async_context(Simulator(one)) for one in chosen]
        services = [await serve(upstream=(one.url,), **settings) for one in simulators]
        await until(lambda: all(service._fleet.healthy() for service in services), BOUND_S)
        addresses = [f"{HOST}:{service.port}" for service in services]
        front = await stack.enter_async_context(envoy(addresses, folder, changes))
        channel = await stack.enter_async_context(opened(front.address))
        yield Mesh(simulators, services, front, channel)


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[aio.Channel]:
    """Opens a channel that neither retries nor shares its connection."""
    async with aio.insecure_channel(address, options=ALONE) as channel:
        yield channel
