"""The replicas of all upstreams, their state, and the choice of a replica for each call.

Other packages import from here.
"""

from typing import TYPE_CHECKING, Any

from penstock_server.fleet.kept_adapters import Adapter, KeptAdapters
from penstock_server.fleet.policy import Affinity, Policy
from penstock_server.fleet.replica_state import ReplicaState, State

if TYPE_CHECKING:
    from penstock_server.fleet.adapters import AdapterState
    from penstock_server.fleet.engines import Outcome
    from penstock_server.fleet.fleet import Fleet
    from penstock_server.fleet.listing import ModelListing

__all__ = [
    "Adapter",
    "AdapterState",
    "Affinity",
    "Fleet",
    "KeptAdapters",
    "ModelListing",
    "Outcome",
    "Policy",
    "ReplicaState",
    "State",
]


def __getattr__(name: str) -> Any:
    # The configuration imports the policy and should not load the HTTP side for it.
    if name not in ("AdapterState", "Fleet", "ModelListing", "Outcome"):
        raise AttributeError(name)
    from penstock_server.fleet import adapters, engines, fleet, listing

    homes = {
        "AdapterState": adapters,
        "Fleet": fleet,
        "ModelListing": listing,
        "Outcome": engines,
    }
    return getattr(homes[name], name)
