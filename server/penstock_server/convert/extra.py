"""Upstream keys without a field in our messages."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from penstock.v1.common_pb2 import JsonDocument
from penstock_server.convert import document
from penstock_server.convert.errors import UNREADABLE, InvalidRequest, Violation


class HasExtra(Protocol):
    """A message with a field for unknown keys, `extra`."""

    def HasField(self, field_name: Literal["extra"], /) -> bool:
        """Returns whether a field is set."""

    @property
    def extra(self) -> JsonDocument:
        """The unknown keys."""


def unknown(data: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Returns the keys that are neither known nor null."""
    return {key: value for key, value in data.items() if key not in known and value is not None}


def keep(target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps the keys that are neither known nor null in `extra`, which stays unset without any."""
    if known.issuperset(data):  # true for nearly every object, and faster than a loop
        return
    if kept := unknown(data, known):
        document.add(target.extra, kept)


def keep_under(name: str, target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps the keys of an inner object that are neither known nor null under its name."""
    if known.issuperset(data):
        return
    if kept := unknown(data, known):
        document.add_under(name, target.extra, kept)


def fill(target: HasExtra, name: str, data: Mapping[str, Any], read: Callable[[Any], Any]) -> None:
    """Writes a field that an answer can do without; a value that cannot be read goes to `extra`.

    Args:
        target: the message.
        name: the name of the field and of the upstream's key.
        data: the upstream's object.
        read: converts the upstream's value to that of the field.
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
    """Calls `write` with a value that an answer can do without; keeps it if that fails."""
    value = data.get(key)
    if value is None:
        return
    try:
        write(value)
    except UNREADABLE:
        document.add(target.extra, {key: value})


def text(value: Any) -> str:
    """Returns a text, or the digits of an integer.

    Raises:
        TypeError: the value is neither a text nor an integer.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a text")
    return str(value)


def add(
    item: HasExtra, body: dict[str, Any], path: str, known: frozenset[str], *, inner: str = ""
) -> None:
    """Adds the keys that a request gives in `extra` to the JSON of a message.

    Args:
        item: the message.
        body: its JSON.
        path: the path of the message.
        known: the keys that have a field.
        inner: the key of an object in the JSON whose unknown keys are under it in `extra`, too.

    Raises:
        InvalidRequest: a key has a field.
    """
    if not item.HasField("extra"):
        return
    added = document.members(item.extra, f"{path}.extra")
    nested = added.pop(inner) if isinstance(added.get(inner), dict) else {}
    covered = [key for key in added if key in known]
    covered += [f"{inner}.{key}" for key in nested if key in body[inner]]
    if covered:
        places = (f"{path}.extra.{key}" for key in covered)
        raise InvalidRequest(*(Violation(one, "use its field") for one in places), conflicting=True)
    body.update(added)
    if nested:
        body[inner] |= nested
