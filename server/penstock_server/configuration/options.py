"""Options: the fields of a dataclass, each with its reader and its description."""

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Self, TypeVar

from penstock_server.configuration.toml_lines import Key

S = TypeVar("S")
E = TypeVar("E", bound=StrEnum)

# The kernel's limit, without the terminating zero.
_LONGEST_SOCKET_PATH = 107
# gRPC's options are signed 32-bit integers.
_LARGEST_MESSAGE = 2**31 - 1


class Unusable(ValueError):
    """A value cannot be used; the message contains the reason, and the value unless it is secret.

    Attributes:
        keys: the path to the fault within the value: names in tables, positions in lists.
        retry: whether the value may become usable without a change, because it names a file.
    """

    def __init__(self, reason: str, keys: tuple[Key, ...] = (), *, retry: bool = False) -> None:
        """Creates the error.

        Args:
            reason: why the value cannot be used.
            keys: see the attribute.
            retry: see the attribute.
        """
        super().__init__(reason)
        self.keys = keys
        self.retry = retry

    def below(self, key: Key) -> Self:
        """Returns the error for the table or list that contains the value at a key."""
        return type(self)(str(self), (key, *self.keys), retry=self.retry)

    def describe(self, name: str) -> str:
        """Returns the error as a line about the option of a name."""
        return f"{'.'.join([name, *(key for key in self.keys if isinstance(key, str))])}: {self}"


class Unrequested(str):
    """The default of an address that the service can do without."""


class UnusableFile(ValueError):
    """A file that a value names cannot be read, or its content cannot be used."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option, without its default.

    Attributes:
        help: its description, one sentence.
        parse: converts text (or a TOML value) to the option's value; raises ValueError.
        metavar: the placeholder of the value in the help.
        flag: the flag, if it does not follow from the name.
        secret: whether the value is never shown.
        many: whether the flag can be given more than once; the environment separates by commas.
        whole: whether `parse` converts all values at once.
        live: whether a reload applies a change.
    """

    help: str
    parse: Callable[[Any], Any]
    metavar: str
    flag: str = ""
    secret: bool = False
    many: bool = False
    whole: bool = False
    live: bool = False

    def read(self, raw: Any) -> Any:
        """Returns the option's value.

        Raises:
            Unusable: the raw value cannot be used.
        """
        if not self.many:
            return self._parsed(raw)
        given = [raw] if isinstance(raw, str) else raw
        if self.whole:
            return self._parsed(given)
        if not isinstance(given, list) or not given:
            raise Unusable("must be a list that is not empty")
        return tuple(self._parsed(item) for item in given)

    def _parsed(self, raw: Any) -> Any:
        try:
            return self.parse(raw)
        except Unusable:
            raise
        except (TypeError, ValueError) as error:
            shown = isinstance(raw, str | int | float) and not self.secret
            text = f"{raw!r} {error}" if shown else str(error)
            raise Unusable(text, retry=isinstance(error, UnusableFile)) from error


def option(
    default: Any,
    help: str,
    parse: Callable[[Any], Any],
    metavar: str,
    *,
    flag: str = "",
    secret: bool = False,
    many: bool = False,
    whole: bool = False,
    live: bool = False,
) -> Any:
    """Returns the dataclass field of an option; the default `...` makes it required."""
    metadata = {"option": Option(help, parse, metavar, flag, secret, many, whole, live)}
    if default is ...:
        return field(metadata=metadata)
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def options(settings: type) -> dict[str, Option]:
    """Returns the options of a dataclass by name, in order."""
    return {f.name: f.metadata["option"] for f in dataclasses.fields(settings)}


def shown(settings: Any) -> dict[str, Any]:
    """Returns the effective options for the log, with secrets hidden."""
    return {
        name: "(hidden)" if known.secret and value else _shown(value)
        for name, known in options(type(settings)).items()
        if (value := getattr(settings, name)) is not None
    }


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    are_options = all("option" in known.metadata for known in dataclasses.fields(value))
    return shown(value) if are_options else str(value)


def read_table(settings: type[S], content: Mapping[str, Any]) -> S:
    """Returns the dataclass of options that a table of a file sets.

    Raises:
        Unusable: a key is unknown or missing, or its value cannot be used.
    """
    values = read_keys(options(settings), content)
    for known in dataclasses.fields(settings):  # type: ignore[arg-type]
        needed = (known.default, known.default_factory) == (dataclasses.MISSING,) * 2
        if needed and known.name not in values:
            raise Unusable(f"needs the key {known.name}")
    return settings(**values)


def read_keys(known: Mapping[str, Option], content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a table's keys.

    Raises:
        Unusable: a key is unknown, or its value cannot be used.
    """
    values: dict[str, Any] = {}
    for name, raw in content.items():
        if name not in known:
            raise Unusable(f"unknown key{_alike(name, known)}", (name,))
        try:
            values[name] = known[name].read(raw)
        except Unusable as error:
            raise error.below(name) from error
    return values


def _alike(name: str, known: Iterable[str]) -> str:
    alike = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {alike[0]}?" if alike else ""


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
