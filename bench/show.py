"""Progress output."""

import sys


def say(line: str) -> None:
    """Prints a line immediately."""
    print(line, file=sys.stderr, flush=True)
