"""The signal that something about the replicas has changed."""

import asyncio
from collections.abc import Callable


class ChangeSignal:
    """Reports changes of the replicas to their dependants.

    Attributes:
        version: number of changes so far. Values derived from the replicas are valid as long as the
            version stays the same.
        listener: called after every change and after every probe; may be None.
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
        """Reports that a probe has ended; health may have changed with time."""
        if self.listener:
            self.listener()

    async def wait(self) -> None:
        """Waits for the next change."""
        await self._changed.wait()
