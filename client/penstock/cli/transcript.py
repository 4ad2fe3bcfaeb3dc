"""Prints the answer of a chat to a terminal or a pipe as it arrives."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from penstock._base.stream import Stream
from penstock.chat_answer import ChatCompletion, ChatEvent
from penstock.cli.command import on
from penstock.cli.screen import DIM, PLAIN, Spinner, can_redraw, columns, has_styles
from penstock.cli.wrapping import Wrapping
from penstock.errors import CallCancelledError


class Transcript:
    """Prints an answer's text to standard output; on a terminal, its reasoning to standard error.

    Ends the line at the end, even after an error.

    Args:
        silent: whether to print nothing.
        reasoning: whether to print the reasoning.
        wrap: whether to break lines between words, on a terminal.
        spinner: whether to show that the answer has not begun, on a terminal.
    """

    def __init__(self, *, silent: bool, reasoning: bool, wrap: bool, spinner: bool) -> None:
        self._silent = silent
        self._reasoning = reasoning and sys.stdout.isatty() and sys.stderr.isatty()
        self._wraps = wrap and can_redraw(sys.stdout)
        self._style = (DIM, PLAIN) if has_styles(sys.stderr) else ("Reasoning: ", "")
        self._spinner = Spinner(shown=spinner)
        self._wrapping = Wrapping(columns)
        self._thinks = False
        self._text = ""
        self._started = time.monotonic()
        self._first: float | None = None

    def __enter__(self) -> Self:
        self._spinner.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spinner.stop()
        self._end_reasoning()
        if self._text:
            print(self._wrapping.rest(), flush=True)

    def add(self, event: ChatEvent) -> None:
        """Prints the text and reasoning of an event."""
        if self._first is None and (event.text or event.reasoning or event.tool_calls):
            self._first = time.monotonic()
        if self._silent:
            return
        # Models start with blank lines, before and after reasoning.
        thought = event.reasoning if self._thinks else event.reasoning.lstrip("\n")
        if thought and self._reasoning:
            self._spinner.stop()
            begin = "" if self._thinks else self._style[0]
            text = begin + self._wrapped(on(sys.stderr, thought))
            print(text, end="", file=sys.stderr, flush=True)
            self._thinks = True
        if text := event.text if self._text else event.text.lstrip("\n"):
            self._spinner.stop()
            self._end_reasoning()
            print(self._wrapped(on(sys.stdout, text)), end="", flush=True)
            self._text = text

    def figures(self, answer: ChatCompletion) -> str:
        """Returns the numbers of tokens and the times of the answer."""
        now = time.monotonic()
        first = now if self._first is None else self._first
        usage = answer.usage
        rate = usage.completion_tokens / max(now - first, 1e-9)
        return (
            f"{answer.model}: {usage.prompt_tokens} tokens in, {usage.completion_tokens} out, "
            f"{rate:.1f} tokens/s, first after {first - self._started:.2f} s, "
            f"total {now - self._started:.2f} s"
        )

    def _wrapped(self, text: str) -> str:
        return self._wrapping.add(text) if self._wraps else text

    def _end_reasoning(self) -> None:
        if self._thinks:
            print(self._wrapping.rest() + self._style[1], file=sys.stderr, flush=True)
            self._wrapping = Wrapping(columns)
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
