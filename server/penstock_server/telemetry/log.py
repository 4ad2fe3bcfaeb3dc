"""Logs: one JSON object a line, or one readable line on a terminal, on standard error."""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "text")


class JsonFormatter(logging.Formatter):
    """Writes a record and its `fields` as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        return orjson.dumps(_document(record, self), default=str).decode()


class TextFormatter(logging.Formatter):
    """Writes a record and its `fields` for a person."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        document = _document(record, self)
        head = f"{str(document.pop('time'))[11:19]} {document.pop('level')}"
        traceback = f"\n{document.pop('exception')}" if "exception" in document else ""
        rest = " ".join(f"{key}={_shown(v)}" for key, v in document.items() if key != "event")
        return f"{head} {document['event']} {rest}".rstrip() + traceback


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Sends the logs of this process to a stream, standard error if none is given."""
    out = sys.stderr if stream is None else stream
    text = form == "text" or (form == "auto" and out.isatty())
    handler = logging.StreamHandler(out)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logger = logging.getLogger("penstock")
    logger.handlers = [handler]
    set_level(level)
    logger.propagate = False
    # Not asked for in any line; finding them out takes half of what a line costs.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # where in the source it was logged: so says Python's documentation


def set_level(level: str) -> None:
    """Changes the least severity that is logged."""
    logging.getLogger("penstock").setLevel(level.upper())


def _shown(value: Any) -> str:
    """Returns a value's text; what callers send must not steer the terminal."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _document(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    seconds, part = divmod(record.created, 1)
    document = {
        "time": f"{_second(int(seconds))}.{int(part * 1000):03}+00:00",
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        **{key: value for key, value in fields.items() if value not in ("", None)},
    }
    if record.exc_info:
        document["exception"] = formatter.formatException(record.exc_info)
    return document
