"""The file of callers: their identities, permissions and limits."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock_server.configuration.identities import dns_name, spiffe_id
from penstock_server.options import (
    ConfigFile,
    SettingsError,
    Unusable,
    key,
    option,
    positive,
    read_table,
    switch,
    text,
    unknown_key,
)

_TABLES = "caller"
_LONGEST_NAME = 64
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, as the file describes it.

    Attributes:
        name: its name in the log and in `QuotaFailure`.
        keys: the digests of its keys, which themselves are not kept.
        spiffe_ids: the SPIFFE ids of its certificates.
        dns_names: the DNS names of its certificates.
        models: the names of permitted models, or shell-style patterns (`*`, `?`, `[a-z]`); empty
            for all.
        methods: permitted methods as SERVICE/METHOD, or patterns; empty for all.
        calls_per_minute: the number of permitted calls; None for no limit.
        concurrent_calls: the number of calls that may run at once; None for no limit.
        tokens_per_minute: the number of tokens that calls may use; None for no limit.
        admin: whether it may use AdminService where that requires a caller.
    """

    name: str
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    spiffe_ids: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    calls_per_minute: int | None = None
    concurrent_calls: int | None = None
    tokens_per_minute: int | None = None
    admin: bool = False

    @property
    def identities(self) -> tuple[bytes | str, ...]:
        """All that identifies it: digests of keys, SPIFFE ids, DNS names."""
        return (*self.keys, *self.spiffe_ids, *self.dns_names)


def _name(value: Any) -> str:
    given = text(value)
    if not 0 < len(given) <= _LONGEST_NAME or not given.isprintable():
        raise ValueError(f"must be 1 to {_LONGEST_NAME} printable characters")
    return given


def _key(value: Any) -> str:
    if not (given := key(value)):
        raise ValueError("must not be empty")
    return given


def _digest(value: Any) -> bytes:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError("must be the 64 hexadecimal digits of a SHA-256 digest")
    return bytes.fromhex(value)


def _models(value: Any) -> tuple[str, ...]:
    return _patterns(value, "model")


def _methods(value: Any) -> tuple[str, ...]:
    given = tuple(one.removeprefix("/") for one in _patterns(value, "method"))
    if bad := [one for one in given if one.count("/") != 1]:
        raise Unusable(
            f"{bad[0]!r} must be SERVICE/METHOD, such as penstock.v1.ChatCompletionService/*"
        )
    return given


def _patterns(value: Any, of: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise Unusable(f"must be a list of names; omit it to permit every {of}")
    if not all(isinstance(name, str) and name for name in value):
        raise Unusable("must be a list of names that are not empty")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class CallerTable:
    """A `[[caller]]` table: this is the whole list of its keys."""

    name: str = option(..., "Name in the log, in metrics and in errors.", _name, "NAME")
    keys: tuple[str, ...] = option(
        (), "API keys, any of which identifies the caller.", _key, "KEY", secret=True, many=True
    )
    keys_sha256: tuple[bytes, ...] = option(
        (),
        "SHA-256 digests of API keys, in hexadecimal; readers of the file then cannot use the "
        "keys.",
        _digest,
        "HEX",
        secret=True,
        many=True,
    )
    spiffe_ids: tuple[str, ...] = option(
        (),
        "SPIFFE ids of certificates, any of which identifies the caller.",
        spiffe_id,
        "ID",
        many=True,
    )
    dns_names: tuple[str, ...] = option(
        (),
        "DNS names of certificates, any of which identifies the caller.",
        dns_name,
        "NAME",
        many=True,
    )
    models: tuple[str, ...] = option(
        (),
        "Models that it may use, or patterns; default: all.",
        _models,
        "MODEL",
        many=True,
        whole=True,
    )
    methods: tuple[str, ...] = option(
        (),
        "Methods that it may call, or patterns such as penstock.v1.ChatCompletionService/*; "
        "default: all.",
        _methods,
        "SERVICE/METHOD",
        many=True,
        whole=True,
    )
    calls_per_minute: int | None = option(
        None,
        "Most calls per minute, which may arrive at once; default: no limit.",
        positive,
        "NUMBER",
    )
    concurrent_calls: int | None = option(
        None, "Most calls that run at once; default: no limit.", positive, "NUMBER"
    )
    tokens_per_minute: int | None = option(
        None,
        "Most input and output tokens per minute, counted when a call ends; default: no limit.",
        positive,
        "NUMBER",
    )
    admin: bool = option(
        False, "Whether it may use AdminService where that requires a caller.", switch, "true|false"
    )


def read_callers(path: str) -> tuple[Caller, ...]:
    """Returns the callers of a TOML file: one `[[caller]]` table for each.

    Raises:
        SettingsError: the file cannot be used; the message contains the line, and no secret.
    """
    file = ConfigFile(path)
    for name in sorted(file.content.keys() - {_TABLES}):
        raise SettingsError(f"{file.at(name)}: {name}: {unknown_key(name, [_TABLES])}")
    tables = file.content.get(_TABLES)
    if not isinstance(tables, list) or not tables:
        raise SettingsError(f"{file.at(_TABLES)}: needs a [[caller]] table")
    callers: dict[str, Caller] = {}
    owners: dict[bytes | str, str] = {}
    for number, table in enumerate(tables):
        try:
            new = _read(table)
            _require_distinct(new, callers, owners)
        except Unusable as error:
            place = file.at(_TABLES, number, *error.keys)
            raise SettingsError(f"{place}: {error.describe(_called(number, table))}") from error
        callers[new.name] = new
        owners.update(dict.fromkeys(new.identities, new.name))
    return tuple(callers.values())


def _read(table: Any) -> Caller:
    if not isinstance(table, Mapping):
        raise Unusable("must be a table")
    given = read_table(CallerTable, table)
    digests = (hashlib.sha256(one.encode()).digest() for one in given.keys)
    read = Caller(
        given.name,
        _distinct((*digests, *given.keys_sha256)),
        _distinct(given.spiffe_ids),
        _distinct(given.dns_names),
        given.models,
        given.methods,
        given.calls_per_minute,
        given.concurrent_calls,
        given.tokens_per_minute,
        given.admin,
    )
    if not read.identities:
        raise Unusable("needs keys, keys_sha256, spiffe_ids or dns_names")
    return read


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _require_distinct(
    new: Caller, callers: Mapping[str, Caller], owners: Mapping[bytes | str, str]
) -> None:
    if new.name in callers:
        raise Unusable("another caller has this name")
    for one in new.identities:
        if one in owners:
            shared = f"the identity {one}" if isinstance(one, str) else "the same key"
            raise Unusable(f"{owners[one]} has {shared}")


def _called(number: int, table: Any) -> str:
    name = table.get("name") if isinstance(table, Mapping) else None
    return f"caller {name!r}" if isinstance(name, str) else f"caller {number + 1}"
