"""Reads `x-forwarded-client-cert`: the certificates of callers, as proxies report them.

Every proxy appends an element with the certificate of its own peer, or replaces the value. The
grammar is Envoy's: elements are separated by commas, their pairs by semicolons; values with these
characters are quoted.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

KEY = "x-forwarded-client-cert"

Identities: TypeAlias = tuple[str, ...]
"""The identities in one certificate: its SPIFFE id, if it has one, and its DNS names."""

# No part can match the same text in two ways, so matching takes linear time.
_PAIR = re.compile(
    r"""[ ]*(?P<key>[A-Za-z]+)="""
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^",;]*))(?P<end>[,;]|\Z)"""
)


def identities(uris: Sequence[str], dns_names: Sequence[str]) -> Identities:
    """Returns the identities in a certificate: of several URIs, none is a SPIFFE id.

    A DNS name that looks like a SPIFFE id does not count, nor the reverse.
    """
    spiffe_ids = [uri for uri in uris if len(uris) == 1 and uri.startswith("spiffe://")]
    return (*spiffe_ids, *(name.lower() for name in dns_names if "/" not in name))


@lru_cache(maxsize=256)
def read(value: str) -> tuple[Identities, ...]:
    """Returns the identities in each element, that of the nearest proxy last.

    Raises:
        ValueError: the value is malformed.
    """
    elements: list[Identities] = []
    found: dict[str, list[str]] = {"uri": [], "dns": []}
    at, end = 0, ","
    while end:
        pair = _PAIR.match(value, at)
        if not pair:
            raise ValueError("malformed")
        key, at, end = pair["key"].lower(), pair.end(), pair["end"]
        if key in found and (name := pair["quoted"] or pair["plain"]):
            found[key].append(name)
        if end != ";":
            elements.append(identities(found["uri"], found["dns"]))
            found = {"uri": [], "dns": []}
    return tuple(elements)
