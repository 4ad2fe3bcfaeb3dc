"""Logs: one JSON object a line, or one readable line on a terminal, on standard error."""

import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from time import time
from typing import Any, TextIO

import orjson

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "text")
# The event loop's own is of what nobody else tells.
_LOGGERS = ("penstock", "asyncio")

Line = dict[str, Any]


class Lines(logging.Handler):
    """Writes each record, with those of its `fields` that have a value, as a line of a stream."""

    def __init__(self, stream: TextIO, written: Callable[[Line], str]) -> None:
        """Takes the stream, and what makes the text of a line."""
        super().__init__()
        self._stream = stream
        self._written = written
        self._exceptions = logging.Formatter()
        self._lock = Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line of a record."""
        given = getattr(record, "fields", {})
        fields = {key: value for key, value in given.items() if value is not None and value != ""}
        if record.exc_info:
            fields["exception"] = self._exceptions.formatException(record.exc_info)
        try:
            self.write(record.created, record.levelname.lower(), record.getMessage(), fields)
        except Exception:
            self.handleError(record)

    def write(self, created: float, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Writes a line."""
        second = int(created)
        moment = f"{_second(second)}.{int((created - second) * 1000):03}+00:00"
        text = self._written({"time": moment, "level": level, "event": event, **fields})
        with self._lock:
            self._stream.write(f"{text}\n")
            self._stream.flush()


_lines: Lines | None = None


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Sends the logs of this process to a stream, standard error if none is given."""
    global _lines
    out = sys.stderr if stream is None else stream
    text = form == "text" or (form == "auto" and out.isatty())
    _lines = Lines(out, _readable if text else _json)
    for logger in map(logging.getLogger, _LOGGERS):
        logger.handlers = [_lines]
        logger.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    """Changes the least severity that is logged."""
    logging.getLogger("penstock").setLevel(level.upper())


def info(logger: logging.Logger, event: str, fields: Mapping[str, Any]) -> None:
    """Logs an event that there are many of.

    Where the logs go to a stream, it does so without a record of `logging`, which would cost more
    than the line itself.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    if not _lines:
        logger.info(event, extra={"fields": fields})
        return
    try:
        _lines.write(time(), "info", event, fields)
    except (OSError, ValueError):
        return  # nobody reads it any more: calls go on


def _json(line: Line) -> str:
    try:
        return orjson.dumps(line).decode()
    except TypeError:  # quicker than to name a default each time
        return orjson.dumps(line, default=str).decode()


def _readable(line: Line) -> str:
    """Returns a line for a person."""
    head = f"{line.pop('time')[11:19]} {line.pop('level')} {line.pop('event')}"
    traceback = f"\n{line.pop('exception')}" if "exception" in line else ""
    rest = " ".join(f"{key}={_shown(value)}" for key, value in line.items())
    return f"{head} {rest}".rstrip() + traceback


def _shown(value: Any) -> str:
    """Returns a value's text; what callers send must not steer the terminal."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
