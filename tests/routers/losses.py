"""What each router loses on the way: the cases of the acceptance suite that fail through it.

Each is run, and must fail: a loss that is no longer one fails the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Loss:
    """Cases that a router makes impossible.

    Attributes:
        why: what the router does.
        cases: names of functions, with their parameters or without, by their modules.
    """

    why: str
    cases: Mapping[str, tuple[str, ...]]


LOSSES: Mapping[str, tuple[Loss, ...]] = {}


def mark_losses(item: pytest.Item, router: str) -> None:
    """Marks a case that the router is known to make fail."""
    name = item.nodeid.rpartition("::")[2]
    for loss in LOSSES.get(router, ()):
        cases = loss.cases.get(item.path.stem, ())
        if name in cases or name.partition("[")[0] in cases:
            item.add_marker(pytest.mark.xfail(reason=loss.why, strict=True))
