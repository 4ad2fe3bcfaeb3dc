"""Balancing: a request goes to the replica with the fewest requests for its weight."""

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

from penstock_server.fleet.load import Load


class Loaded(Protocol):
    """Anything with a load."""

    @property
    def load(self) -> Load:
        """The load that the choice depends on."""


L = TypeVar("L", bound=Loaded)


def least_loaded(replicas: Sequence[L], now: float, chance: Random) -> L:
    """Returns the replica with the fewest requests for its weight, counting the next one.

    Among equals the choice is random. If an idle replica is among the best, the choice is among
    all idle ones, in proportion to their weights: then a few requests are shared by weight, too.
    """
    if len(replicas) == 1:
        return replicas[0]
    weights = [replica.load.weight(now) for replica in replicas]
    loads = [(r.load.outstanding + 1) / w for r, w in zip(replicas, weights, strict=True)]
    least = min(loads)
    best = [index for index, load in enumerate(loads) if load == least]
    if any(not replicas[index].load.outstanding for index in best):
        idle = [index for index, replica in enumerate(replicas) if not replica.load.outstanding]
        return replicas[chance.choices(idle, [weights[index] for index in idle])[0]]
    return replicas[chance.choice(best)]
