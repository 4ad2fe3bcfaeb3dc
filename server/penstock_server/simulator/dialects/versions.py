"""The versions of vLLM whose speech is known."""

import re
from typing import Any, TypeAlias

Version: TypeAlias = tuple[int, ...]

NEWEST = "0.32.0"
"""The version whose wire format the simulator was made after."""

_OLDEST = (0, 10)


def version(value: Any) -> str:
    """Reads a version, such as 0.14 or 0.10.1; ValueError if it is none or too old."""
    if not isinstance(value, str) or not re.fullmatch(r"\d+\.\d+(\.\d+)?", value):
        raise ValueError(f"must be a vLLM version, such as {NEWEST}")
    if numbers(value) < _OLDEST:
        raise ValueError("must be 0.10 or newer")
    return value


def numbers(version: str) -> Version:
    """The numbers of a version, which can be compared."""
    return tuple(int(part) for part in version.split("."))
