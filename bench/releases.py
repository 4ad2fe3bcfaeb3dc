"""Penstock on several releases of grpcio, in one run.

    python -m bench releases 1.83.2 1.85.1

Each release gets an environment of its own, with the other pins of `requirements/runtime.lock`. The
first one runs twice, which shows the spread. The result is a table; the tests are not run.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import run, scenarios, servers
from bench.load import LoadFailed
from bench.measure import Measurement
from bench.process import BUILD
from bench.servers import ROOT, Row
from bench.show import say
from bench.stats import Results, cpu_us
from bench.tables import number, table

_CHOSEN = ("unary", "unary-1", "paced")
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)(.*?) *\\?$")
# They are not released with every grpcio, and require one that is at least as new.
_BESIDES = ("grpcio-health-checking", "grpcio-reflection")


def compare(releases: Sequence[str], repeats: int, budget_s: float, seed: int) -> str:
    """Returns a table with the CPU of each release.

    Raises:
        LoadFailed: an environment could not be made, or a server failed.
    """
    rows = [_row(release, install(release)) for release in releases]
    first = releases[0]
    rows.append(_row(first, _environment(first), " again"))
    chosen = [scenario for scenario in scenarios.ALL if scenario.name in _CHOSEN]
    taken: list[Measurement] = []
    for group in run.run(rows, chosen, repeats, budget_s, seed):
        taken += group
    heads = ["µs of CPU", *(row.title for row in rows)]
    return table(heads, _lines(Results(taken), rows, chosen))


def _lines(
    results: Results, rows: Sequence[Row], chosen: Sequence[scenarios.Scenario]
) -> list[list[str]]:
    lines = []
    for scenario in chosen:
        costs = [results.middle(scenario.name, row.name, cpu_us) for row in rows]
        cells = ["-" if cost is None else number(cost) for cost in costs]
        lines.append([f"{scenario.title}, per {scenario.unit}", *cells])
    return lines


def install(release: str) -> Path:
    """Returns an environment with a release of grpcio; makes it unless it exists.

    Raises:
        LoadFailed: it cannot be installed.
    """
    folder = _environment(release)
    if (folder / "bin" / "penstock").exists():
        return folder
    say(f"installing grpcio {release}")
    wanted = folder.with_suffix(".txt")
    wanted.parent.mkdir(exist_ok=True)
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    wanted.write_text("\n".join(pins(lock, release)) + "\n")
    pip = str(folder / "bin" / "pip")
    for command in (
        (sys.executable, "-m", "venv", str(folder)),
        (pip, "install", "--quiet", "--requirement", str(wanted)),
        (pip, "install", "--quiet", "--no-deps", "--editable", str(ROOT)),
    ):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise LoadFailed(f"grpcio {release} cannot be installed: {ran.stderr[-1500:]}")
    return folder


def pins(lock: str, release: str) -> list[str]:
    """Returns the requirements of a lock file without hashes, with another release of grpcio."""
    found = filter(None, map(_PINNED.match, lock.splitlines()))
    others = {"grpcio": f"=={release}", **dict.fromkeys(_BESIDES, f"<={release}")}
    return [
        f"{name}{others.get(name, f'=={version}')}{condition}"
        for name, version, condition in (pinned.groups() for pinned in found)
    ]


def _environment(release: str) -> Path:
    return BUILD / f"grpcio-{release}"


def _row(release: str, environment: Path, which: str = "") -> Row:
    name = f"{release}{which}"
    return Row(name, name, grpc=True, start=servers.penstock(environment=environment))
