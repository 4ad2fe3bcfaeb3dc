"""The state of a replica at a moment, for reports."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """The state of a replica."""

    PROBING = "probing"
    """It has not been probed yet."""
    READY = "ready"
    SLOW_START = "slow_start"
    """It is new or has returned, and gets less than its full share for a while."""
    DOWN = "down"
    """It cannot be reached, or its last probes failed."""
    SLEEPING = "sleeping"
    """Its engine is asleep or paused."""
    EJECTED = "ejected"
    """Its requests kept failing."""
    DRAINING = "draining"
    """It is shutting down."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """The state of a replica at a moment.

    Attributes:
        upstream: the name of the configured upstream.
        address: host and port, or the path of the socket.
        state: its state.
        models: the public names of its models, sorted.
        operations: the names of the operations it serves; empty if they are not known.
        outstanding: the number of requests under way.
        connections: the number of connections in use, including those of probes.
        requests: the number of requests so far.
        errors: the number of requests that failed through no fault of their callers.
        ejections: the number of ejections so far.
        consecutive_failures: the number of failures in a row up to now.
        adapters_restored: the number of LoRA adapters that were loaded again so far.
        adapters_failed: the number of attempts to load one again that failed so far.
        latency_ms: the time until an answer's headers, a moving average; None before the first.
        version: its version; empty if it reports none.
        weight: its share at this moment, relative to other replicas.
        last_error: the last error.
        model_list_oddities: description of oddities in its model list; empty without any.
        ejected_until: the time of its next trial, in Unix time; None if it is not ejected.
    """

    upstream: str
    address: str
    state: State
    models: tuple[str, ...]
    operations: tuple[str, ...]
    outstanding: int
    connections: int
    requests: int
    errors: int
    ejections: int
    consecutive_failures: int
    adapters_restored: int
    adapters_failed: int
    latency_ms: float | None
    version: str
    weight: float
    last_error: str
    model_list_oddities: str
    ejected_until: float | None
