"""AdminService for several worker processes: it asks each one and combines the answers."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from penstock.channel import open_async_channel
from penstock.errors import from_rpc
from penstock.v1 import admin_pb2, admin_pb2_grpc
from penstock.v1.admin_pb2 import (
    ListAdaptersRequest,
    ListAdaptersResponse,
    ListUpstreamsRequest,
    ListUpstreamsResponse,
    LoadAdapterRequest,
    LoadAdapterResponse,
    Replica,
    ResetCachesRequest,
    ResetCachesResponse,
    SleepRequest,
    SleepResponse,
    UnloadAdapterRequest,
    UnloadAdapterResponse,
    WakeUpRequest,
    WakeUpResponse,
)
from penstock_server.rpc import status
from penstock_server.rpc.calls import Context, Rpc
from penstock_server.rpc.services.admin import require_changes

_ANSWER_LIMIT_S = 2.0
_REQUEST_ID = "x-request-id"

# From the state that needs no attention to the one that needs most.
_STATES = (
    admin_pb2.REPLICA_STATE_UNSPECIFIED,
    admin_pb2.REPLICA_STATE_READY,
    admin_pb2.REPLICA_STATE_SLOW_START,
    admin_pb2.REPLICA_STATE_SLEEPING,
    admin_pb2.REPLICA_STATE_PROBING,
    admin_pb2.REPLICA_STATE_DRAINING,
    admin_pb2.REPLICA_STATE_EJECTED,
    admin_pb2.REPLICA_STATE_DOWN,
)


class CombinedAdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Reports the state of the upstreams as all processes see it, and lets one change engines."""

    def __init__(self, addresses: Sequence[str], *, changes: bool = False) -> None:
        """Asks the AdminService of each process.

        Args:
            addresses: the address of each process's AdminService.
            changes: whether callers may change engines.
        """
        self._addresses = addresses
        self._changes = changes

    async def ListUpstreams(
        self, request: ListUpstreamsRequest, context: Context
    ) -> ListUpstreamsResponse:
        """Lists every replica once; leaves out processes that do not answer.

        Raises:
            Refusal: no process answers.
        """
        asked = await asyncio.gather(*(_ask(address) for address in self._addresses))
        answers = [answer for answer in asked if answer]
        if not answers:
            raise status.Refusal(status.of_silent_workers(len(self._addresses)))
        return combined(answers)

    async def Sleep(self, request: SleepRequest, context: Context) -> SleepResponse:
        """Puts engines to sleep."""
        answer: SleepResponse = await self._by_one("Sleep", request, Rpc.of(context))
        return answer

    async def WakeUp(self, request: WakeUpRequest, context: Context) -> WakeUpResponse:
        """Wakes engines."""
        answer: WakeUpResponse = await self._by_one("WakeUp", request, Rpc.of(context))
        return answer

    async def ResetCaches(
        self, request: ResetCachesRequest, context: Context
    ) -> ResetCachesResponse:
        """Empties caches of engines."""
        answer: ResetCachesResponse = await self._by_one("ResetCaches", request, Rpc.of(context))
        return answer

    async def ListAdapters(
        self, request: ListAdaptersRequest, context: Context
    ) -> ListAdaptersResponse:
        """Lists the adapters as the process sees them that loads them."""
        rpc = Rpc.of(context)
        answer: ListAdaptersResponse = await self._first("ListAdapters", request, rpc)
        return answer

    async def LoadAdapter(
        self, request: LoadAdapterRequest, context: Context
    ) -> LoadAdapterResponse:
        """Loads an adapter on all replicas of its model."""
        answer: LoadAdapterResponse = await self._by_one("LoadAdapter", request, Rpc.of(context))
        return answer

    async def UnloadAdapter(
        self, request: UnloadAdapterRequest, context: Context
    ) -> UnloadAdapterResponse:
        """Unloads an adapter from all replicas that have it."""
        rpc = Rpc.of(context)
        answer: UnloadAdapterResponse = await self._by_one("UnloadAdapter", request, rpc)
        return answer

    async def _by_one(self, method: str, request: Message, rpc: Rpc) -> Any:
        """Lets the first process that answers change engines; see `_first`.

        The others notice by their probes.

        Raises:
            Refusal: callers may not change engines, or no process answers.
            grpc.aio.AbortError: see `_first`.
        """
        require_changes(rpc, allowed=self._changes)
        return await self._first(method, request, rpc)

    async def _first(self, method: str, request: Message, rpc: Rpc) -> Any:
        """Returns the answer of the first process that answers.

        Raises:
            Refusal: no process answers.
            grpc.aio.AbortError: the process ended the call with an error, which the caller gets.
        """
        for address in self._addresses:
            async with open_async_channel(address) as channel:
                call = getattr(admin_pb2_grpc.AdminServiceStub(channel), method)
                try:
                    return await call(
                        request,
                        timeout=rpc.context.time_remaining(),
                        metadata=((_REQUEST_ID, rpc.request_id),),
                    )
                except aio.AioRpcError as error:
                    trailers = tuple(error.trailing_metadata())
                    # gRPC's own errors, such as that of a process that has died, have none.
                    if _REQUEST_ID in dict(trailers):
                        rpc.code = error.code()
                        rpc.reason = from_rpc(error, rpc.request_id).reason
                        await rpc.context.abort(error.code(), error.details() or "", trailers)
        raise status.Refusal(status.of_silent_workers(len(self._addresses)))


