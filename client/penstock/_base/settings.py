"""Settings of a client: arguments first, then environment variables, then defaults."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, TypeAlias
from uuid import uuid4

from penstock.channel import DEFAULT_RETRIES, DEFAULT_TARGET, TLS

DEFAULT_TIMEOUT_S = 600.0
LONGEST_S = 1e9
"""Longest timeout in seconds; gRPC treats deadlines after the year 2262 as already passed."""
REQUEST_ID = "x-request-id"

MetadataLike: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str | bytes]]
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_PREFIX = "PENSTOCK_"
_KEY = re.compile(r"[0-9a-z_.-]+")
_YES = ("1", "true", "on", "yes")
_NO = ("0", "false", "off", "no", "")


class Unset(Enum):
    """Marks an argument as not given where None is a valid value."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that both clients accept; see `penstock.Client`."""

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
        """Completes the arguments with values from the environment and defaults.

        Raises:
            ValueError: the target is a URL or lacks its port, a variable is not valid, or the API
                key or a metadata entry cannot be sent.
            TypeError: a metadata value is neither text nor bytes.
        """
        found = {
            name.removeprefix(_PREFIX): value.strip()
            for name, value in environment.items()
            if name.startswith(_PREFIX)
        }
        encryption = _tls(tls, found)
        return cls(
            target=_target(target or found.get("TARGET") or DEFAULT_TARGET, encryption),
            api_key=_api_key(found.get("API_KEY", "") if api_key is None else api_key),
            tls=encryption,
            timeout=_timeout(found) if isinstance(timeout, Unset) else timeout,
            retries=_retries(found) if retries is None else retries,
            metadata=pairs(metadata),
        )

    def changed(
        self, timeout: float | Unset | None, api_key: str | None, metadata: MetadataLike
    ) -> "Settings":
        """Returns the settings with other values, and with more metadata.

        Raises:
            ValueError: the API key or a metadata entry cannot be sent.
            TypeError: a metadata value is neither text nor bytes.
        """
        return replace(
            self,
            timeout=self.timeout if isinstance(timeout, Unset) else timeout,
            api_key=self.api_key if api_key is None else _api_key(api_key),
            metadata=(*self.metadata, *pairs(metadata)),
        )

    def call_metadata(self, more: MetadataLike, request_id: str) -> Metadata:
        """Returns the metadata of one call; the last `x-request-id` entry is the request id.

        Raises:
            ValueError: an entry cannot be sent.
            TypeError: a value is neither text nor bytes.
        """
        key = (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()
        given = (*self.metadata, *key, *pairs(more))
        if not request_id and any(name == REQUEST_ID for name, _ in given):
            return given
        return (*given, *pairs({REQUEST_ID: request_id or uuid4().hex}))


def pairs(metadata: MetadataLike) -> Metadata:
    """Returns metadata in gRPC's form, with lower-case keys.

    Raises:
        ValueError: gRPC cannot send an entry.
        TypeError: a value is neither text nor bytes.
    """
    given = metadata.items() if isinstance(metadata, Mapping) else metadata
    return tuple(_pair(key.lower(), value) for key, value in given)


def _pair(key: str, value: str | bytes) -> tuple[str, str | bytes]:
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{key!r} is not a valid metadata key; letters, digits, '_', '.' and '-' are allowed"
        )
    if not isinstance(value, bytes if key.endswith("-bin") else str | bytes):
        wanted = "bytes" if key.endswith("-bin") else "text"
        raise TypeError(f"the metadata value of {key!r} is not {wanted}")
    if key.endswith("-bin"):
        return key, value
    text = value if isinstance(value, str) else value.decode("latin-1")
    if not _can_be_sent(text):
        raise ValueError(f"the metadata value of {key!r} is not printable ASCII")
    return key, text


def _can_be_sent(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _target(given: str, encryption: TLS | None) -> str:
    # First, since the errors below quote the target, which would contain a password.
    if "@" in given and not given.startswith("unix"):
        raise ValueError("the target must not contain credentials; set the API key instead")
    if given.startswith(("http://", "https://")):
        scheme, _, address = given.rstrip("/").partition("://")
        tls = ", and TLS (tls=True, --tls or PENSTOCK_TLS=1)" if scheme == "https" else ""
        raise ValueError(f"the target {given!r} is a URL; use host:port, such as {address!r}{tls}")
    if encryption is None and ":" not in given and "/" not in given:
        # gRPC would choose port 443, where no service is without TLS.
        raise ValueError(f"the target {given!r} has no port; use host:port, such as {given}:50051")
    return given


def _api_key(given: str) -> str:
    """Returns the API key after checking it; error messages never contain it."""
    if given != given.strip():
        raise ValueError("the API key begins or ends with white space, such as a line break")
    if not _can_be_sent(given):
        raise ValueError("the API key is not printable ASCII")
    return given


def _tls(given: TLS | bool | None, found: Mapping[str, str]) -> TLS | None:
    if isinstance(given, TLS) or given is False:
        return given or None
    ca, cert, key = (found.get(f"TLS_{name}") or None for name in ("CA", "CERT", "KEY"))
    word = found.get("TLS", "").lower()
    if not given and word not in _YES + _NO:
        raise ValueError(f"{_PREFIX}TLS is {word!r}; it must be 1 or 0")
    wanted = given or word in _YES or (not word and (ca or cert or key))
    return TLS(ca, cert, key) if wanted else None


def _timeout(found: Mapping[str, str]) -> float | None:
    given = found.get("TIMEOUT") or DEFAULT_TIMEOUT_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(
            f"{_PREFIX}TIMEOUT is {given!r}; it must be a number of seconds, 0 for no timeout"
        )
    return seconds or None


def _retries(found: Mapping[str, str]) -> int:
    given = found.get("RETRIES") or str(DEFAULT_RETRIES)
    if not given.isdecimal():
        raise ValueError(f"{_PREFIX}RETRIES is {given!r}; it must be a whole number")
    return int(given)
