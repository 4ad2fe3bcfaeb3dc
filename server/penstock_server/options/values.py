"""The readers of options' values: each converts text, or a value of TOML, or raises ValueError."""

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from penstock_server.options.declaration import Unusable

E = TypeVar("E", bound=StrEnum)

# The kernel's limit, without the terminating zero.
_LONGEST_SOCKET_PATH = 107
# gRPC's options are signed 32-bit integers.
_LARGEST_MESSAGE = 2**31 - 1


def address(value: Any) -> str:
    """Reads HOST:PORT, or unix:/PATH."""
    given = text(value)
    if given.startswith("unix:"):
        return f"unix:{socket_path(given.removeprefix('unix:').removeprefix('//'))}"
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:50051, or unix:/PATH")
    return given


def socket_path(value: str) -> str:
    """Reads the path of a Unix socket."""
    if not PurePosixPath(value).is_absolute() or not PurePosixPath(value).name:
        raise ValueError("must name a socket by its absolute path, such as unix:/run/vllm.sock")
    if len(value.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(
            f"must not be longer than {_LONGEST_SOCKET_PATH} bytes, the limit of a socket's path"
        )
    return value


def http_path(value: Any) -> str:
    """Reads the path of an HTTP route."""
    given = text(value)
    if not (given.isascii() and given.isprintable()) or " " in given or not given[:1] == "/":
        raise ValueError("must be the path of a route, such as /health")
    return given


def text(value: Any) -> str:
    """Reads a text."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def page_url(value: Any) -> str:
    """Reads the URL of a page, without an anchor."""
    given = text(value)
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError("is not the http or https URL of a page, without an anchor")
    return given


def texts_by_name(value: Any) -> Mapping[str, str]:
    """Reads a table of texts, or a list of NAME=TEXT."""
    if not isinstance(value, Mapping | list):
        raise ValueError("must be a table")
    pairs = value.items() if isinstance(value, Mapping) else map(_pair, value)
    read: dict[str, str] = {}
    for name, given in pairs:
        if not isinstance(given, str) or not given:
            raise Unusable("must be text that is not empty", (name,))
        if name in read:
            raise Unusable("is given twice", (name,))
        read[name] = given
    return read


def _pair(value: Any) -> tuple[str, str]:
    name, _, given = text(value).partition("=")
    if not name.strip() or not given.strip():
        raise Unusable(f"{value!r} must be NAME=VALUE")
    return name.strip(), given.strip()


def key(value: Any) -> str:
    """Reads a key that is sent in an HTTP header."""
    given = text(value)
    if not (given.isascii() and given.isprintable()) or given != given.strip():
        raise ValueError("must be printable ASCII, with no space around it")
    return given


def seconds(value: Any) -> float:
    """Reads a time in seconds, 0 or more."""
    try:
        given = float(value)
    except (TypeError, ValueError):
        given = -1.0
    if not 0 <= given < 1e9 or isinstance(value, bool):
        raise ValueError("must be a number of seconds")
    return given


def interval(value: Any) -> float:
    """Reads a time in seconds, above 0."""
    if not (given := seconds(value)):
        raise ValueError("must be above 0")
    return given


def share(value: Any) -> float:
    """Reads a share of a whole, from 0 to 1."""
    try:
        given = float(value)
    except (TypeError, ValueError):
        given = -1.0
    if not 0 <= given <= 1 or isinstance(value, bool):
        raise ValueError("must be a number from 0 to 1")
    return given


def positive(value: Any) -> int:
    """Reads a whole number above 0."""
    if (number := natural(value)) < 1:
        raise ValueError("must be above 0")
    return number


def message_size(value: Any) -> int:
    """Reads a number of bytes above 0 that gRPC can count."""
    if (number := positive(value)) > _LARGEST_MESSAGE:
        raise ValueError(f"must not be above {_LARGEST_MESSAGE}")
    return number


def countable(value: Any) -> int:
    """Reads a whole number, 0 or more, that gRPC can count."""
    # gRPC aborts at its largest integer.
    if (number := natural(value)) >= _LARGEST_MESSAGE:
        raise ValueError(f"must be below {_LARGEST_MESSAGE}")
    return number


def worker_count(value: Any) -> int:
    """Reads a number of processes above 0, or `auto` for the number of usable cores."""
    return len(os.sched_getaffinity(0)) if value == "auto" else positive(value)


def natural(value: Any) -> int:
    """Reads a whole number, 0 or more."""
    given = str(value)
    if not given.isdecimal() or isinstance(value, float):
        raise ValueError("must be a whole number")
    return int(given)


def switch(value: Any) -> bool:
    """Reads true or false."""
    known = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    if str(value).lower() not in known:
        raise ValueError("must be true or false")
    return known[str(value).lower()]


def logged_calls(value: Any) -> str:
    """Reads which calls are logged."""
    sampled, _, number = str(value).partition(":")
    if value not in ("all", "failed") and (
        sampled != "sampled" or not number.isdecimal() or not int(number)
    ):
        raise ValueError("must be all, failed or sampled:N, with a whole number above 0")
    return str(value)


def one_of(*names: str) -> Callable[[Any], str]:
    """Returns a function that reads one of several words."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return parse


def member_of(kind: type[E]) -> Callable[[Any], E]:
    """Returns a function that reads a member of an enumeration."""
    read = one_of(*kind)
    return lambda value: kind(read(value))


def unless_off(parse: Callable[[Any], str]) -> Callable[[Any], str]:
    """Returns a function that also accepts `off`, which it reads as an empty text."""

    def read(value: Any) -> str:
        return "" if value in ("", "off") else parse(value)

    return read
