"""What the people who run a service ask it."""

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
        proto: all that is known of it.
    """

    proto: ReplicaProto

    @property
    def upstream(self) -> str:
        """Name of the upstream."""
        return self.proto.upstream

    @property
    def address(self) -> str:
        """Where it is, as "host:port"."""
        return self.proto.address

    @property
    def state(self) -> str:
        """What it is doing, as "ready", "down" or "ejected"."""
        return enum_name(ReplicaState.DESCRIPTOR, self.proto.state) or str(self.proto.state)

    @property
    def ready(self) -> bool:
        """Whether it gets calls, perhaps fewer than its share."""
        return self.state in _READY

    @property
    def models(self) -> Sequence[str]:
        """The models that calls can name."""
        return self.proto.models

    @property
    def latency(self) -> float | None:
        """Seconds to an answer's headers, recent ones counting most; None before the first."""
        told = self.proto.latency
        return told.seconds + told.nanos / 1e9 if self.proto.HasField("latency") else None


class UpstreamList(Result[ListUpstreamsResponse], Items[Replica]):
    """Replicas, sorted by upstream and address."""

    @property
    def server_version(self) -> str:
        """Version of the service."""
        return self.proto.server_version

    def _items(self) -> Sequence[Replica]:
        return [Replica(one) for one in self.proto.replicas]


class Admin(Resource):
    """What a service tells of itself, on an address of its own: the client's target."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = AdminServiceStub(caller.channel)

    def upstreams(self, **options: Unpack[CallOptions]) -> UpstreamList:
        """Returns every server that the service sends calls to.

            >>> with Client(admin_target) as admin:
            ...     for replica in admin.admin.upstreams():
            ...         print(replica.state, list(replica.models))
            ready ['tiny-chat', 'tiny-chat-alias']

        Raises:
            UnimplementedError: the target is the service's address for calls.
            CallError: the call ended with another status than OK.
        """
        request = ListUpstreamsRequest()
        return self._caller.call(self._stub.ListUpstreams, request, options, UpstreamList)


class AsyncAdmin(AsyncResource):
    """As `Admin`, awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = AdminServiceStub(caller.channel)

    async def upstreams(self, **options: Unpack[CallOptions]) -> UpstreamList:
        """As `Admin.upstreams`."""
        request = ListUpstreamsRequest()
        return await self._caller.call(self._stub.ListUpstreams, request, options, UpstreamList)
