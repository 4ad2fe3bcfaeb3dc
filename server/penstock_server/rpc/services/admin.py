"""AdminService."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1 import admin_pb2, admin_pb2_grpc
from penstock.v1.admin_pb2 import ListUpstreamsRequest, ListUpstreamsResponse
from penstock_server.convert.model import capabilities
from penstock_server.fleet import Fleet, ReplicaState, State
from penstock_server.rpc.calls import Context
from penstock_server.upstream import ALL_OPERATIONS

if TYPE_CHECKING:
    from penstock_server.telemetry.metrics import Certificate

_ROUTES = {operation.name: operation.routes for operation in ALL_OPERATIONS}
_STATES = {
    State.PROBING: admin_pb2.REPLICA_STATE_PROBING,
    State.READY: admin_pb2.REPLICA_STATE_READY,
    State.SLOW_START: admin_pb2.REPLICA_STATE_SLOW_START,
    State.DOWN: admin_pb2.REPLICA_STATE_DOWN,
    State.SLEEPING: admin_pb2.REPLICA_STATE_SLEEPING,
    State.EJECTED: admin_pb2.REPLICA_STATE_EJECTED,
    State.DRAINING: admin_pb2.REPLICA_STATE_DRAINING,
}


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Reports the state of the upstreams.

    Attributes:
        generation: the number of the configuration in force.
    """

    def __init__(
        self, fleet: Fleet, generation: int = 1, certificate: "Certificate | None" = None
    ) -> None:
        """Reports on a fleet whose configuration comes into force now.

        Args:
            fleet: the fleet.
            generation: the number of the configuration.
            certificate: the certificate that callers see; None without TLS.
        """
        self._fleet = fleet
        self._certificate = certificate
        self.generation = generation - 1
        self._configured = Timestamp()
        self.record_configuration()

    def record_configuration(self) -> None:
        """Records that another configuration comes into force now."""
        self.generation += 1
        self._configured.GetCurrentTime()

    async def ListUpstreams(
        self, request: ListUpstreamsRequest, context: Context
    ) -> ListUpstreamsResponse:
        """Lists every replica with its state and its counts."""
        known = sorted(self._fleet.snapshot(), key=lambda one: (one.upstream, one.address))
        answer = ListUpstreamsResponse(
            replicas=map(replica, known),
            server_version=version("penstock"),
            configuration_generation=self.generation,
            configuration_time=self._configured,
        )
        if self._certificate:
            answer.certificate_expire_time.FromDatetime(self._certificate.expires)
            answer.certificate_problem = self._certificate.problem
        return answer


def replica(known: ReplicaState) -> admin_pb2.Replica:
    """Returns the message for the state of one replica."""
    routes = (route for name in known.operations for route in _ROUTES[name])
    made = admin_pb2.Replica(
        upstream=known.upstream,
        address=known.address,
        state=_STATES[known.state],
        models=known.models,
        capabilities=capabilities(routes),
        outstanding=known.outstanding,
        requests=known.requests,
        errors=known.errors,
        consecutive_failures=known.consecutive_failures,
        version=known.version,
        weight=known.weight,
        last_error=known.last_error,
        model_list_oddities=known.model_list_oddities,
    )
    if known.latency_ms is not None:
        made.latency.FromMicroseconds(round(known.latency_ms * 1000))
    if known.ejected_until is not None:
        made.ejected_until.FromMilliseconds(round(known.ejected_until * 1000))
    return made
