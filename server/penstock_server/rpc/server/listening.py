"""Addresses that a server listens on: HOST:PORT or unix:/PATH."""

import errno
import socket
from collections.abc import Iterable
from typing import Any

from grpc import aio

from penstock_server import unix_socket

_UNIX = "unix:"


class CannotListen(Exception):
    """An address is taken, or not one of this machine."""


def bind(server: aio.Server, address: str, *, share_ports: bool = False) -> int:
    """Binds a server to an address before it starts; returns the port, or 1 for a Unix socket.

    Args:
        server: the server.
        address: the address.
        share_ports: whether other processes may listen on the same port.

    Raises:
        CannotListen: the address is taken, or not one of this machine.
    """
    try:
        if address.startswith(_UNIX):
            unix_socket.require_free(address.removeprefix(_UNIX))
        else:
            _require_free(address, share_ports=share_ports)
        return server.add_insecure_port(address)
    except (OSError, RuntimeError) as error:
        raise CannotListen(f"cannot listen on {address}") from error


def _require_free(address: str, *, share_ports: bool) -> None:
    """Checks that nobody listens on any address of a host: gRPC only needs one of them free.

    Raises:
        OSError: somebody does, or the host does not exist.
    """
    for family, place in places(address):
        try:
            with socket.socket(family) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share_ports))
                alone.bind(place)
        except OSError as error:
            # gRPC deals with addresses that this machine lacks, such as IPv6 where it is off.
            if error.errno == errno.EADDRINUSE:
                raise


def places(address: str) -> list[tuple[int, Any]]:
    """Returns the socket addresses of HOST:PORT, each with its family.

    Raises:
        OSError: the host does not exist.
    """
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    return [(family, place) for family, _, _, _, place in found]


def bind_all(
    server: aio.Server, addresses: Iterable[str], *, share_ports: bool = False
) -> tuple[list[str], int]:
    """Binds a server to several addresses; returns them, and the first port or 0.

    In the addresses returned, port 0 is replaced by the port that was found free.

    Raises:
        CannotListen: an address is taken, or not one of this machine.
    """
    bound: list[str] = []
    first = 0
    try:
        for address in addresses:
            port = bind(server, address, share_ports=share_ports)
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
