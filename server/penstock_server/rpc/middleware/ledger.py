"""The use that callers make of their limits, by their names."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

Entry: TypeAlias = "memoryview[float]"
"""The use that one caller makes of its limits, as numbers.

At `CALLS` and `TOKENS`, the times at which these quotas are full again; from `RUNNING` on, for each
process of the service, the number of calls that it runs.
"""

CALLS, TOKENS, RUNNING = 0, 1, 2


class Ledger:
    """The entries of a service that is a single process.

    Attributes:
        own: the index of this process's number of calls in every entry.
        alone: a context in which no other process changes an entry.
    """

    def __init__(self) -> None:
        """Begins without entries."""
        self.own = RUNNING
        self.alone: AbstractContextManager[object] = nullcontext()
        self._entries: dict[str, Entry] = {}

    def entries(self, names: Sequence[str]) -> list[Entry]:
        """Returns the entries of callers; those that are not new keep their contents."""
        for name in names:
            if name not in self._entries:
                self._entries[name] = memoryview(bytearray(8 * (RUNNING + 1))).cast("d")
        return [self._entries[name] for name in names]
