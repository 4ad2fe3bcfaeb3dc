"""The address of an upstream, and opening connections to it."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from socket import AF_INET, AF_INET6, AF_UNIX, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY
from socket import socket as Socket
from typing import TypeVar

import httpx

from penstock_server.upstream.base_url import port
from penstock_server.upstream.config import Tls
from penstock_server.upstream.http.tls import encrypt

_SECURE = "https"

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

    async def open_socket(self) -> Socket:
        """Opens a connection without TLS, for a library that does the rest.

        Raises:
            OSError: it cannot be opened.
        """
        if self.socket:
            return await _open(AF_UNIX, self.socket)
        failures: list[OSError] = []
        for address in (self.pinned,) if self.pinned else await resolve(self.host):
            family = AF_INET6 if ":" in address else AF_INET
            try:
                return await _open(family, (address, self.port))
            except OSError as failure:
                failures.append(failure)
        raise failures[0]


def address_from(url: httpx.URL, tls: Tls, pinned: str, socket: str) -> Address:
    """Returns the address of a server.

    Args:
        url: a URL of the server.
        tls: how to verify an https server.
        pinned: see `Address`.
        socket: see `Address`.

    Raises:
        ValueError: the scheme of the URL is neither http nor https.
    """
    secure = url.scheme == _SECURE
    if not secure and url.scheme != "http":
        raise ValueError("the URL must begin with http://, https:// or unix://")
    host = url.raw_host.decode().strip("[]")
    return Address(host, port(url.scheme, url.port), tls if secure else None, pinned, socket)


async def _open(family: int, where: str | tuple[str, int]) -> Socket:
    opened = Socket(family, SOCK_STREAM)
    try:
        opened.setblocking(False)
        if family != AF_UNIX:
            # Otherwise, the second of two short messages waits until the first is acknowledged.
            opened.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(opened, where)
    except BaseException:
        opened.close()
        raise
    return opened


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
