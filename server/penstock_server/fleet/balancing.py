"""Which of several replicas is asked: the one with the fewest calls under way for its weight."""

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

_LEAST_SHARE = 0.1


class Loaded(Protocol):
    """What the choice depends on."""

    @property
    def outstanding(self) -> int:
        """How many calls are under way."""

    def weight(self, now: float) -> float:
        """Returns its share, against that of the others."""


L = TypeVar("L", bound=Loaded)


def least_loaded(replicas: Sequence[L], now: float, chance: Random) -> L:
    """Returns the replica with the fewest calls for its weight, the next one counted in.

    Several that are as good are drawn from. So are all that are idle where one of them is the
    best, each as likely as its weight is large: few calls are shared by weight as well as many.
    """
    if len(replicas) == 1:
        return replicas[0]
    weights = [replica.weight(now) for replica in replicas]
    loads = [(r.outstanding + 1) / w for r, w in zip(replicas, weights, strict=True)]
    least = min(loads)
    best = [index for index, load in enumerate(loads) if load == least]
    if any(not replicas[index].outstanding for index in best):
        idle = [index for index, replica in enumerate(replicas) if not replica.outstanding]
        return replicas[chance.choices(idle, [weights[index] for index in idle])[0]]
    return replicas[chance.choice(best)]


def ramp(since: float, now: float, length_s: float) -> float:
    """Returns the share, above 0 and up to 1, of a replica that came at a time: slow start."""
    if now - since >= length_s:
        return 1.0
    return max(_LEAST_SHARE, (now - since) / length_s)
