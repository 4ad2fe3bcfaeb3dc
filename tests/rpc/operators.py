"""Operators: their calls to AdminService."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from penstock.v1.admin_pb2 import (
    ListAdaptersRequest,
    LoadAdapterRequest,
    ReplicaResult,
    ResetCachesRequest,
    SleepRequest,
    UnloadAdapterRequest,
    WakeUpRequest,
)
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock_server.rpc.server import AdminServer
from penstock_server.rpc.services import CombinedAdminServicer
from penstock_server.simulator import Simulator

from .calls import FREE_PORT, Ended, ended
from .keyed import SECRET, bearer
from .test_sleeping import states

OPERATOR = f"""
[[caller]]
name = "operator"
keys = ["{SECRET}"]
admin = true
"""
REQUESTS: dict[str, Any] = {
    "Sleep": SleepRequest,
    "WakeUp": WakeUpRequest,
    "ResetCaches": ResetCachesRequest,
    "ListAdapters": ListAdaptersRequest,
    "LoadAdapter": LoadAdapterRequest,
    "UnloadAdapter": UnloadAdapterRequest,
}


class Admin:
    """Calls of an operator to AdminService, which name all upstreams of a service.

    Attributes:
        simulators: the upstreams.
        service: the service.
        names: the names of the upstreams.
    """

    def __init__(self, channel: aio.Channel, service: Any, simulators: list[Simulator]) -> None:
        self.simulators = simulators
        self.service = service
        self.names = [one.url.removeprefix("http://") for one in simulators]
        self._stub = AdminServiceStub(channel)

    async def call(self, method: str, **fields: Any) -> list[ReplicaResult]:
        named = {"upstreams": self.names} if "upstreams" in _fields(method) else {}
        return list((await self.answer(method, **named | fields)).results)

    async def answer(self, method: str, **fields: Any) -> Any:
        request = REQUESTS[method](**fields)
        return await getattr(self._stub, method)(request, metadata=bearer(SECRET))

    def states(self) -> list[str]:
        return [one.name for one in states(self.service)]

    async def refused(self, method: str, **fields: Any) -> Ended:
        with pytest.raises(aio.AioRpcError) as raised:
            await self.call(method, **fields)
        return ended(raised.value)

    def asked(self, number: int = 0) -> list[str]:
        """Returns the POST requests that a simulator has received."""
        requests = self.simulators[number].requests
        return [f"{one.path}?{one.query}".rstrip("?") for one in requests if one.method == "POST"]


def _fields(method: str) -> Collection[str]:
    return [field.name for field in REQUESTS[method].DESCRIPTOR.fields]


def outcomes(results: list[ReplicaResult]) -> list[tuple[str, str, bool]]:
    return [(one.upstream, one.reason, one.asleep) for one in results]


def as_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """Makes this process one of two workers, which share a folder."""
    monkeypatch.setattr("penstock_server.worker.is_worker", lambda: True)
    monkeypatch.setenv("PENSTOCK_WORKER_ADAPTERS", str(folder / "adapters"))
    monkeypatch.setenv("PENSTOCK_WORKER_PLACE", f"{number}/2")


@asynccontextmanager
async def in_front_of_workers(*targets: str) -> AsyncIterator[aio.Channel]:
    servicer = CombinedAdminServicer(targets, changes=True)
    server = AdminServer(
        FREE_PORT, servicer, max_message_bytes=4096, max_request_entries=10, reflection=False
    )
    server.bind()
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel
    await server.stop()
