"""The processes of a test that is killed."""

import asyncio
import os
import select
import signal
import sys
from pathlib import Path

from child import ENDS_WITH_PARENT
from closed_port import closed_url

from .process import BOUND_S

TESTS = Path(__file__).parents[1]

KILLED_TEST = """
import asyncio, sys
from cli.process import PENSTOCK, started

async def test():
    arguments = ("--listen", "127.0.0.1:0", "--workers", "2", "--upstream", sys.argv[1])
    async with started(PENSTOCK, "serve", *arguments, "--log-format", "json") as process:
        workers = [(await process.log("worker serves"))["pid"] for _ in range(2)]
        print(process.pid, *workers, flush=True)
        await asyncio.Event().wait()

asyncio.run(test())
"""


async def test_no_supervisor_or_worker_outlives_a_killed_test() -> None:
    with closed_url() as url:
        killed = await asyncio.create_subprocess_exec(
            *(*ENDS_WITH_PARENT, sys.executable, "-c", KILLED_TEST, url),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(TESTS)},
        )
        assert killed.stdout
        left = [os.pidfd_open(int(pid)) for pid in (await killed.stdout.readline()).split()]
        killed.kill()
        await killed.communicate()
        ended = [await asyncio.to_thread(_ends, process) for process in left]
        assert ended == [True] * 3


def _ends(process: int) -> bool:
    """Returns whether a process ends in time; kills it if it does not."""
    ended, _, _ = select.select([process], [], [], BOUND_S)
    if not ended:
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)
    return bool(ended)
