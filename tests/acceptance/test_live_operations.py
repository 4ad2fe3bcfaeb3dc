"""Operators change real engines: LoRA adapters, sleep, and resets of caches."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from conftest import FREE_PORT, Serve, unlimited
from rpc.calls import until
from rpc.keyed import SECRET
from rpc.operators import OPERATOR, outcomes
from rpc.test_sleeping import states
from servers import FLEET, VllmServers

from penstock import AsyncClient, CallError
from penstock.channel import open_async_channel
from penstock_server.app import Service
from penstock_server.fleet import State
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.base_url import address_of

from .adapter import write_adapter
from .chats import HELLO
from .conftest import serving

SERVER = replace(
    FLEET["chat"],
    name="operated",
    flags=(*FLEET["chat"].flags, "--enable-lora", "--max-lora-rank", "8"),
    environment=(("VLLM_SERVER_DEV_MODE", "1"), ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")),
)
MODEL = "tiny-chat"


@dataclass(frozen=True, slots=True)
class Operated:
    """A service, and its caller, who is an operator.

    Attributes:
        service: the service.
        calls: a client of the address for calls.
        operator: a client of the admin address.
    """

    service: Service
    calls: AsyncClient
    operator: AsyncClient

    async def answer(self, model: str) -> str:
        """Returns what a model answers to "Say hello."."""
        answer = await self.calls.chat.create("Say hello.", model=model, temperature=0)
        assert answer.model == model
        return answer.text

    async def adapters(self) -> list[tuple[str, str, str, list[bool]]]:
        return [
            (one.name, one.model, one.path, [replica.loaded for replica in one.replicas])
            for one in await self.operator.admin.adapters()
        ]


@pytest.fixture
def url(request: pytest.FixtureRequest, vllm: VllmServers) -> str:
    """The URL of a server that operators may change."""
    with unlimited(request.config):
        vllm.run_only(SERVER)
    return vllm.url(SERVER.name)


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    """The path of an adapter."""
    return write_adapter(tmp_path / "adapter")


@asynccontextmanager
async def operated(serve: Serve, folder: Path, *urls: str) -> AsyncIterator[Operated]:
    """Starts a service that lets its caller change engines."""
    callers = folder / "callers.toml"
    callers.write_text(OPERATOR)
    service = await serve(
        upstream=urls,
        admin_listen=FREE_PORT,
        callers_file=str(callers),
        admin_requires_caller=True,
    )
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        await serving(channel)
    await until(lambda: State.PROBING not in states(service))
    async with (
        AsyncClient(f"127.0.0.1:{service.port}", api_key=SECRET) as calls,
        AsyncClient(f"127.0.0.1:{service.admin.port}", api_key=SECRET) as operator,
    ):
        yield Operated(service, calls, operator)


async def fails(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(CallError) as caught:
        await call
    return caught.value.code, caught.value.reason


async def test_an_adapter_is_loaded_used_and_unloaded(
    url: str, serve: Serve, tmp_path: Path, adapter: str
) -> None:
    name = address_of(url)
    async with operated(serve, tmp_path, url) as one:
        loaded = await one.operator.admin.load_adapter(MODEL, "jokes", adapter)
        assert outcomes([*loaded]) == [(name, "", False)]
        assert await one.adapters() == [("jokes", MODEL, adapter, [True])]
        assert await one.answer("jokes") != HELLO
        assert await one.answer(MODEL) == HELLO
        unloaded = await one.operator.admin.unload_adapter("jokes")
        assert outcomes([*unloaded]) == [(name, "", False)]
        assert await one.adapters() == []
        assert await fails(one.answer("jokes")) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_a_path_that_no_replica_finds(url: str, serve: Serve, tmp_path: Path) -> None:
    async with operated(serve, tmp_path, url) as one:
        load = one.operator.admin.load_adapter(MODEL, "jokes", "/no/adapter")
        assert await fails(load) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
        assert await one.adapters() == []


async def test_a_path_that_one_replica_does_not_find(
    url: str, serve: Serve, tmp_path: Path
) -> None:
    # The simulator does not read the path.
    settings = SimulatorSettings(listen=FREE_PORT, runtime_lora_updating=True)
    async with (
        Simulator(settings) as simulator,
        operated(serve, tmp_path, url, simulator.url) as one,
    ):
        results = await one.operator.admin.load_adapter(MODEL, "jokes", "/no/adapter")
        assert sorted(outcomes([*results])) == sorted(
            [(address_of(url), "MODEL_NOT_FOUND", False), (address_of(simulator.url), "", False)]
        )
        assert {await one.answer("jokes") for _ in range(4)} == {HELLO}


# The server may take any time to start again; every other wait has its own limit.
@pytest.mark.timeout(0)
async def test_a_server_that_is_restarted_gets_its_adapters_again(
    url: str,
    vllm: VllmServers,
    serve: Serve,
    tmp_path: Path,
    adapter: str,
    pytestconfig: pytest.Config,
) -> None:
    async with operated(serve, tmp_path, url) as one:
        await one.operator.admin.load_adapter(MODEL, "jokes", adapter)
        before = await one.answer("jokes")
        os.killpg(vllm.pid(SERVER.name), signal.SIGKILL)
        await until(lambda: states(one.service) == [State.DOWN])
        with unlimited(pytestconfig):
            await asyncio.to_thread(vllm.restart, SERVER.name)
        await until(lambda: states(one.service) != [State.DOWN])
        assert await one.answer("jokes") == before
        await one.operator.admin.unload_adapter("jokes")


async def test_caches_are_reset(url: str, serve: Serve, tmp_path: Path) -> None:
    async with operated(serve, tmp_path, url) as one:
        reset = await one.operator.admin.reset_caches(
            [address_of(url)], ["prefix", "multimodal", "encoder"]
        )
        assert outcomes([*reset]) == [(address_of(url), "", False)]
        assert await one.answer(MODEL) == HELLO


async def test_an_engine_sleeps_and_wakes(url: str, serve: Serve, tmp_path: Path) -> None:
    name = address_of(url)
    async with operated(serve, tmp_path, url) as one:
        # A CPU ignores the work of the other levels.
        slept = await one.operator.admin.sleep([name], level=0)
        assert outcomes([*slept]) == [(name, "", True)]
        assert states(one.service) == [State.SLEEPING]
        assert await fails(one.answer(MODEL)) == (
            grpc.StatusCode.UNAVAILABLE,
            "UPSTREAM_SLEEPING",
        )
        woken = await one.operator.admin.wake_up([name])
        assert outcomes([*woken]) == [(name, "", False)]
        assert await one.answer(MODEL) == HELLO
