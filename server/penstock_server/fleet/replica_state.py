"""What is known of a replica at a moment, for those who look on."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """What a replica is doing."""

    PROBING = "probing"
    """Nothing is known of it yet."""
    READY = "ready"
    SLOW_START = "slow_start"
    """It is new or came back, and gets less than its share for a while."""
    DOWN = "down"
    """It cannot be reached, or its last probes failed."""
    EJECTED = "ejected"
    """Its calls kept failing."""
    DRAINING = "draining"
    """It is shutting down."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What is known of a replica at a moment.

    Attributes:
        upstream: the name of the configured upstream.
        address: host and port, or the path of the socket.
        state: what it is doing.
        models: the public names of its models, sorted.
        operations: the names of the operations it serves; empty if that is not known.
        outstanding: calls under way.
        requests: calls that were sent to it.
        errors: of these, the ones that failed by no fault of their caller.
        consecutive_failures: as many of the latest calls speak against it.
        latency_ms: the time until an answer's headers, a moving average; None before the first.
        version: the version it tells; empty if it tells none.
        weight: its share at this moment, against that of others.
        last_error: what was wrong with the last of the errors.
        model_list_oddities: what is odd in its model list; empty for nothing.
        ejected_until: when it is given another chance, in Unix time; None if it is not ejected.
    """

    upstream: str
    address: str
    state: State
    models: tuple[str, ...]
    operations: tuple[str, ...]
    outstanding: int
    requests: int
    errors: int
    consecutive_failures: int
    latency_ms: float | None
    version: str
    weight: float
    last_error: str
    model_list_oddities: str
    ejected_until: float | None
