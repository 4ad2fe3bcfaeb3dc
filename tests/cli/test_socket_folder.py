"""The folder of the workers' sockets: without a place for it, and after a crash."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from penstock_server.simulator import Simulator
from penstock_server.socket_folder import socket_folder

from .process import PENSTOCK, run, started

NO_PLACE = """
import sys, tempfile

def mkdtemp(*arguments, **named):
    raise FileNotFoundError(2, "No usable temporary directory found")

tempfile.mkdtemp = mkdtemp
sys.argv = ["penstock", "serve", "--workers", "2", "--listen", "127.0.0.1:0"]
from penstock_server.__main__ import main
sys.exit(main())
"""


async def test_no_place_for_the_folder() -> None:
    result = await run(sys.executable, "-c", NO_PLACE)
    assert (result.code, "TMPDIR" in result.err) == (3, True)
    assert "Traceback" not in result.err


async def test_folders_of_killed_services_are_removed(simulator: Simulator, tmp_path: Path) -> None:
    arguments = ("--workers", "2", "--upstream", simulator.url, "--listen", "127.0.0.1:0")
    environment = {"TMPDIR": str(tmp_path)}
    other = tmp_path / "penstock-notes"
    await asyncio.to_thread(other.mkdir)
    async with started(PENSTOCK, "serve", *arguments, env=environment) as process:
        await process.log("worker serves")
        [left] = _in(tmp_path) - {other}
        process.signal(signal.SIGKILL)
        await process.end()
    assert left in _in(tmp_path)
    async with started(PENSTOCK, "serve", *arguments, env=environment) as process:
        await process.log("worker serves")
        [used] = _in(tmp_path) - {other}
        assert used != left
        await asyncio.to_thread(_beside, used)
        process.signal(signal.SIGTERM)
        await process.end()
    assert _in(tmp_path) == {other}


def _in(place: Path) -> set[Path]:
    return set(place.iterdir())


def _beside(used: Path) -> None:
    """Starts another service in the same place, which keeps folders in use."""

    before, tempfile.tempdir = tempfile.tempdir, str(used.parent)
    try:
        with socket_folder():
            assert used.exists()
    finally:
        tempfile.tempdir = before
