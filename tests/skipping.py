"""Event loops whose time can be skipped: tests use long limits and skip them.

On a busy machine, a short limit could expire too early in the test.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import TypeVarTuple

import pytest
import uvloop

_Args = TypeVarTuple("_Args")

_LONG_S = 10.0
LIMIT_S = 50.0
"""Long enough not to expire by itself, but shorter than the bounds that must not expire at all."""


@dataclass(frozen=True)
class _Timer:
    due: float
    delay: float
    handle: asyncio.TimerHandle
    run: Callable[[], object]


class Skipping:
    """Time that a test advances, in addition to real time."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self._timers: list[_Timer] = []
        self._added = asyncio.Event()

    def monotonic(self) -> float:
        """Returns the time in seconds, as `time.monotonic` does."""
        return time.monotonic() + self._skipped

    async def __call__(self, seconds: float = LIMIT_S) -> None:
        """Waits until a timer of about this duration is pending; then skips the time."""
        while not any(seconds - _LONG_S < one.delay <= seconds for one in self._pending()):
            self._added.clear()
            await self._added.wait()
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Lets time pass, whoever waits."""
        self._skipped += seconds
        for timer in self._pending():
            if timer.due <= self.monotonic():
                timer.handle.cancel()
                timer.run()

    def note(
        self,
        delay: float,
        handle: asyncio.TimerHandle,
        run: Callable[[], object],
    ) -> None:
        """Records a timer of the event loop."""
        if delay > _LONG_S:
            self._timers.append(_Timer(self.monotonic() + delay, delay, handle, run))
            self._added.set()

    def _pending(self) -> list[_Timer]:
        self._timers = [one for one in self._timers if not one.handle.cancelled()]
        return self._timers


class UvLoop(uvloop.Loop):
    """The event loop of the service."""

    skipping: Skipping | None = None

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = super().call_later(delay, callback, *args, context=context)
        if self.skipping:
            self.skipping.note(
                delay, handle, lambda: self.call_soon(callback, *args, context=context)
            )
        return handle


class PythonLoop(asyncio.SelectorEventLoop):
    """Python's own event loop."""

    skipping: Skipping | None = None

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        if self.skipping:
            self.skipping.note(
                when - self.time(),
                handle,
                lambda: self.call_soon(callback, *args, context=context),
            )
        return handle


@pytest.fixture
async def skip(monkeypatch: pytest.MonkeyPatch) -> Skipping:
    """Skips time: `await skip(50)`, for limits that begin after this fixture."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, UvLoop | PythonLoop)
    loop.skipping = skipping = Skipping()
    for name, module in list(sys.modules.items()):
        if name.startswith("penstock_server.") and hasattr(module, "monotonic"):
            monkeypatch.setattr(module, "monotonic", skipping.monotonic)
    return skipping
