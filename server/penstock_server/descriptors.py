"""File descriptors: the limit of this process, and a warning when few are left."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Collection

from penstock_server.telemetry import events

_OPEN = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
_PAUSE_S = 5.0
_PAUSE_AFTER_WARNING_S = 60.0
_SHORT = 0.9
_UNLIMITED = 2**31 - 2


def raise_limit() -> None:
    """Raises the limit to the system's maximum; the default suits programs with few files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit() -> int:
    """Returns the limit of open descriptors of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


async def watch(ports: Collection[int], most_connections: int) -> None:
    """Logs a warning while few descriptors are left or connections have reached their limit.

    gRPC closes further connections silently. The next warning comes a minute later at the earliest.

    Args:
        ports: the ports that callers connect to.
        most_connections: the limit of connections to each port.
    """
    while True:
        warned = await asyncio.to_thread(_look, ports, most_connections)
        await asyncio.sleep(_PAUSE_AFTER_WARNING_S if warned else _PAUSE_S)


def _look(ports: Collection[int], most_connections: int) -> bool:
    """Logs a warning if a limit is near; returns whether it did."""
    names = _open_descriptors()
    if names is None or len(names) >= _SHORT * limit():
        events.DESCRIPTORS_SHORT.log(limit=limit())
        return True
    if len(names) < most_connections:
        return False
    connections = sum(_is_connection(int(name), ports) for name in names)
    if connections < most_connections:
        return False
    events.CONNECTIONS_FULL.log(connections=connections, limit=limit())
    return True


def _open_descriptors() -> list[str] | None:
    """Returns the names of open descriptors; None if no descriptor is left for listing them."""
    try:
        return os.listdir(_OPEN)
    except OSError:
        return None


def _is_connection(descriptor: int, ports: Collection[int]) -> bool:
    """Returns whether a descriptor is a connection to one of our ports."""
    try:
        ours = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        ours.getpeername()
        place = ours.getsockname()
        return isinstance(place, tuple) and place[1] in ports
    except OSError:
        return False
    finally:
        ours.detach()
