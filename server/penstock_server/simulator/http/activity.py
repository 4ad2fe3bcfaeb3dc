"""Activity of a running simulator: counters, and waiting for their changes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Activity:
    """Counts connections, requests and generations; a test waits on them instead of sleeping."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0
        self.active = 0
        self.aborted = 0
        self._changed = asyncio.Event()

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Counts a connection while it is open."""
        self._add("connections", 1)
        try:
            yield
        finally:
            self._add("connections", -1)

    @contextmanager
    def generation(self) -> Iterator[None]:
        """Counts a generation while it runs, and as aborted if its caller disconnects."""
        self._add("active", 1)
        try:
            yield
        except (asyncio.CancelledError, ConnectionError):
            self._add("aborted", 1)
            raise
        finally:
            self._add("active", -1)

    def count_request(self) -> None:
        """Counts a request that was read."""
        self._add("requests", 1)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition holds; checks it after each change of a counter."""
        while not condition():
            await self._changed.wait()

    def _add(self, counter: str, amount: int) -> None:
        setattr(self, counter, getattr(self, counter) + amount)
        self._changed.set()
        self._changed = asyncio.Event()
