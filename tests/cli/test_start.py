"""The first moments of a command: how it is named, its help, Ctrl-C while it starts."""

import signal
import sys
from importlib.metadata import version

import penstock as client

from .process import Result, penstock, run

# Interrupts itself when a module is imported that the command line needs.
INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from penstock_server.__main__ import main
sys.exit(main())
"""


async def test_ctrl_c_during_the_imports() -> None:
    result = await run(sys.executable, "-c", INTERRUPTED, "health")
    assert result == Result(128 + signal.SIGINT, "", "penstock: interrupted\n")


async def test_a_version() -> None:
    assert client.__version__ == version("penstock")
    for package in ("penstock", "penstock_server"):
        result = await run(sys.executable, "-m", package, "--version")
        assert result == Result(0, f"penstock {client.__version__}\n", "")


async def test_no_command_shows_the_help() -> None:
    help_text = (await penstock("--help")).out
    assert "serve gRPC in front of one or more vLLMs" in help_text
    assert await penstock() == Result(2, help_text, "")


async def test_the_command_line_loads_no_server() -> None:
    """Every command would start later."""
    program = "from penstock_server.cli import command_line; command_line(); import sys"
    result = await run(sys.executable, "-c", f"{program}; print(*sys.modules)")
    servers = {"httpx", "penstock_server.simulator.server", "prometheus_client"}
    assert servers.isdisjoint(result.out.split())
    assert result.code == 0
