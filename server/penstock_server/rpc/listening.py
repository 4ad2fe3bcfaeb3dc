"""Addresses that a server listens on: HOST:PORT or unix:/PATH."""

from collections.abc import Iterable

from grpc import aio

from penstock_server import unix_socket

_UNIX = "unix:"


class CannotListen(Exception):
    """An address is taken or not ours."""


def bind(server: aio.Server, address: str) -> int:
    """Binds a server that has not been started to an address; returns the port, 1 for a socket.

    Raises:
        CannotListen: the address is taken or not ours.
    """
    try:
        if address.startswith(_UNIX):
            unix_socket.require_free(address.removeprefix(_UNIX))
        return server.add_insecure_port(address)
    except (OSError, RuntimeError) as error:
        raise CannotListen(f"cannot listen on {address}") from error


def bind_all(server: aio.Server, addresses: Iterable[str]) -> tuple[list[str], int]:
    """Binds a server to several addresses; returns them as they are called, and the first port.

    A free port that was asked for has its number in the address; without a port it is 0.

    Raises:
        CannotListen: one of them is taken or not ours.
    """
    bound: list[str] = []
    first = 0
    try:
        for address in addresses:
            port = bind(server, address)
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
