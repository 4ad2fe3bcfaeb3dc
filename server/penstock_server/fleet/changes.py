"""The signal that something about the replicas has changed."""

import asyncio
from collections.abc import Callable


class ChangeSignal:
    """Reports changes of the replicas to whoever depends on them.

    Attributes:
        version: the number of changes so far. Whatever is derived from the replicas is valid as
            long as the version stays the same.
        listener: called after every change and after every probe; None for nobody.
    """

    def __init__(self) -> None:
        self.version = 0
        self.listener: Callable[[], None] | None = None
        self._changed = asyncio.Event()

    def send(self) -> None:
        """Reports that something has changed."""
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self.send_probed()

    def send_probed(self) -> None:
        """Reports that a probe has ended; with the time, health may have changed as well."""
        if self.listener:
            self.listener()

    async def wait(self) -> None:
        """Returns after the next change."""
        await self._changed.wait()
