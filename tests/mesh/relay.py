"""A network that stops delivering."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from servers import HOST


@dataclass(slots=True)
class Relay:
    """Passes bytes between callers and an address until it is frozen; then it is silent.

    Attributes:
        target: the address.
        address: where the relay listens.
    """

    target: str
    address: str = ""
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)

    def freeze(self) -> None:
        """Delivers nothing more, and closes nothing."""
        self._flowing.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        for source, sink in ((reader, back), (there, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
            await self._flowing.wait()
        except ConnectionError:
            await self._flowing.wait()
        finally:
            sink.close()


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    """Runs a relay to an address."""
    running = Relay(target)
    running._flowing.set()
    async with await asyncio.start_server(running._connected, HOST, 0) as server:
        running.address = f"{HOST}:{server.sockets[0].getsockname()[1]}"
        try:
            yield running
        finally:
            for pump in running._pumps:
                pump.cancel()
            await asyncio.gather(*running._pumps, return_exceptions=True)
