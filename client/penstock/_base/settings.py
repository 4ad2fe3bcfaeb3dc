"""How a client is set up: arguments first, then the environment, then defaults."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from penstock.channel import DEFAULT_RETRIES, DEFAULT_TARGET, TLS

DEFAULT_TIMEOUT_S = 600.0

MetadataLike: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str | bytes]]
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]


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
            ValueError: the target is a URL, or a variable is no number.
        """
        return cls(
            target=_target(target or environment.get("PENSTOCK_TARGET") or DEFAULT_TARGET),
            api_key=environment.get("PENSTOCK_API_KEY", "") if api_key is None else api_key,
            tls=_tls(tls, environment),
            timeout=_timeout(timeout, environment),
            retries=int(environment.get("PENSTOCK_RETRIES") or DEFAULT_RETRIES)
            if retries is None
            else retries,
            metadata=pairs(metadata),
        )

    def call_metadata(self, more: MetadataLike, request_id: str) -> Metadata:
        """Returns the metadata of one call."""
        key = (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()
        named = (("x-request-id", request_id),) if request_id else ()
        return (*self.metadata, *key, *named, *pairs(more))


def pairs(metadata: MetadataLike) -> Metadata:
    """Returns metadata as gRPC takes it, keys in lower case."""
    given = metadata.items() if isinstance(metadata, Mapping) else metadata
    return tuple((key.lower(), value) for key, value in given)


def _target(given: str) -> str:
    if given.startswith(("http://", "https://")):
        raise ValueError(f"{given!r} is a URL; give host:port, and tls=True for TLS")
    return given


def _tls(given: TLS | bool | None, environment: Mapping[str, str]) -> TLS | None:
    if isinstance(given, TLS) or given is False:
        return given or None
    ca, cert, key = (environment.get(f"PENSTOCK_TLS_{name}") for name in ("CA", "CERT", "KEY"))
    wanted = given or ca or environment.get("PENSTOCK_TLS", "").lower() in ("1", "true", "on")
    return TLS(ca, cert, key) if wanted else None


def _timeout(given: float | Unset | None, environment: Mapping[str, str]) -> float | None:
    if not isinstance(given, Unset):
        return given
    seconds = float(environment.get("PENSTOCK_TIMEOUT") or DEFAULT_TIMEOUT_S)
    return seconds or None
