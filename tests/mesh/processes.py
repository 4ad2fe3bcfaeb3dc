"""Penstocks in processes of their own, which signals can reach."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from acceptance.conftest import serving as until_serving
from cli.process import Process, serving

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
async def penstocks(*options: str, count: int = 2) -> AsyncIterator[list[Penstock]]:
    """Starts Penstocks with the same options; yields them once they have found their upstream."""
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(count):
            process, address = await stack.enter_async_context(serving(*options))
            async with opened(address) as channel:
                await until_serving(channel)
            started.append(Penstock(process, address))
        yield started
