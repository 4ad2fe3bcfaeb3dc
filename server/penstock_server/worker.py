"""Communication of a worker process with the supervisor that started it.

The worker gets its addresses from its environment. It writes a line to its standard output once it
serves, and another after each reload; its standard input ends when the supervisor is gone.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from penstock_server.configuration import Settings

READY = b"ready\n"
"""The line that reports that the worker serves."""

RELOADED = b"reloaded\n"
"""The line that reports a reload."""

_ADDRESSES = "PENSTOCK_WORKER_ADDRESSES"
_ADMIN = "PENSTOCK_WORKER_ADMIN"
_METRICS = "PENSTOCK_WORKER_METRICS"
_HEALTH = "PENSTOCK_WORKER_HEALTH"
_GENERATION = "PENSTOCK_WORKER_GENERATION"
_PLACE = "PENSTOCK_WORKER_PLACE"
_LIMITS = "PENSTOCK_WORKER_LIMITS"
_ADAPTERS = "PENSTOCK_WORKER_ADAPTERS"


class Place(NamedTuple):
    """The place of a worker among all workers.

    Attributes:
        number: its number, from 0.
        total: how many there are.
    """

    number: int
    total: int


def environment(
    addresses: Sequence[str],
    *,
    admin: str,
    metrics: str,
    health: str,
    generation: int,
    place: Place,
    limits: str,
    adapters: str,
) -> Mapping[str, str]:
    """Returns the environment variables that make a process a worker.

    Args:
        addresses: the addresses that all workers share.
        admin: the address of this worker's AdminService.
        metrics: the address of this worker's metrics; empty for none.
        health: the address of health alone, which all workers share; empty for none.
        generation: the number of the configuration that it starts with.
        place: its place among the workers.
        limits: the file in which all workers count what callers use.
        adapters: the file of the LoRA adapters that replicas must have.
    """
    return {
        _ADDRESSES: ",".join(addresses),
        _ADMIN: admin,
        _METRICS: metrics,
        _HEALTH: health,
        _GENERATION: str(generation),
        _PLACE: f"{place.number}/{place.total}",
        _LIMITS: limits,
        _ADAPTERS: adapters,
    }


def is_worker() -> bool:
    """Returns whether this process is a worker."""
    return _ADDRESSES in os.environ


def as_worker(settings: Settings, started: Settings) -> Settings:
    """Returns a configuration with the addresses of this process, if it is a worker.

    Args:
        settings: the configuration now.
        started: the configuration at the start; addresses that have changed since stay changed, so
            that the change is reported.
    """
    if not is_worker():
        return settings
    addresses = tuple(os.environ[_ADDRESSES].split(","))
    own: dict[str, Any] = {
        "listen": addresses,
        "admin_listen": os.environ[_ADMIN],
        "metrics_listen": os.environ[_METRICS],
        "health_listen": os.environ[_HEALTH],
        # Only the supervisor can connect to it, and has checked the caller.
        "admin_requires_caller": False,
    }
    same = (name for name in own if getattr(settings, name) == getattr(started, name))
    return replace(settings, **{name: own[name] for name in same})


def generation() -> int:
    """Returns the number of the configuration that this process starts with; 1 without workers."""
    return int(os.environ.get(_GENERATION, "1"))


def place() -> Place:
    """Returns the place of this worker."""
    number, _, total = os.environ[_PLACE].partition("/")
    return Place(int(number), int(total))


def limits_file() -> str:
    """Returns the path of the file in which all workers count what callers use."""
    return os.environ[_LIMITS]


def adapters_file() -> str:
    """Returns the path of the file of the LoRA adapters that replicas must have."""
    return os.environ[_ADAPTERS]


def ready() -> None:
    """Reports to the supervisor that this worker serves."""
    os.write(sys.stdout.fileno(), READY)


def reloaded() -> None:
    """Reports a reload to the supervisor, if this process is a worker."""
    if is_worker():
        os.write(sys.stdout.fileno(), RELOADED)


def when_abandoned(stop: Callable[[], None]) -> None:
    """Calls `stop` once the supervisor is gone."""
    loop, given = asyncio.get_running_loop(), sys.stdin.fileno()

    def end() -> None:
        loop.remove_reader(given)
        stop()

    # Nothing is ever written there: it becomes readable once the other end is closed.
    loop.add_reader(given, end)
