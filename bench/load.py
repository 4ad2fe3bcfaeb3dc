"""The compiled load client: one window of calls, and its observations."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.process import Child

_READY_WITHIN_S = 30.0


class LoadFailed(Exception):
    """The client failed."""


@dataclass(frozen=True)
class Window:
    """The client's observations in one window. Times are in microseconds.

    Attributes:
        seconds: length of the window.
        calls: successful calls.
        chunks: chunks received.
        messages: messages or events received.
        latency: duration of whole calls: p50, p90, p99, max.
        first: time from the request to the first chunk.
        delay: time from the upstream's sending of a chunk to its arrival.
        errors: number of occurrences of each fault, including the warm-up.
    """

    seconds: float
    calls: int
    chunks: int
    messages: int
    latency: Mapping[str, float] = field(default_factory=dict)
    first: Mapping[str, float] = field(default_factory=dict)
    delay: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


class Client:
    """A running load client."""

    def __init__(self, child: Child) -> None:
        """Wraps the process of a client."""
        self._child = child

    def wait_ready(self) -> None:
        """Waits until the client has warmed up and starts to count.

        Raises:
            LoadFailed: the client ended, or there was no answer in time.
        """
        if self._line(_READY_WITHIN_S) != "ready":
            raise LoadFailed(f"the load client ended: {self._child.last_words()}")

    def progress(self) -> tuple[int, int]:
        """Waits for the next report; returns the calls and the chunks so far.

        Raises:
            LoadFailed: the client ended.
        """
        word, *numbers = self._line(_READY_WITHIN_S).split() or [""]
        if word != "progress":
            raise LoadFailed(f"the load client ended: {self._child.last_words()}")
        return int(numbers[0]), int(numbers[1])

    def finish(self) -> Window:
        """Ends the window and returns the observations.

        Raises:
            LoadFailed: the client ended before.
        """
        self._child.say("end")
        while line := self._line(_READY_WITHIN_S):
            if line.startswith("{"):
                return window(json.loads(line))
        raise LoadFailed(f"the load client ended: {self._child.last_words()}")

    def _line(self, within_s: float) -> str:
        try:
            return self._child.line(within_s)
        except TimeoutError as error:
            raise LoadFailed(f"the load client printed nothing for {within_s:g} s") from error


def window(document: Mapping[str, Any]) -> Window:
    """Returns the client's last line as a window."""
    return Window(**document)


def wait_until(done: Callable[[], bool], within_s: float, what: str) -> None:
    """Polls until a condition holds.

    Raises:
        LoadFailed: it did not hold in time.
    """
    end = time.monotonic() + within_s
    while not done():
        if time.monotonic() > end:
            raise LoadFailed(f"{what}: not within {within_s:g} s")
        time.sleep(0.02)


def arguments(program: Path, options: Mapping[str, object], flags: Sequence[str]) -> list[str]:
    """Returns the client's command line."""
    given = [f"--{name}={value}" for name, value in options.items() if value not in ("", 0)]
    return [str(program), *(f"--{flag}" for flag in flags), *given]
