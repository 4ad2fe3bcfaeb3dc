"""Calls for operators of a service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.options import CallOptions, enum_name
from penstock._base.result import Items, Result
from penstock.v1.admin_pb2 import ListUpstreamsRequest, ListUpstreamsResponse, ReplicaState
from penstock.v1.admin_pb2 import Replica as ReplicaProto
from penstock.v1.admin_pb2_grpc import AdminServiceStub

_READY = ("ready", "slow_start")


@dataclass(frozen=True, slots=True)
class Replica:
    """One server behind an upstream of the service.

    Attributes:
        proto: the message as received.
    """

    proto: ReplicaProto

    @property
    def upstream(self) -> str:
        """Name of the upstream."""
        return self.proto.upstream

    @property
    def address(self) -> str:
        """Address as "host:port"."""
        return self.proto.address

    @property
    def state(self) -> str:
        """State, such as "ready", "down" or "ejected"."""
        return enum_name(ReplicaState.DESCRIPTOR, self.proto.state) or str(self.proto.state)

    @property
    def ready(self) -> bool:
        """Whether the replica receives calls, even if fewer than its share."""
        return self.state in _READY

    @property
    def models(self) -> Sequence[str]:
        """Names of the models that calls can use."""
        return self.proto.models

    @property
    def latency(self) -> float | None:
        """Average seconds to response headers, weighted to recent calls; None before the first."""
        latency = self.proto.latency
        return latency.seconds + latency.nanos / 1e9 if self.proto.HasField("latency") else None


class UpstreamList(Result[ListUpstreamsResponse], Items[Replica]):
    """Replicas, sorted by upstream and address."""

    @property
    def server_version(self) -> str:
        """Version of the service."""
        return self.proto.server_version

    @property
    def certificate_problem(self) -> str:
        """Why the service cannot use its changed certificate files; empty if it can."""
        return self.proto.certificate_problem

    def _items(self) -> Sequence[Replica]:
        return [Replica(one) for one in self.proto.replicas]


class Admin(Resource):
    """Calls to the admin address of a service, which must be the client's target."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = AdminServiceStub(caller.channel)

    def upstreams(self, **options: Unpack[CallOptions]) -> UpstreamList:
        """Returns all servers to which the service sends calls.

            >>> with Client(admin_target) as admin:
            ...     for replica in admin.admin.upstreams():
            ...         print(replica.state, list(replica.models))
            ready ['tiny-chat', 'tiny-chat-alias']

        Raises:
            UnimplementedError: the target is the service's address for calls.
            CallError: the call ended with a status other than OK.
        """
        request = ListUpstreamsRequest()
        return self._caller.call(self._stub.ListUpstreams, request, options, UpstreamList)


class AsyncAdmin(AsyncResource):
    """Asynchronous counterpart of `Admin`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = AdminServiceStub(caller.channel)

    async def upstreams(self, **options: Unpack[CallOptions]) -> UpstreamList:
        """See `Admin.upstreams`."""
        request = ListUpstreamsRequest()
        return await self._caller.call(self._stub.ListUpstreams, request, options, UpstreamList)
