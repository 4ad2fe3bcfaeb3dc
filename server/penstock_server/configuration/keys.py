"""The file of the keys of callers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock_server.options import (
    ConfigFile,
    SettingsError,
    Unusable,
    key,
    option,
    positive,
    read_table,
    text,
)

_TABLES = "key"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a caller.

    Attributes:
        name: its name in the log and in `QuotaFailure`.
        sha256: the digest of the secret, which itself is not kept.
        models: the names of permitted models, or shell-style patterns (`*`, `?`, `[a-z]`); empty
            for all.
        requests_per_minute: the number of permitted calls; None for no limit.
    """

    name: str
    sha256: bytes = field(repr=False)
    models: tuple[str, ...] = ()
    requests_per_minute: int | None = None


def _name(value: Any) -> str:
    given = text(value)
    if not 0 < len(given) <= _LONGEST_NAME or not given.isprintable():
        raise ValueError(f"must be 1 to {_LONGEST_NAME} printable characters")
    return given


def _digest(value: Any) -> bytes:
    given = bytes.fromhex(value) if isinstance(value, str) else b""
    if len(given) != hashlib.sha256().digest_size:
        raise ValueError("must be the 64 hexadecimal digits of a SHA-256 digest")
    return given


def _models(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise Unusable("must be a list of names; omit it to permit every model")
    if not all(isinstance(name, str) and name for name in value):
        raise Unusable("must be a list of names that are not empty")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class _Table:
    name: str = option(..., "Name of the caller in the log.", _name, "NAME")
    secret: str = option("", "Secret that the caller sends.", key, "SECRET", secret=True)
    sha256: bytes = option(
        b"", "SHA-256 digest of the secret, instead of the secret.", _digest, "HEX", secret=True
    )
    models: tuple[str, ...] = option(
        (), "Models that the key permits, or patterns.", _models, "MODEL", many=True, whole=True
    )
    requests_per_minute: int | None = option(
        None, "Calls per minute that the key permits.", positive, "NUMBER"
    )


def read_keys(path: str) -> tuple[Key, ...]:
    """Returns the keys of a TOML file: one `[[key]]` table for each.

    Raises:
        SettingsError: the file cannot be used; the message contains the line, and no secret.
    """
    file = ConfigFile(path)
    if unknown := sorted(file.content.keys() - {_TABLES}):
        raise SettingsError(f"{file.at(unknown[0])}: {unknown[0]}: unknown key")
    tables = file.content.get(_TABLES)
    if not isinstance(tables, list) or not tables:
        raise SettingsError(f"{file.at(_TABLES)}: needs a [[key]] table")
    keys: dict[str, Key] = {}
    owners: dict[bytes, str] = {}
    for number, table in enumerate(tables):
        try:
            new = _read(table)
            _require_distinct(new, keys, owners)
        except Unusable as error:
            place = file.at(_TABLES, number, *error.keys)
            raise SettingsError(f"{place}: {error.describe(_called(number, table))}") from error
        keys[new.name] = new
        owners[new.sha256] = new.name
    return tuple(keys.values())


def _read(table: Any) -> Key:
    if not isinstance(table, Mapping):
        raise Unusable("must be a table")
    given = read_table(_Table, table)
    if bool(given.secret) == bool(given.sha256):
        raise Unusable("needs either secret or sha256")
    digest = given.sha256 or hashlib.sha256(given.secret.encode()).digest()
    return Key(given.name, digest, given.models, given.requests_per_minute)


def _require_distinct(new: Key, keys: Mapping[str, Key], owners: Mapping[bytes, str]) -> None:
    if new.name in keys:
        raise Unusable("another key has this name")
    if new.sha256 in owners:
        raise Unusable(f"{owners[new.sha256]} has the same secret")


def _called(number: int, table: Any) -> str:
    name = table.get("name") if isinstance(table, Mapping) else None
    return f"key {name!r}" if isinstance(name, str) else f"key {number + 1}"
