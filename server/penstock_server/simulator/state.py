"""State of one running simulator between requests."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Sequence

from penstock_server.simulator.dialects.dialect import Dialect
from penstock_server.simulator.http.activity import Activity
from penstock_server.simulator.prompts.tokens import Token, piece_of
from penstock_server.simulator.response_store import Responses
from penstock_server.simulator.vllm_settings import SimulatorSettings

CACHE_BLOCK = 128
"""Tokens per block of the prefix cache, as on vLLM's CPU backend."""

_MOST_BLOCKS = 10_000
_MOST_TEXTS = 1000


class State:
    """Settings, counters, ids, health, prefix cache and adapters of one simulator.

    Attributes:
        adapters: the paths of the LoRA adapters that are loaded, by their names.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.activity = Activity()
        self.faults = settings.faults
        self.path_faults: dict[str, str] = {}
        self.dialect = Dialect(settings.dialect)
        self.healthy = True
        self.engine_dead = False
        self.started = time.time()
        self.spoken = Spoken()
        self.responses = Responses()
        self.engine = Engine()
        self.adapters: dict[str, str] = {}
        self._ids = itertools.count()
        self._blocks: set[int] = set()

    @property
    def ready(self) -> bool:
        """Whether /health returns 200."""
        return (
            self.healthy
            and not self.engine_dead
            and time.time() - self.started >= self.settings.startup_duration
        )

    def new_id(self) -> str:
        """Returns the next id of 16 hexadecimal digits; the sequence is the same in each run."""
        return short_hash(f"{self.settings.seed}:{next(self._ids)}")

    def cache(self, tokens: list[Token], salt: str) -> tuple[int, int]:
        """Adds a prompt to the prefix cache; returns the numbers of cached and of new tokens."""
        ids = tuple(token.id for token in tokens)
        keys = [hash((salt, ids[:end])) for end in range(CACHE_BLOCK, len(ids) + 1, CACHE_BLOCK)]
        known = sum(key in self._blocks for key in keys)
        if len(self._blocks) > _MOST_BLOCKS:
            self._blocks.clear()
        self._blocks.update(keys)
        return known * CACHE_BLOCK, (len(keys) - known) * CACHE_BLOCK

    def empty_cache(self) -> None:
        """Empties the prefix cache."""
        self._blocks.clear()


class Engine:
    """The sleep of the engine.

    Attributes:
        awake: set while it is awake.
        level: how deeply it sleeps; None while it is awake.
    """

    def __init__(self) -> None:
        self.awake = asyncio.Event()
        self.wake_up()

    @property
    def asleep(self) -> bool:
        """Whether it is asleep."""
        return self.level is not None

    def sleep(self, level: int) -> None:
        """Falls asleep."""
        self.level: int | None = level
        self.awake.clear()

    def wake_up(self) -> None:
        """Wakes up."""
        self.level = None
        self.awake.set()


class Spoken:
    """The recently tokenized texts, by their ids."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, ...], str] = {}

    def remember(self, text: str, tokens: Sequence[Token]) -> None:
        """Remembers the text of tokens."""
        if len(self._texts) >= _MOST_TEXTS:
            self._texts.pop(next(iter(self._texts)))
        self._texts[tuple(token.id for token in tokens)] = text

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids, piece by piece if they were not tokenized together."""
        known = self._texts.get(tuple(ids))
        if known is not None:
            return known
        pieces = (self._texts.get((one,), "").encode() or piece_of(one) for one in ids)
        return b"".join(pieces).decode("utf-8", "replace")


def short_hash(text: str) -> str:
    """Returns 16 hexadecimal digits that depend only on the text."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
