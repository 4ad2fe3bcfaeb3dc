"""AdminService."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1 import admin_pb2, admin_pb2_grpc
from penstock.v1.admin_pb2 import (
    AdapterReplica,
    ListAdaptersRequest,
    ListAdaptersResponse,
    ListUpstreamsRequest,
    ListUpstreamsResponse,
    LoadAdapterRequest,
    LoadAdapterResponse,
    ReplicaResult,
    ResetCachesRequest,
    ResetCachesResponse,
    SleepRequest,
    SleepResponse,
    UnloadAdapterRequest,
    UnloadAdapterResponse,
    WakeUpRequest,
    WakeUpResponse,
)
from penstock.v1.common_pb2 import EngineOptions
from penstock.version import __version__
from penstock_server.convert import admin
from penstock_server.convert.model import capabilities
from penstock_server.fleet import Adapter, Fleet, ReplicaState, State
from penstock_server.rpc import status
from penstock_server.rpc.calls import Context, Rpc, upstream_call
from penstock_server.upstream import ALL_OPERATIONS, Call

if TYPE_CHECKING:
    from penstock_server.fleet import AdapterState, Outcome
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
    """Reports the state of the upstreams, and changes that of their engines.

    Attributes:
        generation: the number of the configuration in force.
    """

    def __init__(
        self,
        fleet: Fleet,
        generation: int = 1,
        certificate: "Certificate | None" = None,
        *,
        changes: bool = False,
    ) -> None:
        """Serves from a fleet whose configuration comes into force now.

        Args:
            fleet: the fleet.
            generation: the number of the configuration.
            certificate: the certificate that callers see; None without TLS.
            changes: whether callers may change engines.
        """
        self._changes = changes
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
            server_version=__version__,
            configuration_generation=self.generation,
            configuration_time=self._configured,
        )
        if self._certificate:
            answer.certificate_expire_time.FromDatetime(self._certificate.expires)
            answer.certificate_problem = self._certificate.problem
        return answer

    async def Sleep(self, request: SleepRequest, context: Context) -> SleepResponse:
        """Puts engines to sleep."""
        call, names = self._begin(request, context)
        level, mode = admin.level(request), admin.mode(request)
        return SleepResponse(results=results(await self._fleet.sleep(names, call, level, mode)))

    async def WakeUp(self, request: WakeUpRequest, context: Context) -> WakeUpResponse:
        """Wakes engines."""
        call, names = self._begin(request, context)
        return WakeUpResponse(results=results(await self._fleet.wake_up(names, call, request.tags)))

    async def ResetCaches(
        self, request: ResetCachesRequest, context: Context
    ) -> ResetCachesResponse:
        """Empties caches of engines."""
        call, names = self._begin(request, context)
        routes = admin.cache_routes(request)
        outcomes = await self._fleet.reset_caches(names, call, routes)
        return ResetCachesResponse(results=results(outcomes))

    async def ListAdapters(
        self, request: ListAdaptersRequest, context: Context
    ) -> ListAdaptersResponse:
        """Lists the adapters that replicas have or must have."""
        return ListAdaptersResponse(adapters=map(_adapter, self._fleet.adapters))

    async def LoadAdapter(
        self, request: LoadAdapterRequest, context: Context
    ) -> LoadAdapterResponse:
        """Loads an adapter on all replicas of its model."""
        call = self._begin_change(context)
        admin.require_texts(request)
        model, base = self._fleet.base_model(request.model)
        admin.require_base(model, base)
        admin.require_free(request.name, taken=self._fleet.is_other_model(request.name, model))
        adapter = Adapter(request.name, model, request.path)
        return LoadAdapterResponse(results=results(await self._fleet.load_adapter(adapter, call)))

    async def UnloadAdapter(
        self, request: UnloadAdapterRequest, context: Context
    ) -> UnloadAdapterResponse:
        """Unloads an adapter from all replicas that have it."""
        call = self._begin_change(context)
        admin.require_texts(request)
        outcomes = await self._fleet.unload_adapter(request.name, call)
        return UnloadAdapterResponse(results=results(outcomes))

    def _begin(
        self, request: SleepRequest | WakeUpRequest | ResetCachesRequest, context: Context
    ) -> tuple[Call, Sequence[str]]:
        """Returns the call, and the names of its upstreams.

        Raises:
            Refusal: callers may not change engines.
            InvalidRequest: an upstream is not known, or none is named.
        """
        call = self._begin_change(context)
        return call, admin.upstreams(request.upstreams, self._fleet.upstreams)

    def _begin_change(self, context: Context) -> Call:
        """Returns the call.

        Raises:
            Refusal: callers may not change engines.
        """
        rpc = Rpc.of(context)
        require_changes(rpc, allowed=self._changes)
        return upstream_call(rpc, "", EngineOptions())


def require_changes(rpc: Rpc, *, allowed: bool) -> None:
    """Checks whether callers may change engines.

    Raises:
        Refusal: they may not.
    """
    if not allowed:
        raise status.Refusal(status.of_unguarded_method(rpc.method[1:]))


def results(outcomes: "Sequence[Outcome]") -> Iterator[ReplicaResult]:
    """Yields the messages for the outcomes of a request to several replicas.

    Raises:
        UpstreamFailure: all of them failed; the failure of the first.
    """
    failures = [one.failure for one in outcomes if one.failure]
    if failures and len(failures) == len(outcomes):
        raise failures[0]
    return map(_result, outcomes)


def _result(outcome: "Outcome") -> ReplicaResult:
    failed = status.of_failure(outcome.failure) if outcome.failure else None
    return ReplicaResult(
        upstream=outcome.upstream,
        address=outcome.address,
        reason=failed.row.reason if failed else "",
        message=failed.message if failed else "",
        asleep=outcome.asleep,
    )


def _adapter(state: "AdapterState") -> admin_pb2.Adapter:
    adapter = state.adapter
    return admin_pb2.Adapter(
        name=adapter.name,
        model=adapter.model,
        path=adapter.path,
        kept=state.kept,
        replicas=[
            AdapterReplica(
                upstream=one.upstream,
                address=one.address,
                loaded=one.loaded,
                last_error=one.last_error,
            )
            for one in state.placements
        ],
    )


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
