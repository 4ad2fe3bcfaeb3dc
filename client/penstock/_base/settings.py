"""How a client is set up: arguments first, then the environment, then defaults."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias
from uuid import uuid4

from penstock.channel import DEFAULT_RETRIES, DEFAULT_TARGET, TLS

DEFAULT_TIMEOUT_S = 600.0
LONGEST_S = 1e9
"""Seconds after which nobody waits; gRPC takes deadlines after the year 2262 for passed ones."""
REQUEST_ID = "x-request-id"

MetadataLike: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str | bytes]]
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_PREFIX = "PENSTOCK_"
_KEY = re.compile(r"[0-9a-z_.-]+")
_YES = ("1", "true", "on", "yes")
_NO = ("0", "false", "off", "no", "")


class Unset(Enum):
    """Says that an argument for which None means something was not given."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that both clients take; see `penstock.Client`."""

    target: str
    api_key: str = field(repr=False)
    tls: TLS | None
    timeout: float | None
    retries: int
    metadata: Metadata

    @classmethod
    def resolve(
        cls,
        target: str | None,
        api_key: str | None,
        tls: TLS | bool | None,
        timeout: float | Unset | None,
        retries: int | None,
        metadata: MetadataLike,
        environment: Mapping[str, str] = os.environ,
    ) -> "Settings":
        """Fills in from the environment what was not given.

        Raises:
            ValueError: the target is a URL, a variable makes no sense, or the key or a pair of the
                metadata cannot be sent.
            TypeError: a value of the metadata is neither text nor bytes.
        """
        found = {
            name.removeprefix(_PREFIX): value.strip()
            for name, value in environment.items()
            if name.startswith(_PREFIX)
        }
        return cls(
            target=_target(target or found.get("TARGET") or DEFAULT_TARGET),
            api_key=_api_key(found.get("API_KEY", "") if api_key is None else api_key),
            tls=_tls(tls, found),
            timeout=_timeout(found) if isinstance(timeout, Unset) else timeout,
            retries=_retries(found) if retries is None else retries,
            metadata=pairs(metadata),
        )

    def call_metadata(self, more: MetadataLike, request_id: str) -> Metadata:
        """Returns the metadata of one call; the last pair named x-request-id is its name.

        Raises:
            ValueError: a pair cannot be sent.
            TypeError: a value is neither text nor bytes.
        """
        key = (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()
        given = (*self.metadata, *key, *pairs(more))
        if not request_id and any(name == REQUEST_ID for name, _ in given):
            return given
        return (*given, *pairs({REQUEST_ID: request_id or uuid4().hex}))


def pairs(metadata: MetadataLike) -> Metadata:
    """Returns metadata as gRPC takes it, keys in lower case.

    Raises:
        ValueError: gRPC cannot send a pair.
        TypeError: a value is neither text nor bytes.
    """
    given = metadata.items() if isinstance(metadata, Mapping) else metadata
    return tuple(_pair(key.lower(), value) for key, value in given)


def _pair(key: str, value: str | bytes) -> tuple[str, str | bytes]:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of metadata: letters, digits and any of _.- only")
    if not isinstance(value, bytes if key.endswith("-bin") else str | bytes):
        wanted = "bytes" if key.endswith("-bin") else "text"
        raise TypeError(f"the value of {key!r} in the metadata is not {wanted}")
    if key.endswith("-bin"):
        return key, value
    text = value if isinstance(value, str) else value.decode("latin-1")
    if not _can_be_sent(text):
        raise ValueError(f"the value of {key!r} in the metadata is not printable ASCII")
    return key, text


def _can_be_sent(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _target(given: str) -> str:
    if given.startswith(("http://", "https://")):
        raise ValueError(f"{given!r} is a URL; give host:port, and tls=True for TLS")
    return given


def _api_key(given: str) -> str:
    """Returns the key, which no complaint shows."""
    if given != given.strip():
        raise ValueError("the API key begins or ends with white space, perhaps a line break")
    if not _can_be_sent(given):
        raise ValueError("the API key is not printable ASCII")
    return given


def _tls(given: TLS | bool | None, found: Mapping[str, str]) -> TLS | None:
    if isinstance(given, TLS) or given is False:
        return given or None
    ca, cert, key = (found.get(f"TLS_{name}") or None for name in ("CA", "CERT", "KEY"))
    word = found.get("TLS", "").lower()
    if not given and word not in _YES + _NO:
        raise ValueError(f"{_PREFIX}TLS is {word!r}; say 1 or 0")
    wanted = given or word in _YES or (not word and (ca or cert or key))
    return TLS(ca, cert, key) if wanted else None


def _timeout(found: Mapping[str, str]) -> float | None:
    given = found.get("TIMEOUT") or DEFAULT_TIMEOUT_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{_PREFIX}TIMEOUT is {given!r}; give seconds, 0 for none")
    return seconds or None


def _retries(found: Mapping[str, str]) -> int:
    given = found.get("RETRIES") or str(DEFAULT_RETRIES)
    if not given.isdecimal():
        raise ValueError(f"{_PREFIX}RETRIES is {given!r}; give a number")
    return int(given)
