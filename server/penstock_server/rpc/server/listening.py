"""Addresses that a server listens on: HOST:PORT or unix:/PATH."""

import errno
import socket
from collections.abc import Iterable
from typing import Any

from grpc import aio

from penstock_server import unix_socket

_UNIX = "unix:"


class CannotListen(Exception):
    """An address is taken or not ours."""


def bind(server: aio.Server, address: str, *, share_ports: bool = False) -> int:
    """Binds a server that has not been started to an address; returns the port, 1 for a socket.

    Its port is shared with other processes that mean to.

    Raises:
        CannotListen: the address is taken or not ours.
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
    """Makes sure that nobody listens on any address of a host: gRPC is content with one of them.

    Raises:
        OSError: somebody does, or there is no such host.
    """
    for family, place in places(address):
        try:
            with socket.socket(family) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share_ports))
                alone.bind(place)
        except OSError as error:
            # An address that this machine has not is left to gRPC, such as IPv6 where it is off.
            if error.errno == errno.EADDRINUSE:
                raise


def places(address: str) -> list[tuple[int, Any]]:
    """Returns every place that HOST:PORT stands for: its family, and what a socket binds to.

    Raises:
        OSError: there is no such host.
    """
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    return [(family, place) for family, _, _, _, place in found]


def bind_all(
    server: aio.Server, addresses: Iterable[str], *, share_ports: bool = False
) -> tuple[list[str], int]:
    """Binds a server to several addresses; returns them as they are called, and the first port.

    A free port that was asked for has its number in the address; without a port it is 0.

    Raises:
        CannotListen: one of them is taken or not ours.
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
    """Removes the sockets of a server that is not going to be started; gRPC does the others'."""
    for address in addresses:
        if address.startswith(_UNIX):
            unix_socket.remove(address.removeprefix(_UNIX))
