"""Runs every command and program on the pages against a service like that of `make demo`."""

import asyncio
import json
import os
import platform
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from conftest import FREE_PORT, Serve

from docs.comparison import same_output
from docs.markdown import blocks, programs, transcripts
from penstock_server.simulator import Simulator, SimulatorSettings
from website.terminal import COMMANDS, PICTURE, draw, session, shell_command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Programs that the commands call by name.
INSTALLED = Path(sys.executable).parent
# Folders with a program for grpcurl's command lines: `buf curl`, and grpcurl itself where
# pyproject.toml installs it.
CALLERS = {"by-buf": Path(__file__).parent / "buf_curl"}
if sys.platform == "linux" and platform.machine() == "x86_64":
    CALLERS["by-grpcurl"] = INSTALLED
# vLLM's address on the pages, and a refusal that fails the command.
CURL = (
    'curl() { command curl --fail-with-body --silent "${@//http:\\/\\/localhost:8000/$UPSTREAM}"; }'
)

# Addresses on the pages, and the variables with those of a test.
ADDRESSES = {
    "127.0.0.1:50051": "PENSTOCK_TARGET",
    "127.0.0.1:50052": "PENSTOCK_ADMIN_TARGET",
    "127.0.0.1:9464": "METRICS",
}
# Commands that do not end or that need something else; tests/cli covers them.
NOT_RUN = ("make demo", ".venv/bin/penstock serve --upstream http://localhost:8000")

# Its commands call a service that requires the keys on the page.
KEYED = ROOT / "docs" / "authentication.md"
# Its programs need an upstream that stores responses.
OPTIONS = {"docs/responses": {"native_responses": "always"}}
# tests/mesh runs its commands, which need an Envoy.
PROXIED = ROOT / "docs" / "envoy.md"


def cases(page: Path) -> list[ParameterSet]:
    """Returns the commands of a page with their output; those of grpcurl for each program."""
    return [
        pytest.param(command, shown, folder, id=f"{name(page)}-{number}{by}")
        for number, (command, shown) in enumerate(transcripts(page.read_text("utf-8")), 1)
        if command not in NOT_RUN
        for by, folder in callers(command).items()
    ]


def callers(command: str) -> Mapping[str, Path]:
    """Returns the folders to run a command with, by the suffix of the test's id."""
    if "grpcurl " not in command:
        return {"": INSTALLED}
    return {f"-{by}": folder for by, folder in CALLERS.items()}


def name(page: Path) -> str:
    """Returns the name of a page in the id of a test."""
    return str(page.relative_to(ROOT).with_suffix(""))


KEYED_CASES = cases(KEYED)
CASES = [case for page in PAGES if page not in (KEYED, PROXIED) for case in cases(page)]


@pytest.fixture
async def environment(serve: Serve) -> AsyncIterator[dict[str, str]]:
    """The variables of a shell with a service to call."""
    async with serving(serve) as variables:
        yield variables