async def _ask(address: str) -> ListUpstreamsResponse | None:
    async with open_async_channel(address) as channel:
        stub = admin_pb2_grpc.AdminServiceStub(channel)
        try:
            return await stub.ListUpstreams(ListUpstreamsRequest(), timeout=_ANSWER_LIMIT_S)
        except aio.AioRpcError:
            return None


def combined(answers: Sequence[ListUpstreamsResponse]) -> ListUpstreamsResponse:
    """Returns the answers of several processes as one.

    Counts are added up; of states and errors, the one that needs most attention is kept. The
    configuration is the latest that every process has, the certificate the one that expires first.
    """
    views: dict[tuple[str, str], list[Replica]] = {}
    for answer in answers:
        for replica in answer.replicas:
            views.setdefault((replica.upstream, replica.address), []).append(replica)
    oldest = min(
        answers,
        key=lambda answer: (
            answer.configuration_generation,
            answer.configuration_time.ToNanoseconds(),
        ),
    )
    made = ListUpstreamsResponse(
        replicas=[_replica(views[key]) for key in sorted(views)],
        server_version=oldest.server_version,
        configuration_generation=oldest.configuration_generation,
        configuration_time=oldest.configuration_time,
        certificate_problem=next(filter(None, (one.certificate_problem for one in answers)), ""),
    )
    if expiring := [
        one.certificate_expire_time for one in answers if one.HasField("certificate_expire_time")
    ]:
        made.certificate_expire_time.CopyFrom(min(expiring, key=Timestamp.ToNanoseconds))
    return made


def _replica(views: Sequence[Replica]) -> Replica:
    made = Replica()
    made.CopyFrom(max(views, key=lambda view: _STATES.index(view.state)))
    made.outstanding = sum(view.outstanding for view in views)
    made.requests = sum(view.requests for view in views)
    made.errors = sum(view.errors for view in views)
    made.consecutive_failures = max(view.consecutive_failures for view in views)
    made.weight = sum(view.weight for view in views) / len(views)
    made.last_error = made.last_error or next(filter(None, (v.last_error for v in views)), "")
    odd = (view.model_list_oddities for view in views)
    made.model_list_oddities = made.model_list_oddities or next(filter(None, odd), "")
    if timed := [view for view in views if view.HasField("latency")]:
        made.latency.FromMicroseconds(_mean_latency(timed))
    return made


def _mean_latency(views: Iterable[Replica]) -> int:
    """Returns the mean in microseconds, weighted by the requests of each process."""
    pairs = [(view.latency.ToMicroseconds(), max(1, view.requests)) for view in views]
    return round(sum(latency * share for latency, share in pairs) / sum(s for _, s in pairs))
