"""Stamps of files, by which changes are detected."""

import os
from typing import TypeAlias

FileStamp: TypeAlias = tuple[int, ...] | None
"""Differs whenever a file has changed; None for a missing file."""


def stamp(path: str) -> FileStamp:
    """Returns the stamp of a file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