@pytest.fixture
async def keyed_environment(serve: Serve, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The variables of a shell with a service that requires keys."""
    keys, *_ = blocks(KEYED.read_text("utf-8"), "toml")
    path = tmp_path / "callers.toml"
    path.write_text(keys, "utf-8")
    async with serving(serve, callers_file=str(path)) as variables:
        yield variables


@asynccontextmanager
async def serving(serve: Serve, **options: Any) -> AsyncIterator[dict[str, str]]:
    """Starts a service on a simulator; yields the variables of a shell that calls it."""
    settings = SimulatorSettings(
        listen=FREE_PORT,
        kind="all",
        multimodal=True,
        inter_token_latency=0.02,
        response_store=True,
    )
    async with Simulator(settings) as simulator:
        service = await serve(
            upstream=(simulator.url,),
            admin_listen=FREE_PORT,
            metrics_listen=FREE_PORT,
            probe_interval=1.0,
            slow_start=0.0,
            **options,
        )
        yield os.environ | {
            "PATH": os.pathsep.join([str(INSTALLED), os.environ["PATH"]]),
            "BUF": str(INSTALLED / "buf"),
            "PENSTOCK_TARGET": f"127.0.0.1:{service.port}",
            "PENSTOCK_ADMIN_TARGET": f"127.0.0.1:{service.admin.port}",
            "METRICS": service.metrics.address,
            "UPSTREAM": simulator.url,
        }


@pytest.mark.parametrize(("command", "shown", "folder"), CASES)
async def test_command(command: str, shown: str, folder: Path, environment: dict[str, str]) -> None:
    await run(command, shown, folder, environment)


@pytest.mark.parametrize(("command", "shown", "folder"), KEYED_CASES)
async def test_command_with_keys(
    command: str, shown: str, folder: Path, keyed_environment: dict[str, str]
) -> None:
    await run(command, shown, folder, keyed_environment)


async def run(command: str, shown: str, folder: Path, environment: dict[str, str]) -> None:
    """Runs a command, which must print a given output; searches for programs in a folder first."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-uc",
        f"set -o pipefail; {CURL}\n{here(command, environment)}",
        cwd=ROOT,
        env=environment | {"PATH": os.pathsep.join([str(folder), environment["PATH"]])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = (text.decode() for text in await process.communicate())
    failed = "ERROR:" in shown
    assert (process.returncode != 0) == failed, f"{out}{err}"
    assert not shown or same_output(shown, out + err * failed), f"{out}{err}"


async def test_the_picture_of_a_terminal(environment: dict[str, str]) -> None:
    """If it fails, run: python -m website.terminal."""
    picture = PICTURE.read_text("utf-8")
    shown = session(picture)
    assert [command for command, _ in shown] == list(COMMANDS)
    assert draw(shown) == picture
    for command, output in shown:
        code = f"set +o pipefail; {shell_command(command)}"
        await run(code, output, INSTALLED, environment)


def here(text: str, environment: dict[str, str]) -> str:
    """Returns code of a page, adapted to the service and the environment of this test."""
    text = text.replace(".venv/bin/", "")
    for address, variable in ADDRESSES.items():
        text = text.replace(address, environment[variable])
    return text


def test_the_pages_have_commands() -> None:
    every = [str(case.id) for case in (*CASES, *KEYED_CASES)]
    with_commands = {re.sub(r"-\d+(-by-\w+)?$", "", case) for case in every}
    marked = {page for page in PAGES if "```console\n$ " in page.read_text("utf-8")}
    assert len(marked) > 15
    assert with_commands == {name(page) for page in marked - {PROXIED}}
    readme = [command for command, _ in transcripts(PAGES[0].read_text("utf-8"))]
    assert set(NOT_RUN) < set(readme)


PROGRAMS = {name(page): found for page in PAGES if (found := programs(page.read_text("utf-8")))}
# Runs the blocks of a page one after another, as one program.
RUNNER = """
import json, sys
for code in json.load(sys.stdin):
    exec(code)
    print(end="\\0", flush=True)
"""


@pytest.mark.parametrize("page", PROGRAMS)
async def test_programs(page: str, serve: Serve) -> None:
    async with serving(serve, **OPTIONS.get(page, {})) as environment:
        await run_programs(page, environment)


async def run_programs(page: str, environment: dict[str, str]) -> None:
    """Runs the programs of a page, which must print the given outputs."""
    codes = [here(code, environment) for code, _ in PROGRAMS[page]]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUNNER,
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(json.dumps(codes).encode())
    assert process.returncode == 0, err.decode()
    printed = out.decode().split("\0")
    for (_, shown), one in zip(PROGRAMS[page], printed, strict=False):
        assert not shown or same_output(shown, one), one
    assert printed[len(codes) :] == [""]


def test_the_pages_have_programs() -> None:
    assert set(PROGRAMS) >= {
        "README",
        "docs/python",
        "docs/responses",
        "docs/streaming",
        "docs/upstreams",
    }
    assert len(PROGRAMS["docs/python"]) == 11
