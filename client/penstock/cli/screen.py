"""The terminal: what it can do, its width, its keyboard, a spinner."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TextIO

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
CLEAR_LINE = "\r\x1b[K"
MARK_PASTES, DO_NOT_MARK_PASTES = "\x1b[?2004h", "\x1b[?2004l"

_DELAY_S = 0.3
_FRAME_S = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SIMPLE_FRAMES = "|/-\\"


def can_redraw(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def has_styles(stream: TextIO) -> bool:
    """Returns whether texts on a stream may have a colour or another style; see no-color.org."""
    return can_redraw(stream) and not os.environ.get("NO_COLOR")


def columns() -> int:
    """Returns the width of the terminal."""
    return shutil.get_terminal_size().columns


@contextmanager
def keyboard_unseen(*, mark_pastes: bool) -> Iterator[None]:
    """Hides typed text, which would mix with the output; the next prompt reads it.

    Args:
        mark_pastes: whether the terminal marks pasted texts, for a prompt that knows the marks.
    """
    before = _without_echo()
    marks = mark_pastes and before is not None
    if marks:
        print(end=MARK_PASTES, flush=True)
    try:
        yield
    finally:
        if marks:
            print(end=DO_NOT_MARK_PASTES, flush=True)
        if before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _without_echo() -> Any:
    """Switches echo and line mode off; returns the previous settings, or None without a terminal.

    In line mode, the terminal would drop the end of long lines.
    """
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    with suppress(ImportError):  # Windows has no termios.
        import termios

        before = termios.tcgetattr(sys.stdin)
        changed = [*before]
        changed[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, changed)
        return before
    return None


class Spinner:
    """A sign on standard error that the command is waiting; only where a line can be redrawn.

    Args:
        shown: whether to show it.
    """

    def __init__(self, *, shown: bool) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._running = shown and sys.stdout.isatty() and can_redraw(sys.stderr)

    def __enter__(self) -> Self:
        if self._running:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Removes the sign; does nothing the second time."""
        if self._running:
            self._running = False
            self._stop.set()
            self._thread.join()

    def _spin(self) -> None:
        if self._stop.wait(_DELAY_S):
            return
        number = 0
        frames = _FRAMES if (sys.stderr.encoding or "").lower() == "utf-8" else _SIMPLE_FRAMES
        while True:
            print(f"\r{frames[number % len(frames)]}", end="", file=sys.stderr, flush=True)
            number += 1
            if self._stop.wait(_FRAME_S):
                break
        print(CLEAR_LINE, end="", file=sys.stderr, flush=True)
