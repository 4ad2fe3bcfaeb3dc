"""The log: lines of JSON, or readable lines on a terminal, on standard error."""

import asyncio
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Lock
from time import time
from typing import Any

import orjson

from penstock_server.telemetry import events
from penstock_server.telemetry.output import Output

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "text")
# asyncio's logger reports errors that nothing else catches, OpenTelemetry's failed exports.
_LOGGERS = ("penstock", "asyncio", "opentelemetry")

# How long the process waits at its end for the reader of its log.
_LAST_LINES_S = 1.0
# How long frequent lines wait for others, to be formatted and written together, and how many do.
_TOGETHER_S = 0.02
_MOST_TOGETHER = 64
# If they still wait after this time, the event loop of their timer has ended.
_OVERDUE_S = 1.0
_HEAD = ("time", "level", "event")
_NUMBERS = {level: logging.getLevelNamesMapping()[level.upper()] for level in LEVELS}
_DIM = "\x1b[2m{}\x1b[0m"
_COLOURS = {
    "debug": _DIM,
    "info": "\x1b[32m{}\x1b[0m",
    "warning": "\x1b[33m{}\x1b[0m",
    "error": "\x1b[31m{}\x1b[0m",
}
_AMBIGUOUS = re.compile(r"""[\s="'\\]|^$""")

Line = dict[str, Any]


class Lines(logging.Handler):
    """Writes each record as a line, with those of its `fields` that have a value.

    The first keys of a line are `time`, as a POSIX timestamp, `level` and `event`. Lines that the
    reader has no room for are dropped and counted; a later line has the number.

    Attributes:
        dropped: the number of lines dropped so far.
    """

    def __init__(self, output: Output, written: Callable[[Line], bytes]) -> None:
        """Prepares to write.

        Args:
            output: writes lines.
            written: formats a line.
        """
        super().__init__()
        self._output = output
        self._written = written
        self._exceptions = logging.Formatter()
        self._lock = Lock()
        self._waiting: list[tuple[Callable[..., Line], tuple[Any, ...]]] = []
        self._overdue = 0.0
        self._dropped = 0
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line of a record."""
        line: Line = {"time": record.created, "level": record.levelname.lower()}
        line["event"] = record.getMessage()
        given = getattr(record, "fields", {})
        line |= {key: value for key, value in given.items() if value is not None and value != ""}
        if record.exc_info:
            line["exception"] = self._exceptions.formatException(record.exc_info)
        self.write(line)

    def write(self, line: Line) -> None:
        """Writes a line at once, after those that wait."""
        if self._waiting:
            self.flush()
        self._write((line,))

    def write_soon(self, make: Callable[..., Line], arguments: tuple[Any, ...], now: float) -> None:
        """Makes and writes a line within a fraction of a second, together with others.

        Only a process that is killed loses the lines that wait.

        Args:
            make: returns the line.
            arguments: its arguments.
            now: the present time as a POSIX timestamp.
        """
        self._waiting.append((make, arguments))
        # Another thread may write a line meanwhile, and with it those that wait.
        number = len(self._waiting)
        if number == 1:
            self._overdue = now + _OVERDUE_S
            self._flush_soon()
        elif number >= _MOST_TOGETHER or now > self._overdue:
            self.flush()

    def flush(self) -> None:
        """Writes the lines that wait."""
        with self._lock:
            waiting = self._waiting[:]
            del self._waiting[: len(waiting)]
        if waiting:
            self._write([make(*arguments) for make, arguments in waiting])

    def close(self) -> None:
        """Gives the reader a moment to read the last lines."""
        self.flush()
        with self._lock:
            self._output.flush(_LAST_LINES_S)
            if self._dropped:
                self._report_dropped()
        super().close()

    def _flush_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_later(_TOGETHER_S, self.flush)
        except RuntimeError:  # no event loop is running
            self.flush()

    def _write(self, lines: Sequence[Line]) -> None:
        written = b"".join(map(self._written, lines))
        # The lock is for lines that are dropped; the output has one of its own.
        if self._dropped or not self._output.write(written):
            self._write_or_drop(written, len(lines))

    def _write_or_drop(self, written: bytes, lines: int) -> None:
        with self._lock:
            if self._dropped:
                self._report_dropped()
            if self._dropped or not self._output.write(written):
                self._dropped += lines
                self.dropped += lines

    def _report_dropped(self) -> None:
        line = begun("warning", events.LINES_DROPPED.name)
        line["lines"] = self._dropped
        if self._output.write(self._written(line)):
            self._dropped = 0


def begun(level: str, event: str) -> Line:
    """Returns the beginning of a line; fields are added to it."""
    return {"time": time(), "level": level, "event": event}


_lines: Lines | None = None
_least = 0


def configure(level: str, form: str, descriptor: int = 2) -> None:
    """Sends the log of this process to a file descriptor, by default standard error."""
    global _lines
    text = form == "text" or (form == "auto" and os.isatty(descriptor))
    readable = _coloured if _has_colours(descriptor) else _readable
    _lines = Lines(Output(descriptor), readable if text else _json)
    for logger in map(logging.getLogger, _LOGGERS):
        logger.handlers = [_lines]
        logger.propagate = False
    set_level(level)


def _has_colours(descriptor: int) -> bool:
    """Returns whether colours are wanted: see https://no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return os.isatty(descriptor) and not plain


