"""Discovery: the servers behind the host name of an upstream."""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

Addresses: TypeAlias = tuple[str, ...]
"""The IP addresses of one server."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host name; raises OSError."""


async def servers(url: str, resolve: Resolve) -> Sequence[Addresses]:
    """Returns the servers behind a URL, each by its addresses; each one is a replica.

    A name with several addresses of a family stands for several servers, like a headless Service
    of Kubernetes. A name with one address of each family is one server. A host that is not such a
    name is one server without addresses.

    Raises:
        OSError: the name cannot be resolved.
    """
    host = urlsplit(url).hostname or ""
    if not host or host == "localhost" or host.endswith(".localhost") or _address(host):
        return ((),)
    found = [ip for text in await resolve(host) if (ip := _address(text))]
    families = [sorted({ip for ip in found if ip.version == version}) for version in (4, 6)]
    most = max(families, key=len)
    if len(most) > 1:
        return tuple((str(ip),) for ip in most)
    return (tuple(str(ip) for family in families for ip in family),)


def _address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
