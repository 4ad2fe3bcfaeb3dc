"""The versions of vLLM whose wire format is known."""

import re
from typing import Any

from penstock_server.vllm_fields import OLDEST, numbers

NEWEST = "0.32.0"
"""The version whose wire format the simulator implements."""


def version(value: Any) -> str:
    """Reads a version, such as 0.14 or 0.10.1.

    Raises:
        ValueError: the value is not a version, or the version is too old.
    """
    if not isinstance(value, str) or not re.fullmatch(r"\d+\.\d+(\.\d+)?", value):
        raise ValueError(f"must be a vLLM version, such as {NEWEST}")
    if numbers(value) is None:
        raise ValueError(f"must be {'.'.join(map(str, OLDEST))} or newer")
    return value
