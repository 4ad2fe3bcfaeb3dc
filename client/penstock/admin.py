"""Calls for operators of a service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.options import CallOptions, enum_name, enum_value
from penstock._base.result import Items, Result
from penstock.v1.admin_pb2 import (
    Adapter,
    EngineCache,
    ListAdaptersRequest,
    ListAdaptersResponse,
    ListUpstreamsRequest,
    ListUpstreamsResponse,
    LoadAdapterRequest,
    LoadAdapterResponse,
    ReplicaResult,
    ReplicaState,
    ResetCachesRequest,
    ResetCachesResponse,
    SleepMode,
    SleepRequest,
    SleepResponse,
    UnloadAdapterRequest,
    UnloadAdapterResponse,
    WakeUpRequest,
    WakeUpResponse,
)
from penstock.v1.admin_pb2 import Replica as ReplicaProto
from penstock.v1.admin_pb2_grpc import AdminServiceStub

SleepModeName: TypeAlias = Literal["abort", "wait", "keep"]
"""How an engine that falls asleep treats running calls."""
CacheName: TypeAlias = Literal["prefix", "multimodal", "encoder"]
"""A cache of an engine."""

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


class EngineResults(
    Result[
        SleepResponse
        | WakeUpResponse
        | ResetCachesResponse
        | LoadAdapterResponse
        | UnloadAdapterResponse
    ],
    Items[ReplicaResult],
):
    """Results for replicas, sorted by upstream and address; those with a `reason` failed."""

    @property
    def failed(self) -> Sequence[ReplicaResult]:
        """Results of replicas whose request failed."""
        return [one for one in self.proto.results if one.reason]

    def _items(self) -> Sequence[ReplicaResult]:
        return self.proto.results


class AdapterList(Result[ListAdaptersResponse], Items[Adapter]):
    """LoRA adapters, sorted by name."""

    def _items(self) -> Sequence[Adapter]:
        return self.proto.adapters


def _sleep(upstreams: Sequence[str], level: int, mode: SleepModeName) -> SleepRequest:
    known: Any = enum_value(SleepMode.DESCRIPTOR, mode)
    return SleepRequest(upstreams=upstreams, level=level, mode=known)


def _reset(upstreams: Sequence[str], caches: Sequence[CacheName]) -> ResetCachesRequest:
    known: list[Any] = [enum_value(EngineCache.DESCRIPTOR, cache) for cache in caches]
    return ResetCachesRequest(upstreams=upstreams, caches=known)


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

    def sleep(
        self,
        upstreams: Sequence[str],
        *,
        level: int = 1,
        mode: SleepModeName = "abort",
        **options: Unpack[CallOptions],
    ) -> EngineResults:
        """Puts the engines of upstreams to sleep.

            >>> with Client(admin_target, api_key=key) as admin:
            ...     for result in admin.admin.sleep(["vllm-0"]):
            ...         print(result.upstream, result.reason or result.asleep)
            vllm-0 True

        Args:
            upstreams: names of the upstreams.
            level: 0 to pause, 1 to move the weights to the host's memory, 2 to discard them.
            mode: whether running calls are aborted, completed first, or kept until it wakes.
            **options: options of the call.

        Raises:
            PermissionDeniedError: the service does not authenticate operators, or the caller is
                not one of them.
            UnimplementedError: no engine runs in vLLM's development mode.
            CallError: the call ended with a status other than OK, because all replicas failed.
        """
        request = _sleep(upstreams, level, mode)
        return self._caller.call(self._stub.Sleep, request, options, EngineResults)

    def wake_up(
        self, upstreams: Sequence[str], *, tags: Sequence[str] = (), **options: Unpack[CallOptions]
    ) -> EngineResults:
        """Wakes the engines of upstreams.

            >>> with Client(admin_target, api_key=key) as admin:
            ...     for result in admin.admin.wake_up(["vllm-0"]):
            ...         print(result.upstream, result.reason or result.asleep)
            vllm-0 False

        Args:
            upstreams: names of the upstreams.
            tags: parts to wake, such as "weights"; if empty, all.
            **options: options of the call.

        Raises:
            CallError: see `Admin.sleep`.
        """
        request = WakeUpRequest(upstreams=upstreams, tags=tags)
        return self._caller.call(self._stub.WakeUp, request, options, EngineResults)

    def reset_caches(
        self, upstreams: Sequence[str], caches: Sequence[CacheName], **options: Unpack[CallOptions]
    ) -> EngineResults:
        """Empties caches of the engines of upstreams.

            >>> with Client(admin_target, api_key=key) as admin:
            ...     results = admin.admin.reset_caches(["vllm-0"], ["prefix"])
            ...     print(len(results), "results,", len(results.failed), "failed")
            1 results, 0 failed

        Args:
            upstreams: names of the upstreams.
            caches: "prefix", "multimodal" or "encoder".
            **options: options of the call.

        Raises:
            CallError: see `Admin.sleep`.
        """
        request = _reset(upstreams, caches)
        return self._caller.call(self._stub.ResetCaches, request, options, EngineResults)

    def adapters(self, **options: Unpack[CallOptions]) -> AdapterList:
        """Returns the LoRA adapters that replicas have, and those that the service keeps.

            >>> with Client(admin_target, api_key=key) as admin:
            ...     for adapter in admin.admin.adapters():
            ...         print(adapter.name, adapter.path)

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = ListAdaptersRequest()
        return self._caller.call(self._stub.ListAdapters, request, options, AdapterList)

    def load_adapter(
        self, model: str, name: str, path: str, **options: Unpack[CallOptions]
    ) -> EngineResults:
        """Loads a LoRA adapter on all replicas of a model, also on those that come back later.

            >>> with Client(admin_target, api_key=key) as admin:
            ...     results = admin.admin.load_adapter("tiny-chat", "jokes", "/adapters/jokes")
            ...     print(len(results), "results,", len(results.failed), "failed")
            1 results, 0 failed

        Args:
            model: name of the base model.
            name: name of the adapter, which calls can then use as `model`.
            path: path of the adapter on the machines of the replicas.
            **options: options of the call.

        Raises:
            UnimplementedError: no replica may load adapters while it runs.
            NotFoundError: no replica has the model, or the adapter is not at the path.
            CallError: see `Admin.sleep`.
        """
        request = LoadAdapterRequest(model=model, name=name, path=path)
        return self._caller.call(self._stub.LoadAdapter, request, options, EngineResults)

    def unload_adapter(self, name: str, **options: Unpack[CallOptions]) -> EngineResults:
        """Unloads a LoRA adapter from all replicas that have it.

            >>> with Client(admin_target, api_key=key) as admin:
            ...     loaded = admin.admin.load_adapter("tiny-chat", "poems", "/adapters/poems")
            ...     results = admin.admin.unload_adapter("poems")
            ...     print(len(results), "results,", len(results.failed), "failed")
            1 results, 0 failed

        Args:
            name: name of the adapter.
            **options: options of the call.

        Raises:
            NotFoundError: no replica has it.
            CallError: see `Admin.sleep`.
        """
        request = UnloadAdapterRequest(name=name)
        return self._caller.call(self._stub.UnloadAdapter, request, options, EngineResults)


