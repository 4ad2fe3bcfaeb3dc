"""AdminService: LoRA adapters on several replicas, also on those that come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock import AsyncClient, Client
from penstock.v1 import admin_pb2
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import chat, ended, plain_channel, until
from .keyed import SECRET, bearer
from .operators import Admin, as_worker, in_front_of_workers, outcomes

LORA = {"runtime_lora_updating": True}
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
JOKES = {"model": "tiny-chat", "name": "jokes", "path": "/adapters/jokes"}


async def listed(admin: Admin) -> list[admin_pb2.Adapter]:
    return list((await admin.answer("ListAdapters")).adapters)


async def answering_model(admin: Admin, name: str) -> str:
    request = chat()
    request.model = name
    async with plain_channel(admin.service) as channel:
        stub = ChatCompletionServiceStub(channel)
        answer = await stub.CreateChatCompletion(request, metadata=bearer(SECRET))
        return answer.model


async def unknown(admin: Admin, name: str) -> bool:
    with pytest.raises(aio.AioRpcError) as raised:
        await answering_model(admin, name)
    return ended(raised.value).reason == "MODEL_NOT_FOUND"


async def test_an_adapter_is_loaded_everywhere_used_and_unloaded(admins: Any) -> None:
    admin = await admins(LORA, LORA)
    loaded = await admin.call("LoadAdapter", **JOKES)
    assert outcomes(loaded) == [(name, "", False) for name in sorted(admin.names)]
    # Calls may name it at once, not after the next probe.
    assert await answering_model(admin, "jokes") == "jokes"
    [adapter] = await listed(admin)
    assert (adapter.name, adapter.model, adapter.path) == ("jokes", "tiny-chat", "/adapters/jokes")
    assert adapter.kept
    assert [one.loaded for one in adapter.replicas] == [True, True]
    assert len(await admin.call("UnloadAdapter", name="jokes")) == 2
    assert await unknown(admin, "jokes")
    assert await listed(admin) == []
    assert [one.adapters for one in admin.simulators] == [{}, {}]


async def test_replicas_that_have_it_are_left_as_they_are(admins: Any) -> None:
    admin = await admins(LORA, LORA)
    admin.simulators[1].adapters["jokes"] = "/adapters/jokes"
    assert len(await admin.call("LoadAdapter", **JOKES)) == 2
    assert [admin.asked(0), admin.asked(1)] == [[LOAD], []]
    assert len(await admin.call("LoadAdapter", **JOKES | {"model": "tiny-chat-alias"})) == 2
    assert [admin.asked(0), admin.asked(1)] == [[LOAD], []]


async def test_an_adapter_of_another_path(admins: Any) -> None:
    admin = await admins(LORA)
    await admin.call("LoadAdapter", **JOKES)
    result = await admin.refused("LoadAdapter", **JOKES | {"path": "/other"})
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert "'jokes' has already been loaded" in result.message
    assert [one.path for one in await listed(admin)] == ["/adapters/jokes"]


async def test_a_replica_without_the_route(admins: Any) -> None:
    admin = await admins(LORA, {})
    results = {one.upstream: one for one in await admin.call("LoadAdapter", **JOKES)}
    first, second = (results[name] for name in admin.names)
    assert first.reason == ""
    assert second.reason == "OPERATION_NOT_SUPPORTED"
    assert second.message == (
        f"it has no {LOAD}, which requires vLLM's VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
    )


async def test_no_replica_has_the_route(admins: Any) -> None:
    admin = await admins({})
    result = await admin.refused("LoadAdapter", **JOKES)
    assert (result.code, result.reason) == (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
    assert await listed(admin) == []


async def test_a_path_that_the_replica_does_not_find(admins: Any) -> None:
    admin = await admins(LORA)
    admin.simulators[0].path_faults[LOAD] = "status code=404 message=No%20adapter%20found%20for%20x"
    result = await admin.refused("LoadAdapter", **JOKES)
    assert (result.code, result.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
    assert result.message == "No adapter found for x"


@pytest.mark.parametrize(
    ("method", "fields", "path"),
    [
        ("LoadAdapter", {"model": ""}, "model"),
        ("LoadAdapter", {"name": ""}, "name"),
        ("LoadAdapter", {"path": ""}, "path"),
        ("LoadAdapter", {"model": "poems"}, "model"),
        ("LoadAdapter", {"name": "tiny-chat"}, "name"),
        ("LoadAdapter", {"name": "tiny-chat-alias"}, "name"),
        ("LoadAdapter", {"name": "embedder"}, "name"),
        ("UnloadAdapter", {"name": ""}, "name"),
    ],
)
async def test_bad_input(admins: Any, method: str, fields: dict[str, Any], path: str) -> None:
    admin = await admins(LORA, {"models": ("embedder",)})
    await admin.call("LoadAdapter", model="tiny-chat", name="poems", path="/adapters/poems")
    given = JOKES if method == "LoadAdapter" else {}
    result = await admin.refused(method, **given | fields)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields == [path]
    assert admin.asked() == [LOAD]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("LoadAdapter", JOKES | {"model": "tiny"}),
        ("UnloadAdapter", {"name": "jokes"}),
        ("UnloadAdapter", {"name": "tiny-chat"}),
    ],
    ids=["unknown model", "unknown adapter", "a base model"],
)
async def test_what_no_replica_has(admins: Any, method: str, fields: dict[str, Any]) -> None:
    admin = await admins(LORA)
    result = await admin.refused(method, **fields)
    assert (result.code, result.reason) == (Code.NOT_FOUND, "MODEL_NOT_FOUND")
    assert admin.asked() == []


@pytest.mark.parametrize(
    ("method", "fields"), [("LoadAdapter", JOKES), ("UnloadAdapter", {"name": "jokes"})]
)
async def test_every_caller_of_an_open_address_is_refused(
    admins: Any, method: str, fields: dict[str, Any]
) -> None:
    admin = await admins(LORA, admin_requires_caller=False)
    result = await admin.refused(method, **fields)
    assert (result.code, result.reason) == (Code.PERMISSION_DENIED, "METHOD_FORBIDDEN")


async def test_a_replica_that_is_restarted_loads_its_adapters_before_it_gets_calls(
    admins: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "penstock.fleet")
    admin = await admins(LORA, probe_interval=0.05)
    await admin.call("LoadAdapter", **JOKES)
    async with restarted(admin, LORA) as replica:
        await until(lambda: admin.states() == ["READY"])
        assert replica.adapters == {"jokes": "/adapters/jokes"}
        assert await answering_model(admin, "jokes") == "jokes"
    [line] = [one for one in caplog.records if one.message == "adapter loaded again"]
    assert line.fields == {  # type: ignore[attr-defined]
        "upstream": admin.names[0],
        "address": admin.names[0],
        "model": "tiny-chat",
        "adapter": "jokes",
    }
    [state] = admin.service._fleet.snapshot()
    assert (state.adapters_restored, state.adapters_failed) == (1, 0)


async def test_a_replica_that_cannot_load_its_adapters_again_serves_without_them(
    admins: Any, caplog: pytest.LogCaptureFixture
) -> None:
    admin = await admins(LORA, probe_interval=0.05)
    await admin.call("LoadAdapter", **JOKES)
    async with restarted(admin, {}):
        await until(lambda: admin.states() == ["READY"])
        [adapter] = await listed(admin)
        [replica] = adapter.replicas
        assert not replica.loaded
        assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in replica.last_error
        assert await unknown(admin, "jokes")
        # Unloading forgets it although no replica has it.
        await admin.refused("UnloadAdapter", name="jokes")
        assert await listed(admin) == []
    assert [one.message for one in caplog.records].count("cannot load adapter again") == 1
    [state] = admin.service._fleet.snapshot()
    assert (state.adapters_restored, state.adapters_failed) == (0, 1)


async def test_a_replica_that_is_restarted_after_unloading_loads_nothing(admins: Any) -> None:
    admin = await admins(LORA, probe_interval=0.05)
    await admin.call("LoadAdapter", **JOKES)
    await admin.call("UnloadAdapter", name="jokes")
    async with restarted(admin, LORA) as replica:
        await until(lambda: admin.states() == ["READY"])
        assert replica.adapters == {}


@asynccontextmanager
async def restarted(admin: Admin, settings: dict[str, Any]) -> AsyncIterator[Simulator]:
    """Replaces the only replica by another server at its address."""
    [old] = admin.simulators
    await old.stop()
    await until(lambda: admin.states() == ["DOWN"])
    async with Simulator(SimulatorSettings(listen=admin.names[0], **settings)) as new:
        yield new


async def test_workers_share_adapters_and_the_first_loads_them(
    admins: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    as_worker(monkeypatch, tmp_path, 1)
    unguarded = {"callers_file": "", "admin_requires_caller": False, "probe_interval": 0.05}
    second = await admins(LORA, **unguarded)
    address = f"127.0.0.1:{second.service.admin.port}"
    async with in_front_of_workers("127.0.0.1:1", address) as channel:
        combined = Admin(channel, second.service, second.simulators)
        await combined.call("LoadAdapter", **JOKES)
        assert [one.name for one in await listed(combined)] == ["jokes"]
    async with restarted(second, LORA) as replica:
        await until(lambda: second.states() == ["READY"])
        assert replica.adapters == {}
        as_worker(monkeypatch, tmp_path, 0)
        await admins(**unguarded | {"upstream": (replica.url,)})
        await until(lambda: replica.adapters == {"jokes": "/adapters/jokes"})


async def test_the_python_clients(admins: Any) -> None:
    admin = await admins(LORA)
    target = f"127.0.0.1:{admin.service.admin.port}"
    async with AsyncClient(target, api_key=SECRET) as client:
        assert not (await client.admin.load_adapter("tiny-chat", "jokes", "/jokes")).failed
        [adapter] = await client.admin.adapters()
        assert (adapter.name, adapter.path, adapter.kept) == ("jokes", "/jokes", True)
        assert len(await client.admin.unload_adapter("jokes")) == 1
    assert admin.asked() == [LOAD, UNLOAD]

    def blocking() -> None:
        with Client(target, api_key=SECRET) as client:
            assert not client.admin.load_adapter("tiny-chat", "jokes", "/jokes").failed
            assert [one.name for one in client.admin.adapters()] == ["jokes"]
            assert len(client.admin.unload_adapter("jokes")) == 1

    await asyncio.to_thread(blocking)
    assert admin.asked() == [LOAD, UNLOAD] * 2
