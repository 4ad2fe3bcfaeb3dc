"""Upstream keys that our messages have no field for."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from penstock.v1.common_pb2 import JsonDocument
from penstock_server.convert import document
from penstock_server.convert.errors import InvalidRequest, Violation

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What the reading of a value of an unexpected kind raises."""


class HasExtra(Protocol):
    """A message with a field for unknown keys."""

    def HasField(self, field_name: Literal["extra"], /) -> bool:
        """Whether a field is set."""

    @property
    def extra(self) -> JsonDocument:
        """The unknown keys."""


def unknown(data: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Returns the keys that are not known and not null."""
    return {key: value for key, value in data.items() if key not in known and value is not None}


def keep(target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps the keys that are not known and not null; touches nothing when there are none."""
    if known.issuperset(data):  # nearly always: quicker than to look at each
        return
    if kept := unknown(data, known):
        document.add(target.extra, kept)


def keep_under(name: str, target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps such keys of an inner object under its name."""
    if kept := unknown(data, known):
        document.add(target.extra, {name: kept})


def fill(target: HasExtra, name: str, data: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
    """Writes a field that an answer is whole without.

    A value that cannot be read is kept as it came.

    Args:
        target: the message.
        name: the name of the field and of the upstream's key.
        data: the upstream's object.
        read: returns the value of the field for that of the key.
    """
    value = data.get(name)
    if value is None:
        return
    try:
        setattr(target, name, read(value))
    except UNREADABLE:
        document.add(target.extra, {name: value})


def fill_with(
    target: HasExtra, key: str, data: Mapping[str, Any], write: Callable[[Any], None]
) -> None:
    """Has a value written that an answer is whole without; keeps it if it cannot be read."""
    value = data.get(key)
    if value is None:
        return
    try:
        write(value)
    except UNREADABLE:
        document.add(target.extra, {key: value})


def text(value: Any) -> str:
    """Returns a text; integers stand for their digits.

    Raises:
        TypeError: the value is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a text")
    return str(value)


def add(item: HasExtra, body: dict[str, Any], path: str, known: frozenset[str]) -> None:
    """Adds the keys that a request gives in `extra` to the JSON of a message.

    Args:
        item: the message.
        body: its JSON.
        path: the path of the message.
        known: the keys that fields stand for.

    Raises:
        InvalidRequest: a key is known, and so has a field.
    """
    if not item.HasField("extra"):
        return
    added = document.members(item.extra, f"{path}.extra")
    covered = [Violation(f"{path}.extra.{key}", "has a field") for key in added if key in known]
    if covered:
        raise InvalidRequest(*covered, conflicting=True)
    body.update(added)
