"""The number and choice of examples.

`make test` tries few examples, the same every time. `make fuzz` sets FUZZ_FACTOR to try that many
times as many, drawn anew in each run.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

Test = TypeVar("Test", bound=Callable[..., Any])

_FACTOR = int(os.environ.get("FUZZ_FACTOR", "0"))
IS_LONG = bool(_FACTOR)
"""Whether this is `make fuzz`."""


def examples(number: int) -> Callable[[Test], Test]:
    """Decorates a test with a number of examples."""
    return settings(
        max_examples=number * (_FACTOR or 1),
        derandomize=not _FACTOR,
        database=None,
        deadline=None,
        # The service is the same for all examples of a test.
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
