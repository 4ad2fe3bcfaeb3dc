"""Builds the site in build/docs: python -m website."""

import subprocess
import sys

from website.build import build
from website.index import ROOT
from website.sources import DeadLink


def main() -> int:
    """Runs the command line; returns the exit code."""
    try:
        print(f"The site is in {build(ROOT / 'build' / 'docs').relative_to(ROOT)}.")
    except DeadLink as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
