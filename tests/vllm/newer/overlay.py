"""Replaces the Python files of an installed vLLM with those of a wheel; compiled files stay.

    python newer/overlay.py vllm-0.33.0-….whl .../site-packages

A version without a build for CPU runs in this way while it calls no compiled function that the
installed build lacks.
"""

import sys
import zipfile
from pathlib import Path, PurePosixPath

COMPILED = (".so", "")
"""The suffixes of compiled files; the programs among them have none."""


def main() -> int:
    """Removes the old files and unpacks the new ones; returns the exit status."""
    wheel, site = Path(sys.argv[1]), Path(sys.argv[2])
    for file in (site / "vllm").rglob("*"):
        if file.is_file() and file.suffix not in COMPILED:
            file.unlink()
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(site, [name for name in opened.namelist() if _is_wanted(name)])
    return 0


def _is_wanted(name: str) -> bool:
    return name.startswith("vllm/") and PurePosixPath(name).suffix not in COMPILED


if __name__ == "__main__":
    sys.exit(main())
