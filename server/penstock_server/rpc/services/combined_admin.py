"""AdminService for several worker processes: it asks each one and combines the answers."""

import asyncio
from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from penstock.channel import open_async_channel
from penstock.v1 import admin_pb2, admin_pb2_grpc
from penstock.v1.admin_pb2 import ListUpstreamsRequest, ListUpstreamsResponse, Replica
from penstock_server.rpc import status
from penstock_server.rpc.calls import Context

_ANSWER_LIMIT_S = 2.0

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
    """Reports the state of the upstreams as all processes see it."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Asks the AdminService of each process.

        Args:
            addresses: the address of each process's AdminService.
        """
        self._addresses = addresses

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
