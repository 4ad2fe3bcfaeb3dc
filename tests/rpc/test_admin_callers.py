"""AdminService for callers with the right `admin` only."""

from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.options import SettingsError
from penstock_server.simulator import Simulator

from .calls import FREE_PORT, Serve, chat, create, ended, plain_channel
from .keyed import OTHER, SECRET, CallersFile, bearer
from .test_admin import admin_channel

CALLERS = f"""
[[caller]]
name = "operator"
keys = ["{SECRET}"]
methods = ["penstock.v1.ModelService/*"]
calls_per_minute = 1
admin = true

[[caller]]
name = "team"
keys = ["{OTHER}"]
methods = ["penstock.v1.AdminService/*"]
"""


async def reason(channel: aio.Channel, metadata: Any) -> tuple[Code, str]:
    call = AdminServiceStub(channel).ListUpstreams(ListUpstreamsRequest(), metadata=metadata)
    try:
        await call
    except aio.AioRpcError as error:
        return error.code(), ended(error).reason
    return Code.OK, ""


async def test_only_callers_with_the_right(
    simulator: Simulator, serve: Serve, callers_file: CallersFile
) -> None:
    settings: dict[str, Any] = {"upstream": (simulator.url,), "admin_listen": FREE_PORT}
    settings["callers_file"] = callers_file(CALLERS)
    service = await serve(admin_requires_caller=True, **settings)
    async with admin_channel(service) as channel:
        for _ in range(3):
            assert await reason(channel, bearer(SECRET)) == (Code.OK, "")
        refused = Code.PERMISSION_DENIED, "METHOD_FORBIDDEN"
        assert await reason(channel, bearer(OTHER)) == refused
        for metadata in ((), bearer("sk-wrong")):
            refused = Code.UNAUTHENTICATED, "INVALID_CREDENTIALS"
            assert await reason(channel, metadata) == refused
        await HealthStub(channel).Check(HealthCheckRequest())
    async with plain_channel(service) as channel:
        # The right does not apply to other services.
        result = await create(channel, chat(), metadata=bearer(SECRET))
        assert result.code is Code.PERMISSION_DENIED
    unlimited = await serve(**settings)
    async with admin_channel(unlimited) as channel:
        assert await reason(channel, ()) == (Code.OK, "")


async def test_a_right_without_callers() -> None:
    with pytest.raises(SettingsError, match="admin_requires_caller requires callers_file"):
        Service(Settings(listen=FREE_PORT, admin_requires_caller=True))
