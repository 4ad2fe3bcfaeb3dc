"""`penstock` as a subprocess."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from child import ENDS_WITH_PARENT

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
BOUND_S = 60
"""Longest wait for a process; starting Python on a busy machine takes seconds."""


@dataclass(frozen=True)
class Result:
    """The exit code and output of a finished process."""

    code: int
    out: str
    err: str


class Process:
    """A running process whose lines are read as they arrive."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        assert process.stderr
        self._process, self.out, self.err = process, process.stdout, process.stderr
        self.logged: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        """Process id, for reading its memory use from /proc."""
        return self._process.pid

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def log(self, event: str) -> dict[str, Any]:
        """Returns the next log line of an event; keeps earlier lines in `logged`."""
        async with asyncio.timeout(BOUND_S):
            while line := await self.err.readline():
                self.logged.append(orjson.loads(line))
                if self.logged[-1]["event"] == event:
                    return self.logged[-1]
        raise AssertionError(f"no {event} in {self.logged}")

    async def line(self, part: str) -> str:
        """Returns the lines of standard output up to the one that contains a text."""
        lines = ""
        async with asyncio.timeout(BOUND_S):
            while line := (await self.out.readline()).decode():
                lines += line
                if part in line:
                    return lines
        raise AssertionError(f"no {part} in {lines}; {(await self.err.read()).decode()}")

    async def end(self) -> Result:
        """Waits for the end; the rest of the log goes to `logged`."""
        async with asyncio.timeout(BOUND_S):
            out, err = await self.out.read(), await self.err.read()
            code = await self._process.wait()
        return Result(code, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def started(*command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """Runs a command; at the end, kills it and its children if they are still running.

    If this process is killed, so is the command; the workers of a supervisor end after it.
    """
    process = await asyncio.create_subprocess_exec(
        *ENDS_WITH_PARENT,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment() | dict(env or {}),
        start_new_session=True,
    )
    try:
        yield Process(process)
    finally:
        # Remaining processes of the session keep the pipes open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@contextlib.asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """Runs a service on a free port in a separate process; yields it and its address."""
    async with started(PENSTOCK, "serve", "--listen", "127.0.0.1:0", *arguments) as process:
        yield process, (await process.log("serving"))["address"]


async def penstock(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """Runs `penstock` to its end."""
    return await run(PENSTOCK, *arguments, env=env)


async def run(*command: str, env: Mapping[str, str] | None = None) -> Result:
    """Runs a command to its end."""
    async with started(*command, env=env) as process:
        return await process.end()


def clean_environment() -> dict[str, str]:
    """Returns the environment without our variables, except two.

    They make a service use a free admin port and stop without a delay.
    """
    others = {n: value for n, value in os.environ.items() if not n.startswith("PENSTOCK_")}
    return others | {
        "PENSTOCK_ADMIN_LISTEN": "off",
        "PENSTOCK_METRICS_LISTEN": "off",
        "PENSTOCK_DRAIN_DELAY": "0",
    }
