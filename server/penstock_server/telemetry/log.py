"""The log: lines of JSON, or readable lines on a terminal, on standard error."""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from time import time
from typing import Any

import orjson

from penstock_server.telemetry.output import Output

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "text")
# asyncio's logger reports errors that nothing else catches.
_LOGGERS = ("penstock", "asyncio")

# How long the process waits at its end for the reader of its log.
_LAST_LINES_S = 1.0
_AMBIGUOUS = re.compile(r"""[\s="'\\]|^$""")

Line = dict[str, Any]


class Lines(logging.Handler):
    """Writes each record as a line, with those of its `fields` that have a value.

    Lines that the reader has no room for are dropped and counted; a later line has the number.

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
        self._dropped = 0
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line of a record."""
        given = getattr(record, "fields", {})
        fields = {key: value for key, value in given.items() if value is not None and value != ""}
        if record.exc_info:
            fields["exception"] = self._exceptions.formatException(record.exc_info)
        self.write(record.created, record.levelname.lower(), record.getMessage(), fields)

    def write(self, created: float, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Writes a line."""
        line = self._line(created, level, event, fields)
        with self._lock:
            if self._dropped:
                self._report_dropped(created)
            if self._dropped or not self._output.write(line):
                self._dropped += 1
                self.dropped += 1

    def close(self) -> None:
        """Gives the reader a moment to read the last lines."""
        with self._lock:
            self._output.flush(_LAST_LINES_S)
            if self._dropped:
                self._report_dropped(time())
        super().close()

    def _report_dropped(self, created: float) -> None:
        line = self._line(created, "warning", "log lines dropped", {"lines": self._dropped})
        if self._output.write(line):
            self._dropped = 0

    def _line(self, created: float, level: str, event: str, fields: Mapping[str, Any]) -> bytes:
        second = int(created)
        moment = f"{_second(second)}.{int((created - second) * 1000):03}+00:00"
        return self._written({"time": moment, "level": level, "event": event, **fields})


_lines: Lines | None = None


def configure(level: str, form: str, descriptor: int = 2) -> None:
    """Sends the log of this process to a file descriptor, by default standard error."""
    global _lines
    text = form == "text" or (form == "auto" and os.isatty(descriptor))
    _lines = Lines(Output(descriptor), _readable if text else _json)
    for logger in map(logging.getLogger, _LOGGERS):
        logger.handlers = [_lines]
        logger.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    """Sets the lowest severity that is logged."""
    logging.getLogger("penstock").setLevel(level.upper())


def lines_dropped() -> int:
    """Returns the number of lines that were dropped so far."""
    return _lines.dropped if _lines else 0


def info(logger: logging.Logger, event: str, fields: Mapping[str, Any]) -> None:
    """Logs a frequent event.

    Once the log is configured, this skips `logging`, whose record would cost more than the line.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    if not _lines:
        logger.info(event, extra={"fields": fields})
        return
    _lines.write(time(), "info", event, fields)


def _json(line: Line) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # faster than to pass a default each time
        return json.dumps(line, default=str, separators=(",", ":")).encode() + b"\n"


def _readable(line: Line) -> bytes:
    """Returns a readable line, followed by an indented exception if there is one."""
    head = f"{line.pop('time')[11:19]} {line.pop('level')} {_escaped(line.pop('event'))}"
    exception = line.pop("exception", "")
    rest = "".join(f" {key}={_shown(value)}" for key, value in line.items())
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


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
