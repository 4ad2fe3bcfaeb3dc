"""The programs that `install.sh` installs."""

import os
import subprocess
from pathlib import Path

_CACHE = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
FOLDER = Path(os.environ.get("PENSTOCK_CACHE") or Path(_CACHE, "penstock")) / "manifests"
_BOUND_S = 240


def output(command: str, *arguments: str | Path) -> str:
    """Runs a program to its end and returns what it prints; fails if the program does."""
    ended = run(command, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def run(command: str, *arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a program of the folder to its end."""
    return subprocess.run(
        (FOLDER / command, *arguments),
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=_BOUND_S,
    )
