"""Prints the answer of a chat to a terminal or a pipe as it arrives."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from penstock._base.stream import Stream
from penstock.chat_answer import ChatEvent
from penstock.cli.command import on
from penstock.errors import CallCancelledError

DIM, PLAIN = "\x1b[2m", "\x1b[0m"


class Transcript:
    """Prints an answer's text to standard output; on a terminal, its reasoning to standard error.

    Ends the line at the end, even after an error.

    Args:
        silent: whether to print nothing.
    """

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._thinks = False
        self._text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_reasoning()
        if self._text:
            print(flush=True)

    def add(self, event: ChatEvent) -> None:
        """Prints the text and reasoning of an event."""
        if self._silent:
            return
        if event.reasoning and sys.stderr.isatty():
            print("" if self._thinks else DIM, end="", file=sys.stderr)
            print(on(sys.stderr, event.reasoning), end="", file=sys.stderr, flush=True)
            self._thinks = True
        # Models start with blank lines after reasoning.
        if text := event.text if self._text else event.text.lstrip("\n"):
            self._end_reasoning()
            print(on(sys.stdout, text), end="", flush=True)
            self._text = text

    def _end_reasoning(self) -> None:
        if self._thinks:
            print(PLAIN, file=sys.stderr, flush=True)
            self._thinks = False


@contextmanager
def ended_by_control_c(stream: Stream[Any, Any]) -> Iterator[None]:
    """Cancels a stream on Ctrl-C and then raises KeyboardInterrupt.

    Python's own handler raises it at an arbitrary point; in a callback, it would be lost.
    """
    pressed = False

    def end(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        stream.close()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    except CallCancelledError as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
