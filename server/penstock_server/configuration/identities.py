"""Readers of identities in certificates (SPIFFE ids, DNS names), and of peers."""

import re
from ipaddress import ip_network
from typing import Any

from penstock_server.options import text

UNIX_PEERS = "unix"
"""The name of all peers that connect to a Unix socket."""

_LONGEST_SPIFFE_ID = 2048
_LONGEST_DNS_NAME = 253
_SPIFFE_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)*")
# The last label is not a number, so that no name looks like an address.
_DNS_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?![0-9]+\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)


def spiffe_id(value: Any) -> str:
    """Reads a SPIFFE id."""
    given = text(value)
    if len(given) > _LONGEST_SPIFFE_ID or not _SPIFFE_ID.fullmatch(given):
        raise ValueError("must be a SPIFFE id, such as spiffe://example.org/ns/search/sa/api")
    return given


def dns_name(value: Any) -> str:
    """Reads a DNS name, without wildcards."""
    given = text(value).lower()
    if len(given) > _LONGEST_DNS_NAME or not _DNS_NAME.fullmatch(given):
        raise ValueError("must be a DNS name without wildcards, such as search.example.org")
    return given


def peer(value: Any) -> str:
    """Reads the description of a peer: an identity, a network, or `unix`."""
    given = text(value)
    if given.startswith("spiffe:"):
        return spiffe_id(given)
    if given == UNIX_PEERS:
        return given
    try:
        return str(ip_network(given))
    except ValueError:
        pass
    try:
        return dns_name(given)
    except ValueError as error:
        raise ValueError(
            "must be a SPIFFE id, a DNS name, a network such as 10.0.0.0/8, or unix"
        ) from error
