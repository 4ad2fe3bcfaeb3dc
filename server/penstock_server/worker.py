"""What a process does that shares its ports with others, for the one that started it.

Its addresses come by its environment. It writes a line to its standard output when it serves, and
one each time that it has taken another configuration; its standard input ends when the process that
started it is gone.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock_server.configuration.settings import Settings

READY = b"ready\n"
"""What it writes when it serves."""

RELOADED = b"reloaded\n"
"""What it writes when it has taken another configuration."""

_ADDRESSES = "PENSTOCK_WORKER_ADDRESSES"
_ADMIN = "PENSTOCK_WORKER_ADMIN"
_GENERATION = "PENSTOCK_WORKER_GENERATION"


def environment(addresses: Sequence[str], admin: str, generation: int) -> Mapping[str, str]:
    """Returns what makes a process a worker.

    Args:
        addresses: what it serves on, as the others do.
        admin: what it alone serves AdminService on.
        generation: which configuration it starts with, counted over all workers.
    """
    return {_ADDRESSES: ",".join(addresses), _ADMIN: admin, _GENERATION: str(generation)}


def is_worker() -> bool:
    """Whether this process is a worker."""
    return _ADDRESSES in os.environ


def as_worker(settings: Settings, started: Settings) -> Settings:
    """Returns the configuration as it is for this process, if it is a worker.

    Args:
        settings: what is configured now.
        started: what was at the start; what has changed since is left as it is, to be told.
    """
    if not is_worker():
        return settings
    addresses = tuple(os.environ[_ADDRESSES].split(","))
    own: dict[str, Any] = {"listen": addresses, "admin_listen": os.environ[_ADMIN]}
    same = (name for name in own if getattr(settings, name) == getattr(started, name))
    return replace(settings, **{name: own[name] for name in same})


def generation() -> int:
    """Returns which configuration this process starts with: the first, if it is no worker."""
    return int(os.environ.get(_GENERATION, "1"))


def ready() -> None:
    """Tells the process that started this worker that it serves."""
    os.write(sys.stdout.fileno(), READY)


def reloaded() -> None:
    """Tells the process that started this worker that it has taken another configuration."""
    if is_worker():
        os.write(sys.stdout.fileno(), RELOADED)


def when_abandoned(stop: Callable[[], None]) -> None:
    """Calls back when the process that started this worker is gone."""
    loop, given = asyncio.get_running_loop(), sys.stdin.fileno()

    def end() -> None:
        loop.remove_reader(given)
        stop()

    # Nothing is ever written there: it becomes readable when its other end is closed.
    loop.add_reader(given, end)
