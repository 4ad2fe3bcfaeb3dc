"""Upstream keys that our messages have no field for."""

from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf.struct_pb2 import Struct

from penstock_server.convert import document


class HasExtra(Protocol):
    """A message with a field for unknown keys."""

    @property
    def extra(self) -> Struct:
        """The unknown keys."""


def keep(target: HasExtra, data: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keeps the keys that are not known and not null; touches nothing when there are none."""
    unknown = data.keys() - known
    if not unknown:
        return
    kept = {key: data[key] for key in sorted(unknown) if data[key] is not None}
    if kept:
        document.to_struct(target.extra, kept)
