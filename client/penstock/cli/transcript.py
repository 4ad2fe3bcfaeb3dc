"""An answer of a chat on a terminal or in a pipe, as it comes."""

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
    """The text of an answer on standard output, its reasoning dim on a terminal's standard error.

    At the end, whichever it is, the line is ended.
    """

    def __init__(self, *, silent: bool) -> None:
        """Prints nothing if it is silent."""
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
        self._think_no_more()
        if self._text:
            print(flush=True)

    def add(self, event: ChatEvent) -> None:
        """Prints what an event brings."""
        if self._silent:
            return
        if event.reasoning and sys.stderr.isatty():
            print("" if self._thinks else DIM, end="", file=sys.stderr)
            print(on(sys.stderr, event.reasoning), end="", file=sys.stderr, flush=True)
            self._thinks = True
        # Models begin with blank lines after they have thought.
        if text := event.text if self._text else event.text.lstrip("\n"):
            self._think_no_more()
            print(on(sys.stdout, text), end="", flush=True)
            self._text = text

    def _think_no_more(self) -> None:
        if self._thinks:
            print(PLAIN, file=sys.stderr, flush=True)
            self._thinks = False


@contextmanager
def ended_by_control_c(stream: Stream[Any, Any]) -> Iterator[None]:
    """Ends a stream at Ctrl-C and then raises KeyboardInterrupt.

    Python's own handler raises it wherever the program is; where that is a callback, it is lost.
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
