"""Lines for the person who waits."""

import sys


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, file=sys.stderr, flush=True)
