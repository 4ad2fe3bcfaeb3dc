"""How a fleet deals with its replicas, as configured."""

from dataclasses import dataclass
from enum import StrEnum


class Affinity(StrEnum):
    """What keeps calls on one replica."""

    NONE = "none"
    SESSION = "session"
    """That they are of one session id."""
    PREFIX = "prefix"
    """That their prompts begin alike."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy; times in seconds.

    Attributes:
        probe_interval: between two probes of a replica, and between two resolutions of a name.
        probe_timeout: for each request of a probe.
        affinity: what keeps calls on one replica.
        max_attempts: most requests for one call.
        retry_budget: requests sent again, as a share of the calls.
        hedge_after: until a call without a first byte is sent to another replica as well; 0 for
            never.
        ejection_failures: as many failures in a row take a replica out.
        ejection_time: for so long, at first; twice as long each time it fails again.
        slow_start: until a replica that is new or came back has its full share.
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
