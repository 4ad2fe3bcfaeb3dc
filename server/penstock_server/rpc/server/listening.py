"""Addresses that a server listens on: HOST:PORT or unix:/PATH."""

import errno
import os
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Protocol

from grpc import aio

from penstock_server import unix_socket
from penstock_server.options import Unrequested
from penstock_server.rpc.server.certificates import ServerCertificate
from penstock_server.telemetry import events

_UNIX = "unix:"


class CannotListen(Exception):
    """An address is taken, or not one of this machine.

    Attributes:
        reason: why.
    """

    def __init__(self, address: str, error: Exception, option: str = "") -> None:
        """Creates the error.

        Args:
            address: the address.
            error: what the system reports.
            option: the option that names the address, if it is not the main one.
        """
        self.reason = _reason(error)
        place = f"{option}: cannot" if option else "cannot"
        flag = (option or "listen").replace("_", "-")
        super().__init__(
            f"{place} listen on {address}: {self.reason}; choose another address with --{flag}"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, CannotListen):
        return error.reason
    if not isinstance(error, OSError):
        return "the address cannot be bound"
    # asyncio adds text of its own; the error numbers of getaddrinfo are not those of the system.
    known = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return (known or str(error)).lower()


def do_without(option: str, address: str, error: Exception) -> None:
    """Reports that an address which serves operators cannot be listened on.

    A default that is taken, such as by a second service on the same machine, must not keep the
    service from serving calls.

    Raises:
        CannotListen: the configuration names the address.
    """
    if not isinstance(address, Unrequested):
        raise CannotListen(address, error, option) from error
    events.CANNOT_LISTEN.log(option=option, address=address, reason=_reason(error))


class Listener(Protocol):
    """A server on an address of its own.

    Attributes:
        address: the address; empty for none.
    """

    address: str

    async def start(self) -> None:
        """Serves, if it has an address; raises `OSError` if that cannot be listened on."""


async def start_if_free(option: str, server: Listener) -> None:
    """Starts a server for operators; goes without it if its address is taken and only the default.

    Raises:
        CannotListen: the configuration names the address.
    """
    try:
        await server.start()
    except OSError as error:
        do_without(option, server.address, error)
        server.address = ""


def bind(
    server: aio.Server,
    address: str,
    *,
    share_ports: bool = False,
    certificate: ServerCertificate | None = None,
) -> int:
    """Binds a server to an address before it starts; returns the port, or 1 for a Unix socket.

    Args:
        server: the server.
        address: the address.
        share_ports: whether other processes may listen on the same port.
        certificate: the certificate; None for plaintext, which Unix sockets always have.

    Raises:
        CannotListen: the address is taken, or not one of this machine.
    """
    try:
        if address.startswith(_UNIX):
            unix_socket.require_free(address.removeprefix(_UNIX))
            return server.add_insecure_port(address)
        _require_free(address, share_ports=share_ports)
        if certificate:
            return server.add_secure_port(address, certificate.credentials())
        return server.add_insecure_port(address)
    except (OSError, RuntimeError) as error:
        raise CannotListen(address, error) from error


def _require_free(address: str, *, share_ports: bool) -> None:
    """Checks that all addresses of a host are free: gRPC is content if one of them is.

    Raises:
        OSError: an address is in use, or the host does not exist.
    """
    for family, place in socket_addresses(address):
        try:
            with socket.socket(family) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share_ports))
                alone.bind(place)
        except OSError as error:
            # gRPC deals with addresses that this machine lacks, such as IPv6 where it is off.
            if error.errno == errno.EADDRINUSE:
                raise


def socket_addresses(address: str) -> list[tuple[int, Any]]:
    """Returns the socket addresses of HOST:PORT, each with its family.

    Raises:
        OSError: the host does not exist.
    """
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    return [(family, place) for family, _, _, _, place in found]


def is_local(address: str) -> bool:
    """Returns whether only this machine can connect to an address."""
    if address.startswith(_UNIX):
        return True
    try:
        found = [host for _, (host, *_) in socket_addresses(address)]
        return all(ip_address(host.partition("%")[0]).is_loopback for host in found)
    except OSError:
        return False


def bind_all(
    server: aio.Server,
    addresses: Iterable[str],
    *,
    share_ports: bool = False,
    certificate: ServerCertificate | None = None,
) -> tuple[list[str], int]:
    """Binds a server to several addresses; returns them, and the first port or 0.

    In the addresses returned, port 0 is replaced by the port that was found free. For the
    arguments, see `bind`.

    Raises:
        CannotListen: an address is taken, or not one of this machine.
    """
    bound: list[str] = []
    first = 0
    try:
        for address in addresses:
            port = bind(server, address, share_ports=share_ports, certificate=certificate)
            if address.startswith(_UNIX):
                bound.append(address)
            else:
                bound.append(f"{address.rpartition(':')[0]}:{port}")
                first = first or port
    except CannotListen:
        release(bound)
        raise
    return bound, first


def release(addresses: Iterable[str]) -> None:
    """Removes the Unix sockets of a server that never started; gRPC removes those of others."""
    for address in addresses:
        if address.startswith(_UNIX):
            unix_socket.remove(address.removeprefix(_UNIX))