class AsyncAdmin(AsyncResource):
    """Asynchronous counterpart of `Admin`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = AdminServiceStub(caller.channel)

    async def upstreams(self, **options: Unpack[CallOptions]) -> UpstreamList:
        """See `Admin.upstreams`."""
        request = ListUpstreamsRequest()
        return await self._caller.call(self._stub.ListUpstreams, request, options, UpstreamList)

    async def sleep(
        self,
        upstreams: Sequence[str],
        *,
        level: int = 1,
        mode: SleepModeName = "abort",
        **options: Unpack[CallOptions],
    ) -> EngineResults:
        """See `Admin.sleep`."""
        request = _sleep(upstreams, level, mode)
        return await self._caller.call(self._stub.Sleep, request, options, EngineResults)

    async def wake_up(
        self, upstreams: Sequence[str], *, tags: Sequence[str] = (), **options: Unpack[CallOptions]
    ) -> EngineResults:
        """See `Admin.wake_up`."""
        request = WakeUpRequest(upstreams=upstreams, tags=tags)
        return await self._caller.call(self._stub.WakeUp, request, options, EngineResults)

    async def reset_caches(
        self, upstreams: Sequence[str], caches: Sequence[CacheName], **options: Unpack[CallOptions]
    ) -> EngineResults:
        """See `Admin.reset_caches`."""
        request = _reset(upstreams, caches)
        return await self._caller.call(self._stub.ResetCaches, request, options, EngineResults)

    async def adapters(self, **options: Unpack[CallOptions]) -> AdapterList:
        """See `Admin.adapters`."""
        request = ListAdaptersRequest()
        return await self._caller.call(self._stub.ListAdapters, request, options, AdapterList)

    async def load_adapter(
        self, model: str, name: str, path: str, **options: Unpack[CallOptions]
    ) -> EngineResults:
        """See `Admin.load_adapter`."""
        request = LoadAdapterRequest(model=model, name=name, path=path)
        return await self._caller.call(self._stub.LoadAdapter, request, options, EngineResults)

    async def unload_adapter(self, name: str, **options: Unpack[CallOptions]) -> EngineResults:
        """See `Admin.unload_adapter`."""
        request = UnloadAdapterRequest(name=name)
        return await self._caller.call(self._stub.UnloadAdapter, request, options, EngineResults)
