"""AdminService: sleep, waking and resets of caches, on several replicas."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode as Code

from penstock import AsyncClient, Client
from penstock.v1 import admin_pb2
from penstock.v1.admin_pb2 import (
    ListUpstreamsRequest,
)
from penstock.v1.admin_pb2_grpc import AdminServiceStub

from .calls import chat, create, plain_channel, until
from .keyed import SECRET, bearer
from .operators import Admin, as_worker, in_front_of_workers, outcomes
from .test_sleeping import states

PREFIX, MULTIMODAL, ENCODER = (
    admin_pb2.ENGINE_CACHE_PREFIX,
    admin_pb2.ENGINE_CACHE_MULTIMODAL,
    admin_pb2.ENGINE_CACHE_ENCODER,
)
RESETS = ["/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache"]


async def test_sleep_and_wake(admins: Any) -> None:
    admin = await admins({}, {})
    slept = await admin.call("Sleep")
    assert outcomes(slept) == [(name, "", True) for name in sorted(admin.names)]
    assert [one.address for one in slept] == sorted(admin.names)
    # Calls are refused at once, not after the next probe.
    assert [one.name for one in states(admin.service)] == ["SLEEPING"] * 2
    assert all(one.engine.level == 1 for one in admin.simulators)
    woken = await admin.call("WakeUp")
    assert outcomes(woken) == [(name, "", False) for name in sorted(admin.names)]
    assert [one.name for one in states(admin.service)] == ["READY"] * 2
    assert admin.asked() == ["/sleep?level=1&mode=abort", "/wake_up"]


async def test_parameters(admins: Any) -> None:
    admin = await admins({})
    await admin.call("Sleep", level=0, mode=admin_pb2.SLEEP_MODE_KEEP)
    await admin.call("WakeUp", tags=["weights", "kv&cache"])
    await admin.call("Sleep", level=2, mode=admin_pb2.SLEEP_MODE_WAIT)
    assert admin.asked() == [
        "/sleep?level=0&mode=keep",
        "/wake_up?tags=weights&tags=kv%26cache",
        "/sleep?level=2&mode=wait",
    ]


@pytest.mark.parametrize("dialect", ["0.10", "0.32.0"])
async def test_caches(admins: Any, dialect: str) -> None:
    admin = await admins({"dialect": dialect})
    assert outcomes(await admin.call("ResetCaches", caches=[MULTIMODAL, PREFIX])) == [
        (admin.names[0], "", False)
    ]
    assert admin.asked() == ["/reset_mm_cache", "/reset_prefix_cache"]


async def test_a_cache_in_use(admins: Any) -> None:
    admin = await admins({"time_to_first_token": 60})
    [simulator] = admin.simulators
    async with plain_channel(admin.service) as channel:
        running = asyncio.create_task(create(channel, chat(), metadata=bearer(SECRET)))
        await simulator.wait_active(1)
        result = await admin.refused("ResetCaches", caches=[PREFIX, MULTIMODAL])
        running.cancel()
    assert (result.code, result.reason) == (Code.ABORTED, "UPSTREAM_CONFLICT")
    assert result.message == "/reset_prefix_cache: the cache is in use"
    assert RESETS[1] not in admin.asked()


async def test_a_failure_of_one_replica_is_in_its_result(admins: Any) -> None:
    admin = await admins({}, {"development_mode": False})
    results = {one.upstream: one for one in await admin.call("Sleep")}
    first, second = (results[name] for name in admin.names)
    assert (first.reason, first.message, first.asleep) == ("", "", True)
    assert (second.reason, second.asleep) == ("OPERATION_NOT_SUPPORTED", False)
    assert second.message == (
        "it has no /sleep, which requires vLLM's development mode (VLLM_SERVER_DEV_MODE=1)"
    )
    assert sorted(one.name for one in states(admin.service)) == ["READY", "SLEEPING"]


@pytest.mark.parametrize(
    ("method", "fields"), [("Sleep", {}), ("WakeUp", {}), ("ResetCaches", {"caches": [ENCODER]})]
)
async def test_no_replica_is_in_development_mode(
    admins: Any, method: str, fields: dict[str, Any]
) -> None:
    admin = await admins({"development_mode": False})
    result = await admin.refused(method, **fields)
    assert (result.code, result.reason) == (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
    assert "which requires vLLM's development mode" in result.message


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("status code=500 message=no%20memory", Code.INTERNAL, "UPSTREAM_INTERNAL"),
        ("status code=503", Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    ],
)
async def test_failures(admins: Any, fault: str, code: Code, reason: str) -> None:
    admin = await admins({})
    admin.simulators[0].path_faults["/sleep"] = fault
    result = await admin.refused("Sleep")
    assert (result.code, result.reason) == (code, reason)
    assert admin.asked() == ["/sleep?level=1&mode=abort"]


@pytest.mark.parametrize(
    ("method", "fields", "path"),
    [
        ("Sleep", {"upstreams": []}, "upstreams"),
        ("WakeUp", {"upstreams": []}, "upstreams"),
        ("ResetCaches", {"upstreams": [], "caches": [PREFIX]}, "upstreams"),
        ("Sleep", {"upstreams": ["other"]}, "upstreams[0]"),
        ("Sleep", {"level": 3}, "level"),
        ("Sleep", {"level": -1}, "level"),
        ("Sleep", {"mode": 9}, "mode"),
        ("ResetCaches", {}, "caches"),
        ("ResetCaches", {"caches": [PREFIX, 0]}, "caches[1]"),
        ("ResetCaches", {"caches": [9]}, "caches[0]"),
    ],
)
async def test_bad_input(admins: Any, method: str, fields: dict[str, Any], path: str) -> None:
    admin = await admins({})
    result = await admin.refused(method, **fields)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields == [path]
    assert admin.asked() == []


@pytest.mark.parametrize("method", ["Sleep", "WakeUp", "ResetCaches"])
async def test_every_caller_of_an_open_address_is_refused(admins: Any, method: str) -> None:
    admin = await admins({}, admin_requires_caller=False)
    result = await admin.refused(method)
    assert (result.code, result.reason) == (Code.PERMISSION_DENIED, "METHOD_FORBIDDEN")
    assert result.message.endswith("requires the server's option admin_requires_caller")
    assert admin.asked() == []


async def test_the_python_clients(admins: Any) -> None:
    admin = await admins({})
    target = f"127.0.0.1:{admin.service.admin.port}"
    async with AsyncClient(target, api_key=SECRET) as client:
        slept = await client.admin.sleep(admin.names, level=0, mode="wait")
        assert outcomes([*slept]) == [(admin.names[0], "", True)]
        await client.admin.wake_up(admin.names, tags=["weights"])
        await client.admin.reset_caches(admin.names, ["prefix"])
    asynchronous = admin.asked()

    def blocking() -> None:
        with Client(target, api_key=SECRET) as client:
            assert not client.admin.sleep(admin.names, level=0, mode="wait").failed
            client.admin.wake_up(admin.names, tags=["weights"])
            client.admin.reset_caches(admin.names, ["prefix"])
            with pytest.raises(ValueError, match="'gpu' is not a valid EngineCache"):
                client.admin.reset_caches(admin.names, ["gpu"])  # type: ignore[list-item]

    await asyncio.to_thread(blocking)
    assert asynchronous == [
        "/sleep?level=0&mode=wait",
        "/wake_up?tags=weights",
        "/reset_prefix_cache",
    ]
    assert admin.asked() == asynchronous * 2


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Returns the status codes in the log, each with its reason."""
    lines: list[Any] = [one for one in caplog.records if one.message == "rpc"]
    return [(one.fields["code"], one.fields.get("reason", "")) for one in lines]


async def test_one_of_several_workers_changes_engines(
    admins: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "penstock.rpc")
    as_worker(monkeypatch, tmp_path, 0)
    admin = await admins({}, callers_file="", admin_requires_caller=False)
    address = f"127.0.0.1:{admin.service.admin.port}"
    async with in_front_of_workers("127.0.0.1:1", address, address) as channel:
        combined = Admin(channel, admin.service, admin.simulators)
        assert outcomes(await combined.call("Sleep")) == [(admin.names[0], "", True)]
        assert admin.asked() == ["/sleep?level=1&mode=abort"]
        result = await combined.refused("Sleep", level=7)
        assert (result.reason, result.fields) == ("INVALID_REQUEST", ["level"])
        # The line of a call may follow its end.
        await until(lambda: len(logged(caplog)) == 4)
        # The process that changes engines logs the call, as does the one in front of it.
        assert logged(caplog)[2:] == [("INVALID_ARGUMENT", "INVALID_REQUEST")] * 2
        listed = await AdminServiceStub(channel).ListUpstreams(ListUpstreamsRequest())
        [replica] = listed.replicas
        assert replica.state == admin_pb2.REPLICA_STATE_SLEEPING
