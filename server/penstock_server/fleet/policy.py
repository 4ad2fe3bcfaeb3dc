"""The configured policy for replicas."""

from dataclasses import dataclass
from enum import StrEnum


class Affinity(StrEnum):
    """The property that keeps related calls on one replica."""

    NONE = "none"
    SESSION = "session"
    """Their callers chose the same key."""
    PREFIX = "prefix"
    """Their callers chose the same key, or none, and their prompts begin alike."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy; times in seconds.

    Attributes:
        probe_interval: the time between two probes of a replica, and between two resolutions of
            a name.
        probe_timeout: the limit of each request of a probe.
        affinity: the key that keeps calls on one replica.
        max_attempts: the most requests for one call.
        retry_budget: share of requests that may be retried.
        hedge_after: the time after which a call without a first byte is also sent to another
            replica; 0 for never.
        ejection_failures: the number of failures in a row that ejects a replica.
        ejection_time: the length of the first ejection; it doubles each time the trial fails.
        slow_start: the time until a new or returning replica has its full share.
    """

    probe_interval: float = 2.0
    probe_timeout: float = 5.0
    affinity: Affinity = Affinity.NONE
    max_attempts: int = 3
    retry_budget: float = 0.2
    hedge_after: float = 0.0
    ejection_failures: int = 5
    ejection_time: float = 5.0
    slow_start: float = 5.0
