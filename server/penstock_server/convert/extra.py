"""Upstream keys that our messages have no field for."""

from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf.struct_pb2 import Struct

from penstock_server.convert import document
from penstock_server.convert.errors import InvalidRequest, Violation


class HasExtra(Protocol):
    """A message with a field for unknown keys."""

    @property
    def extra(self) -> Struct:
        """The unknown keys."""


def keep(target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps the keys that are not known and not null; touches nothing when there are none."""
    if kept := _unknown(data, known):
        document.to_struct(target.extra, kept)


def keep_under(name: str, target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps such keys of an inner object under its name."""
    if kept := _unknown(data, known):
        document.to_struct(target.extra, {name: kept})


def _unknown(data: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    if known.issuperset(data):  # nearly always: quicker than to look at each
        return {}
    return {key: value for key, value in data.items() if key not in known and value is not None}


def add(body: dict[str, Any], given: Struct, path: str, known: frozenset[str]) -> None:
    """Adds the keys that a request gives in `extra`; `path` is that of the message.

    Raises:
        InvalidRequest: a key is known, and so has a field.
    """
    added = document.from_struct(given, f"{path}.extra")
    covered = [Violation(f"{path}.extra.{key}", "has a field") for key in added if key in known]
    if covered:
        raise InvalidRequest(*covered, conflicting=True)
    body.update(added)
