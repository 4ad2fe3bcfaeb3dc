"""Measures a stream of embeddings against one unary call for each item, with a simulated upstream.

python -m bench.items [--items NUMBER]

The CPU time is that of the service; other work on the machine changes it little, unlike the time of
each run, which is printed, too.
"""

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from bench.process import cpu_seconds, peak_memory, reset_peak_memory
from penstock import AsyncClient

_AT_ONCE = 256
_MIB = 1024 * 1024


def main() -> None:
    """Runs the measurement and prints its numbers."""
    parser = argparse.ArgumentParser(prog="python -m bench.items", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    count = parser.parse_args().items
    upstream, address = _free_port(), f"127.0.0.1:{_free_port()}"
    simulate = ("simulate", "--kind", "embed", "--listen", f"127.0.0.1:{upstream}")
    serve = ("serve", "--upstream", f"http://127.0.0.1:{upstream}", "--listen", address)
    off = ("--admin-listen", "off", "--metrics-listen", "off")
    with _command(*simulate), _command(*serve, *off) as pid:
        asyncio.run(_compare(address, pid, count))


async def _compare(address: str, pid: int, count: int) -> None:
    async with AsyncClient(address) as client:
        await client.health.wait()
        await _unary(client, 500)
        await _streamed(client, 500)
        unary = await _measured("unary", partial(_unary, client), pid, count)
        streamed = await _measured("stream", partial(_streamed, client), pid, count)
        print(f"CPU of a unary call / of an item: {unary / streamed:.1f}")
        await _measured("stream, five times as many", partial(_streamed, client), pid, count * 5)


async def _measured(
    name: str, work: Callable[[int], Awaitable[None]], pid: int, count: int
) -> float:
    """Prints the measurement of some work; returns the CPU seconds of the service."""
    reset_peak_memory(pid)
    cpu, began = cpu_seconds(pid), time.monotonic()
    await work(count)
    cpu, seconds = cpu_seconds(pid) - cpu, time.monotonic() - began
    each, memory = cpu / count * 1e6, peak_memory(pid) / _MIB
    print(f"{name}: {count} items, {each:.0f} us CPU each, {seconds:.1f} s, peak {memory:.0f} MiB")
    return cpu


async def _unary(client: AsyncClient, count: int) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        try:
            await client.embeddings.create(f"text number {number}")
        finally:
            places.release()

    async with asyncio.TaskGroup() as calls:
        for number in range(count):
            await places.acquire()
            calls.create_task(one(number))


async def _streamed(client: AsyncClient, count: int) -> None:
    async def texts() -> AsyncIterator[tuple[str, str]]:
        for number in range(count):
            yield str(number), f"text number {number}"

    async with client.embeddings.stream(texts()) as results:
        async for result in results:
            if result.error:
                raise result.error


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextmanager
def _command(*arguments: str) -> Iterator[int]:
    """Runs a command of Penstock; yields its process id."""
    command = (sys.executable, "-m", "penstock", *arguments)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
