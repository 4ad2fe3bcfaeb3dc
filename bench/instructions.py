"""Instructions of the conversions, counted by callgrind and compared with a stored baseline.

Unlike times, these numbers hardly depend on the machine and not at all on its load. They depend
on the versions of Python and of the compiled libraries, so each Python version has its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import conversions
from bench.load import LoadFailed
from bench.servers import ROOT

BASELINE = ROOT / "bench" / "instructions.json"
TOLERANCE = 0.15
_TIMEOUT_S = 300


def count() -> dict[str, int]:
    """Returns the instructions of each conversion.

    Raises:
        LoadFailed: valgrind is missing or failed.
    """
    if shutil.which("valgrind") is None:
        raise LoadFailed("valgrind is missing; see bench/README.md")
    with TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        command = (
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder / 'out'}",
            sys.executable,
            "-m",
            "bench.conversions",
        )
        env = os.environ | {"PYTHONHASHSEED": "0"}
        ran = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
        if ran.returncode:
            raise LoadFailed(f"callgrind failed: {ran.stderr[-1500:]}")
        return read(path.read_text() for path in folder.iterdir())


def read(dumps: Iterable[str]) -> dict[str, int]:
    """Returns the instructions of one run of each conversion, from callgrind's files."""
    found = {}
    for dump in dumps:
        name = re.search(r"^desc: Trigger: Client Request: (.+)$", dump, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", dump, re.MULTILINE)
        if name and total:
            found[name[1]] = int(total[1]) // conversions.TIMES
    return found


def version() -> str:
    """Returns the key of this Python's baseline."""
    return f"CPython {sys.version_info.major}.{sys.version_info.minor}"


def baseline() -> Mapping[str, int]:
    """Returns the stored counts for this version of Python.

    Raises:
        LoadFailed: there are no counts for it.
    """
    stored: dict[str, dict[str, int]] = json.loads(BASELINE.read_text())
    if version() not in stored:
        raise LoadFailed(f"no counts for {version()} are stored; run: make bench-baseline")
    return stored[version()]


def store(counts: Mapping[str, int]) -> None:
    """Makes these counts the baseline for this version of Python."""
    stored = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    stored[version()] = dict(counts)
    BASELINE.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")


def regressions(counts: Mapping[str, int], stored: Mapping[str, int]) -> list[str]:
    """Returns a line for each conversion that exceeds its baseline or is missing."""
    lines = []
    for name in sorted({*counts, *stored}):
        if name not in counts or name not in stored:
            lines.append(f"{name}: counted or stored, but not both; run: make bench-baseline")
        elif counts[name] > stored[name] * (1 + TOLERANCE):
            more = counts[name] / stored[name] - 1
            lines.append(f"{name}: {counts[name]:,} instructions, {more:.0%} over the baseline")
    return lines
