"""The changes of the LoRA adapters of one replica."""

import asyncio


class AdapterRecord:
    """The changes of the adapters of one replica, and those that failed.

    Attributes:
        changing: held while adapters are loaded or unloaded.
        changes: the number of times that operators changed its adapters through this service.
        restored: the number of adapters that were loaded again.
        failed: the number of attempts to do so that failed.
    """

    def __init__(self) -> None:
        """Starts without changes."""
        self.changing = asyncio.Lock()
        self.changes = 0
        self.restored = 0
        self.failed = 0
        self._failures: dict[str, tuple[str, float]] = {}

    def reason(self, name: str) -> str:
        """Returns why the last attempt to load an adapter again failed; empty if it did not."""
        return self._failures.get(name, ("", 0.0))[0]

    def may_retry(self, name: str, now: float) -> bool:
        """Returns whether to try again to load an adapter."""
        return now >= self._failures.get(name, ("", now))[1]

    def forget_failure(self, name: str) -> None:
        """Forgets that an adapter could not be loaded again."""
        self._failures.pop(name, None)

    def record_failure(self, name: str, reason: str, retry_at: float) -> None:
        """Records that an adapter could not be loaded again, and when to try the next time."""
        self.failed += 1
        self._failures[name] = (reason, retry_at)
