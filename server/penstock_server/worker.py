"""What a process does that shares its ports with others, for the one that started it.

Its addresses come by its environment. It writes one line to its standard output when it serves,
and its standard input ends when the process that started it is gone.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from penstock_server.configuration.settings import Settings

READY = b"ready\n"
"""What it writes when it serves."""

_ADDRESSES = "PENSTOCK_WORKER_ADDRESSES"
_ADMIN = "PENSTOCK_WORKER_ADMIN"


def environment(addresses: Sequence[str], admin: str) -> Mapping[str, str]:
    """Returns what makes a process a worker.

    Args:
        addresses: what it serves on, as the others do.
        admin: what it alone serves AdminService on.
    """
    return {_ADDRESSES: ",".join(addresses), _ADMIN: admin}


def is_worker() -> bool:
    """Whether this process is a worker."""
    return _ADDRESSES in os.environ


def as_worker(settings: Settings) -> Settings:
    """Returns the configuration as it is for this process, if it is a worker."""
    if not is_worker():
        return settings
    addresses = tuple(os.environ[_ADDRESSES].split(","))
    return replace(settings, listen=addresses, admin_listen=os.environ[_ADMIN], workers=1)


def ready() -> None:
    """Tells the process that started this worker that it serves."""
    os.write(sys.stdout.fileno(), READY)


def when_abandoned(stop: Callable[[], None]) -> None:
    """Calls back when the process that started this worker is gone."""
    loop, given = asyncio.get_running_loop(), sys.stdin.fileno()

    def end() -> None:
        loop.remove_reader(given)
        stop()

    # Nothing is ever written there: it becomes readable when its other end is closed.
    loop.add_reader(given, end)
