"""The conditions of a run, which readers need to judge or repeat it."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import servers
from bench.servers import ROOT

_PACKAGES = ("grpcio", "protobuf", "httptools", "httpx", "orjson", "uvloop")


def before() -> dict[str, str]:
    """Returns the conditions that are known when a run starts."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    others = ", ".join(f"{name} {number}" for name, number in servers.versions().items())
    system = f"{platform.system()} {platform.release()}"
    return {
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, {_processor()}, {system}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {packages}",
        "compared with": others or "nothing else",
        "load before": _load(),
    }


def after(repeats: str, seed: int, seconds: float) -> dict[str, str]:
    """Returns the conditions that are known when a run ends."""
    took = f"{repeats} repeats in {seconds / 60:.0f} minutes, order drawn with seed {seed}"
    return {"load after": f"{_load()} (the benchmark's own included)", "run": took}


def _commit() -> str:
    if not (commit := _git("rev-parse", "--short=12", "HEAD")):
        return "unknown"
    changed = _git("status", "--porcelain", "--", "server", "client", "requirements", "bench")
    return f"{commit}, with changes that are not committed" if changed else commit


def _git(*arguments: str) -> str:
    command: Sequence[str] = ("git", "-C", str(ROOT), *arguments)
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())
