"""Options: a list of them is a dataclass, and each can be set in three ways.

The name of a field is the key in the configuration file; the flag and the environment variable
follow from it. A flag wins over the environment, the environment over the file, the file over
the default.
"""

import argparse
import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

S = TypeVar("S")


class SettingsError(Exception):
    """An option has an unusable value, or a file an unusable content."""


@dataclass(frozen=True, slots=True)
class Option:
    """What an option's field carries beside its default.

    Attributes:
        help: one sentence.
        parse: from text (or a TOML value) to the option's value; raises ValueError.
        metavar: stands for the value in the help.
        flag: the flag, where it does not follow from the name.
        secret: the value is never shown.
        many: the flag may be given more than once; the environment separates by commas.
    """

    help: str
    parse: Callable[[Any], Any]
    metavar: str
    flag: str = ""
    secret: bool = False
    many: bool = False


def option(
    default: Any,
    help: str,
    parse: Callable[[Any], Any],
    metavar: str,
    *,
    flag: str = "",
    secret: bool = False,
    many: bool = False,
) -> Any:
    """Returns the dataclass field of an option."""
    described = Option(help, parse, metavar, flag, secret, many)
    return field(default=default, metadata={"option": described})


def options(settings: type) -> dict[str, Option]:
    """Returns the options of a list by name, in order."""
    return {f.name: f.metadata["option"] for f in dataclasses.fields(settings)}


def shown(settings: Any) -> dict[str, Any]:
    """Returns effective options as they may be logged: secrets hidden."""
    return {
        name: "(hidden)" if known.secret and getattr(settings, name) else getattr(settings, name)
        for name, known in options(type(settings)).items()
    }


class OptionList(Generic[S]):
    """One command's options on the command line, in the environment and in a file."""

    def __init__(self, settings: type[S], prefix: str) -> None:
        """Takes the list, and what its environment variables begin with."""
        self._settings = settings
        self._prefix = prefix
        self._options = options(settings)

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Adds the flags, each with its three names, its default and its sentence."""
        config = f"{self._prefix}CONFIG"
        parser.add_argument(
            "--config", metavar="FILE", help=f"configuration file in TOML [environment {config}]"
        )
        for name, known in self._options.items():
            parser.add_argument(
                self._flag(name),
                dest=name,
                metavar=known.metavar,
                action="append" if known.many else "store",
                default=argparse.SUPPRESS,
                help=self._help(name),
            )

    def load(self, parsed: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> S:
        """Puts the settings together.

        Raises:
            SettingsError: a value or the file is unusable; the text names the option and its
                source.
        """
        values: dict[str, Any] = {}
        if config := parsed.config or environment.get(f"{self._prefix}CONFIG"):
            for name, raw in self._read(config).items():
                values[name] = self._parse(name, raw, f"{name} in {config}")
        for name, known in self._options.items():
            if raw := environment.get(self._variable(name)):
                split = [part.strip() for part in raw.split(",")] if known.many else raw
                values[name] = self._parse(name, split, self._variable(name))
            if name in parsed:
                values[name] = self._parse(name, getattr(parsed, name), self._flag(name))
        return self._settings(**values)

    def _flag(self, name: str) -> str:
        return self._options[name].flag or "--" + name.replace("_", "-")

    def _variable(self, name: str) -> str:
        return self._prefix + name.upper()

    def _help(self, name: str) -> str:
        default = self._settings.__dataclass_fields__[name].default  # type: ignore[attr-defined]
        known = self._options[name]
        told = ",".join(default) if known.many else str(default).lower()
        names = f"environment {self._variable(name)}, key {name}"
        return f"{known.help} [{names}, default {told or 'none'}]".replace("%", "%%")

    def _read(self, path: str) -> dict[str, Any]:
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is no TOML: {error}") from error
        if unknown := sorted(content.keys() - self._options.keys()):
            raise SettingsError(f"{path} has unknown keys: {', '.join(unknown)}")
        return content

    def _parse(self, name: str, raw: Any, source: str) -> Any:
        known = self._options[name]
        try:
            if not known.many:
                return known.parse(raw)
            return tuple(known.parse(item) for item in ([raw] if isinstance(raw, str) else raw))
        except (TypeError, ValueError) as error:
            value = "" if known.secret else f" {raw!r}"
            raise SettingsError(f"{source}:{value} {error}") from error


def url(value: Any) -> str:
    """Reads the base URL of an upstream; a trailing `/v1` is dropped."""
    given = text(value).rstrip("/")
    parts = urlsplit(given)
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise ValueError("must be written in printable ASCII, without spaces")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("is no http or https URL, such as http://localhost:8000")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials; give an API key instead")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path")
    return given.removesuffix("/v1")


def address(value: Any) -> str:
    """Reads HOST:PORT."""
    given = text(value)
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("is no HOST:PORT, such as 127.0.0.1:50051")
    return given


def text(value: Any) -> str:
    """Reads a text."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


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
    """Reads a time in seconds above 0."""
    if not (given := seconds(value)):
        raise ValueError("must be above 0")
    return given


def positive(value: Any) -> int:
    """Reads a whole number above 0."""
    if (number := natural(value)) < 1:
        raise ValueError("must be above 0")
    return number


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


def one_of(*names: str) -> Callable[[Any], str]:
    """Returns the reader of one of several words."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return parse
