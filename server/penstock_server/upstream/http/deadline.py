"""The limits of waiting for an answer: a deadline, or the timeouts of httpx."""

import math
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, TypeAlias

Extensions: TypeAlias = Mapping[str, Any]

_NO_TIMEOUTS: Mapping[str, float | None] = {}


def deadline(extensions: Extensions) -> float:
    """Returns the end of the next wait for a request, by the monotonic clock."""
    until: Callable[[], float] | None = extensions.get("deadline")
    if until:
        return until()
    read_s = timeouts(extensions).get("read")
    return math.inf if read_s is None else monotonic() + read_s


def timeouts(extensions: Extensions) -> Mapping[str, float | None]:
    """Returns the limits of a request in seconds, by the names of httpx."""
    limits: Mapping[str, float | None] = extensions.get("timeout", _NO_TIMEOUTS)
    return limits
