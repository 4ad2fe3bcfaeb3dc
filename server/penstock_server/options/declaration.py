"""The declaration of options: fields of a dataclass, each with its reader and its description."""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from penstock_server.options.toml_lines import Key

S = TypeVar("S")


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
        heading: the heading of the group that begins with this option; empty within a group.
    """

    help: str
    parse: Callable[[Any], Any]
    metavar: str
    flag: str = ""
    secret: bool = False
    many: bool = False
    whole: bool = False
    live: bool = False
    heading: str = ""

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
    heading: str = "",
) -> Any:
    """Returns the dataclass field of an option; the default `...` makes it required."""
    metadata = {"option": Option(help, parse, metavar, flag, secret, many, whole, live, heading)}
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
    values = read_options(options(settings), content)
    for known in dataclasses.fields(settings):  # type: ignore[arg-type]
        needed = (known.default, known.default_factory) == (dataclasses.MISSING,) * 2
        if needed and known.name not in values:
            raise Unusable(f"needs the key {known.name}")
    return settings(**values)


def read_options(known: Mapping[str, Option], content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a table's keys.

    Raises:
        Unusable: a key is unknown, or its value cannot be used.
    """
    values: dict[str, Any] = {}
    for name, raw in content.items():
        if name not in known:
            raise unknown_key(name, known)
        try:
            values[name] = known[name].read(raw)
        except Unusable as error:
            raise error.below(name) from error
    return values


def unknown_key(name: str, known: Iterable[str]) -> Unusable:
    """Returns the error of a key that is unknown; it suggests the most similar known one."""
    alike = difflib.get_close_matches(name, known, 1)
    return Unusable(f"unknown key; did you mean {alike[0]}?" if alike else "unknown key", (name,))
