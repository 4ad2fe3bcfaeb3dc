"""The LoRA adapters that replicas must have, because they were loaded through this service."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter.

    Attributes:
        name: its name, which calls use as a model.
        model: the public name of its base model.
        path: its path, as the replicas read it.
    """

    name: str
    model: str
    path: str


class KeptAdapters:
    """The adapters that replicas must have.

    Attributes:
        restores: whether this process loads them on replicas that lack them.
    """

    def __init__(self, file: str = "", *, restores: bool = True) -> None:
        """Starts with the adapters in a file, or with none.

        Args:
            file: the file that several processes share; empty to keep them in memory.
            restores: whether this process loads them on replicas that lack them.
        """
        self.restores = restores
        self._file = Path(file) if file else None
        self._own: Mapping[str, Adapter] = {}

    def all(self) -> Mapping[str, Adapter]:
        """Returns the adapters by their names."""
        if not self._file:
            return self._own
        try:
            stored = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        return {one["name"]: Adapter(**one) for one in stored}

    def keep(self, adapter: Adapter) -> None:
        """Adds an adapter, or replaces the one of its name."""
        self._store({**self.all(), adapter.name: adapter})

    def forget(self, name: str) -> None:
        """Removes the adapter of a name, if there is one."""
        kept = self.all()
        if name in kept:
            self._store({other: kept[other] for other in kept if other != name})

    def _store(self, kept: Mapping[str, Adapter]) -> None:
        self._own = kept
        if self._file:
            # Others never read a part of it.
            new = self._file.with_name(f"{self._file.name}-{os.getpid()}")
            new.write_text(json.dumps([asdict(one) for one in kept.values()]))
            new.replace(self._file)