def set_level(level: str) -> None:
    """Sets the lowest severity that is logged."""
    global _least
    _least = _NUMBERS[level]
    logging.getLogger("penstock").setLevel(level.upper())


def lines_dropped() -> int:
    """Returns the number of lines that were dropped so far."""
    return _lines.dropped if _lines else 0


def enabled(logger: logging.Logger, level: str) -> bool:
    """Returns whether lines of a level are logged."""
    return _NUMBERS[level] >= _least if _lines else logger.isEnabledFor(_NUMBERS[level])


def write(logger: logging.Logger, line: Line) -> None:
    """Logs a frequent event.

    Once the log is configured, this skips `logging`, whose record would cost more than the line.
    """
    if _lines:
        _lines.write(line)
        return
    fields = {key: value for key, value in line.items() if key not in _HEAD}
    logger.log(_NUMBERS[line["level"]], line["event"], extra={"fields": fields})


def write_soon(
    logger: logging.Logger, make: Callable[..., Line], arguments: tuple[Any, ...], now: float
) -> None:
    """Logs a very frequent event a moment later: see `Lines.write_soon`."""
    if _lines:
        _lines.write_soon(make, arguments, now)
    else:
        write(logger, make(*arguments))


def _json(line: Line) -> bytes:
    line["time"] = datetime.fromtimestamp(line["time"], UTC)
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # faster than to pass a default each time
        return json.dumps(line, default=str, separators=(",", ":")).encode() + b"\n"


def _readable(line: Line) -> bytes:
    """Returns a readable line, followed by an indented exception if there is one."""
    return _text(line, "{}", "{}")


def _coloured(line: Line) -> bytes:
    """Returns a readable line in colours: of its level, and dim keys."""
    return _text(line, _COLOURS.get(line["level"], "{}"), _DIM)


def _text(line: Line, of_level: str, of_key: str) -> bytes:
    shown = dict(line)
    seconds, level, event = (shown.pop(key) for key in _HEAD)
    moment = datetime.fromtimestamp(seconds, UTC)
    exception = shown.pop("exception", "")
    head = f"{moment:%H:%M:%S} {of_level.format(level)} {_escaped(event)}"
    rest = "".join(f" {of_key.format(key + '=')}{_shown(value)}" for key, value in shown.items())
    trace = "".join(f"\n  {_escaped(part)}" for part in exception.splitlines())
    return f"{head}{rest}{trace}\n".encode(errors="backslashreplace")


def _shown(value: Any) -> str:
    """Returns the text of a value, in quotes if it could be read as several fields.

    Texts from callers must not forge fields or control the terminal.
    """
    text = str(value)
    if text.isprintable() and not _AMBIGUOUS.search(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _escaped(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
