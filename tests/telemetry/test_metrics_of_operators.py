"""Metrics of the calls of operators."""

import pytest
from grpc import aio
from rpc.calls import FREE_PORT

from penstock.v1.admin_pb2 import ListUpstreamsRequest, SleepRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock_server.rpc.server import AdminServer
from penstock_server.rpc.services import CombinedAdminServicer
from penstock_server.simulator import Simulator
from penstock_server.telemetry.metrics import WorkerMetrics

from .conftest import Observe

NAME = "penstock_admin_calls_total"


async def use(address: str) -> None:
    async with aio.insecure_channel(address) as channel:
        stub = AdminServiceStub(channel)
        await stub.ListUpstreams(ListUpstreamsRequest())
        with pytest.raises(aio.AioRpcError):
            await stub.Sleep(SleepRequest(upstreams=["other"]))


async def test_calls_by_method_and_code(observe: Observe, simulator: Simulator) -> None:
    observed = await observe(upstream=(simulator.url,), admin_listen=FREE_PORT)
    await use(f"127.0.0.1:{observed.service.admin.port}")
    found = await observed.scrape()
    assert found.by("grpc_code", NAME, grpc_method="ListUpstreams") == {"OK": 1}
    assert found.by("grpc_code", NAME, grpc_method="Sleep") == {"PermissionDenied": 1}
    # Methods that were not called are exported, too.
    assert [one.value for one in found.of(NAME, grpc_method="WakeUp")] == [0]


async def test_with_workers_the_supervisor_counts_its_own_calls(
    observe: Observe, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = await observe(upstream=(simulator.url,), admin_listen=FREE_PORT)
    # Only its supervisor reaches a worker.
    monkeypatch.setattr(observed.service._configuration, "_changes", True)
    worker = f"127.0.0.1:{observed.service.admin.port}"
    server = AdminServer(
        FREE_PORT,
        CombinedAdminServicer([worker, worker], changes=True),
        max_message_bytes=4096,
        max_request_entries=10,
        reflection=False,
    )
    server.bind()
    await server.start()
    await use(f"127.0.0.1:{server.port}")
    await server.stop()
    registry = await WorkerMetrics(server.calls).current()

    def value(method: str, code: str) -> float | None:
        return registry.get_sample_value(NAME, {"grpc_method": method, "grpc_code": code})

    assert value("ListUpstreams", "OK") == 1
    assert (value("Sleep", "OK"), value("Sleep", "InvalidArgument")) == (0, 1)
