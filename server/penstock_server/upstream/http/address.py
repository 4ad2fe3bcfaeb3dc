"""The address of an upstream, and opening connections to it."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from socket import SOCK_STREAM
from typing import TypeVar

import httpx

from penstock_server.upstream.config import Tls
from penstock_server.upstream.http.tls import encrypt

_Protocol = TypeVar("_Protocol", bound=asyncio.BufferedProtocol)


@dataclass(frozen=True, slots=True)
class Address:
    """An address.

    Attributes:
        host: the host, whose name a certificate must bear.
        port: the port.
        tls: how to verify it; None for plain HTTP.
        pinned: an IP address of the host to connect to; empty for any that its name resolves to.
        socket: the path of a Unix socket that replaces host and port; empty for none.
    """

    host: str
    port: int
    tls: Tls | None = None
    pinned: str = ""
    socket: str = ""

    async def connect(
        self, protocol: Callable[[], _Protocol], context: ssl.SSLContext | None
    ) -> _Protocol:
        """Opens a connection.

        Raises:
            OSError: it cannot be opened; for TLS, an ssl.SSLError.
        """
        loop = asyncio.get_running_loop()
        if self.socket:
            return (await loop.create_unix_connection(protocol, self.socket))[1]
        # In create_connection, uvloop would report a lookup that fails after a cancellation.
        failures: list[OSError] = []
        for address in (self.pinned,) if self.pinned else await resolve(self.host):
            try:
                transport, connected = await loop.create_connection(protocol, address, self.port)
                if context:
                    encrypted = await encrypt(transport, connected, context, self.host)
                    connected.connection_made(encrypted)
            except OSError as failure:
                failures.append(failure)
            else:
                return connected
        raise failures[0]


async def resolve(host: str) -> Sequence[str]:
    """Returns the IP addresses of a host from the system's resolver.

    Raises:
        OSError: it has none.
        UnicodeError: the name is not valid.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def require_host(url: str) -> None:
    """Checks that the host of a URL is valid.

    Raises:
        ValueError: it is not.
    """
    try:
        # The resolver encodes a name in the same way, which limits the lengths of its labels.
        httpx.URL(url).raw_host.decode().encode("idna")
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None


@lru_cache(maxsize=64)
def tls_context(tls: Tls) -> ssl.SSLContext:
    """Returns the context of TLS connections.

    Raises:
        OSError: a file cannot be read or used.
    """
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    if tls.certificate_file:
        context.load_cert_chain(tls.certificate_file, tls.key_file or None)
    return context
