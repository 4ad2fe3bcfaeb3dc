"""Every command on the pages, run against a service as `make demo` starts it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from conftest import FREE_PORT, Serve

from docs.comparison import same_output
from docs.markdown import blocks, transcripts
from penstock_server.simulator import Simulator, SimulatorSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# What the commands call by name: the stand-in for grpcurl, then what is installed beside Python.
FOLDERS = (Path(__file__).parent, Path(sys.executable).parent)
# vLLM's address on the pages, and a refusal that fails the command.
CURL = (
    'curl() { command curl --fail-with-body --silent "${@//http:\\/\\/localhost:8000/$UPSTREAM}"; }'
)

# Its commands call a service that asks for the keys which it shows.
KEYED = ROOT / "docs" / "authentication.md"


def cases(page: Path) -> list[ParameterSet]:
    """The commands of a page, each with what it prints."""
    return [
        pytest.param(command, shown, id=f"{page.stem}-{number}")
        for number, (command, shown) in enumerate(transcripts(page.read_text("utf-8")), 1)
    ]


KEYED_CASES = cases(KEYED)
CASES = [case for page in PAGES if page != KEYED for case in cases(page)]


@pytest.fixture
async def environment(serve: Serve) -> AsyncIterator[dict[str, str]]:
    """The variables of a shell that has a service to call."""
    async with serving(serve) as variables:
        yield variables


@pytest.fixture
async def keyed_environment(serve: Serve, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The same with a service that asks for keys."""
    (keys,) = blocks(KEYED.read_text("utf-8"), "toml")
    path = tmp_path / "keys.toml"
    path.write_text(keys, "utf-8")
    async with serving(serve, keys_file=str(path)) as variables:
        yield variables


@asynccontextmanager
async def serving(serve: Serve, **options: Any) -> AsyncIterator[dict[str, str]]:
    """Starts a service on a simulator; yields what a shell needs to call it."""
    settings = SimulatorSettings(listen=FREE_PORT, kind="all", inter_token_latency=0.02)
    async with Simulator(settings) as simulator:
        service = await serve(
            upstream=(simulator.url,),
            admin_listen=FREE_PORT,
            probe_interval=1.0,
            slow_start=0.0,
            **options,
        )
        yield os.environ | {
            "PATH": os.pathsep.join([*map(str, FOLDERS), os.environ["PATH"]]),
            "BUF": str(Path(sys.executable).with_name("buf")),
            "PENSTOCK_TARGET": f"127.0.0.1:{service.port}",
            "PENSTOCK_ADMIN_TARGET": f"127.0.0.1:{service.admin.port}",
            "UPSTREAM": simulator.url,
        }


@pytest.mark.parametrize(("command", "shown"), CASES)
async def test_command(command: str, shown: str, environment: dict[str, str]) -> None:
    await run(command, shown, environment)


@pytest.mark.parametrize(("command", "shown"), KEYED_CASES)
async def test_command_with_keys(
    command: str, shown: str, keyed_environment: dict[str, str]
) -> None:
    await run(command, shown, keyed_environment)


async def run(command: str, shown: str, environment: dict[str, str]) -> None:
    """Runs a command, which must print what is shown."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-uc",
        f"set -o pipefail; {CURL}\n{command}",
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = (text.decode() for text in await process.communicate())
    failed = "ERROR:" in shown
    assert (process.returncode != 0) == failed, f"{out}{err}"
    assert not shown or same_output(shown, out), f"{out}{err}"


def test_the_pages_have_commands() -> None:
    with_commands = {case.id and str(case.id).rpartition("-")[0] for case in (*CASES, *KEYED_CASES)}
    assert with_commands >= {page.stem for page in PAGES} - {"README", "performance"}


async def test_the_loop(environment: dict[str, str]) -> None:
    page = (ROOT / "docs/streaming.md").read_text("utf-8")
    (loop,), printed = blocks(page, "python"), blocks(page, "text")
    code = loop.replace("127.0.0.1:50051", environment["PENSTOCK_TARGET"])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert [out.decode()] == printed
