"""Services that accept only callers of a file."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from conftest import FREE_PORT

from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator

SECRET = "sk-of-the-right-caller"
OTHER = "sk-of-another-caller"
DIGEST = hashlib.sha256(OTHER.encode()).hexdigest()
KEYS = f"""
[[caller]]
name = "team-a"
keys = ["{SECRET}"]

[[caller]]
name = "team-b"
keys_sha256 = ["{DIGEST}"]
models = ["tiny-chat", "lab/*"]
"""
LIMITED = f"""
[[caller]]
name = "batch"
keys = ["{SECRET}"]
calls_per_minute = 2

[[caller]]
name = "other"
keys = ["{OTHER}"]
"""
_QUIET = {"probe_interval": 3600}

CallersFile = Callable[[str], str]
"""Writes a file of callers and returns its path."""


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.broken = False

    def __call__(self) -> float:
        if self.broken:
            raise RuntimeError("the clock is broken")
        return self.now


@asynccontextmanager
async def at_the_clock(clock: Clock, **settings: Any) -> AsyncIterator[Service]:
    """Runs a service whose limits use a clock."""
    defaults: dict[str, Any] = {"listen": FREE_PORT, "admin_listen": "", "metrics_listen": ""}
    async with Service(Settings(**(defaults | _QUIET | settings)), clock=clock) as service:
        yield service


def calls_heard(simulator: Simulator) -> list[str]:
    """Returns the credentials of each request that was not a probe."""
    return [
        request.headers.get("authorization", "")
        for request in simulator.requests
        if not request.headers["x-request-id"].startswith("probe-")
    ]
