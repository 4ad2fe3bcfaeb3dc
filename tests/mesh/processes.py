"""Penstocks in processes of their own, which signals can reach."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from acceptance.conftest import serving as until_serving
from cli.process import PENSTOCK, Process, started
from conftest import FREE_PORT

from mesh.gateway import opened


@dataclass(frozen=True, slots=True)
class Penstock:
    """One of them.

    Attributes:
        process: its process.
        address: for callers.
    """

    process: Process
    address: str


@asynccontextmanager
async def penstock(*options: str, listen: str = FREE_PORT) -> AsyncIterator[Penstock]:
    """Starts a Penstock; yields it once it has found its upstream."""
    async with started(PENSTOCK, "serve", "--listen", listen, *options) as process:
        address = (await process.log("serving"))["address"]
        async with opened(address) as channel:
            await until_serving(channel)
        yield Penstock(process, address)


@asynccontextmanager
async def penstocks(*options: str) -> AsyncIterator[list[Penstock]]:
    """Starts two Penstocks with the same options."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(penstock(*options)) for _ in range(2)]
