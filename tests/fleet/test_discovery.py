"""Replicas from the addresses behind a name."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from penstock_server.fleet import Fleet, Policy, State
from penstock_server.fleet.discovery import Addresses, servers
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.call import Call
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.operations import CHAT_COMPLETION

from .watched import watched

HELLO = {"model": "tiny-chat", "messages": [{"role": "user", "content": "Say hello."}]}


class Names:
    """Names whose addresses are set by a test."""

    def __init__(self, *found: str) -> None:
        self.found: Sequence[str] | None = found
        self.asked: list[str] = []
        self._changed = asyncio.Semaphore(0)

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        self._changed.release()
        if self.found is None:
            raise OSError("no such host")
        return self.found

    async def asked_again(self) -> None:
        """Waits until the result of a resolution that begins after this call is in use."""
        while not self._changed.locked():
            await self._changed.acquire()
        for _ in range(2):
            await self._changed.acquire()


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "http://vllm.localhost:8000",
        "http://127.0.0.1:8000",
        "http://10.0.0.1",
        "http://[::1]:8000",
        "unix:///run/vllm.sock",
    ],
)
async def test_nothing_to_resolve(url: str) -> None:
    names = Names("10.0.0.1", "10.0.0.2")
    assert await servers(url, names) == ((),)
    assert names.asked == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (("10.0.0.1",), (("10.0.0.1",),)),
        (("fd00::1", "10.0.0.1"), (("10.0.0.1", "fd00::1"),)),  # one server with two families
        (("10.0.0.2", "10.0.0.1", "10.0.0.2"), (("10.0.0.1",), ("10.0.0.2",))),
        (("10.0.0.1", "fd00::1", "fd00::2"), (("fd00::1",), ("fd00::2",))),
        (("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"), (("10.0.0.1",), ("10.0.0.2",))),
        ((), ((),)),
    ],
)
async def test_addresses_that_are_separate_servers(
    found: Sequence[str], expected: Sequence[Addresses]
) -> None:
    names = Names(*found)
    assert await servers("http://vllm.example:8000", names) == expected
    assert names.asked == ["vllm.example"]


def shown(fleet: Fleet) -> list[str]:
    return [state.address for state in fleet.snapshot()]


async def test_replicas_are_added_and_removed() -> None:
    names = Names("10.0.0.1", "10.0.0.2")
    policy = Policy(probe_interval=0.01, probe_timeout=0.1)
    fleet = Fleet([UpstreamConfig("http://vllm.example:8000")], policy, resolve=names)
    assert shown(fleet) == ["vllm.example:8000"]
    watch = asyncio.create_task(fleet.watch(lambda: None))
    async with asyncio.timeout(60):
        await names.asked_again()
        assert shown(fleet) == ["10.0.0.1:8000", "10.0.0.2:8000"]
        kept = fleet.replicas[1]
        names.found = ("10.0.0.2", "10.0.0.3")
        await names.asked_again()
        assert shown(fleet) == ["10.0.0.2:8000", "10.0.0.3:8000"]
        assert fleet.replicas[0] is kept
        names.found = None  # replicas stay if a name cannot be resolved
        await names.asked_again()
        assert shown(fleet) == ["10.0.0.2:8000", "10.0.0.3:8000"]
    watch.cancel()
    fleet.close()


async def test_a_healthy_replica_serves_until_its_successor_has_been_probed() -> None:
    hearing = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hearing.wait()
        writer.close()

    names = Names("127.0.0.2", "127.0.0.9")
    async with Simulator(on("127.0.0.2", 0)) as old:
        config = UpstreamConfig(f"http://vllm.example:{old.port}")
        async with (
            await asyncio.start_server(silent, "127.0.0.3", old.port),
            watched(config, resolve=names) as running,
        ):
            await running.until(lambda: running.states == [State.READY, State.DOWN])
            running.healthy.clear()
            names.found = ("127.0.0.3", "127.0.0.9")
            await names.asked_again()
            for _ in range(5):
                await running.fleet.call(CHAT_COMPLETION, HELLO, Call("id", "tiny-chat"))
            assert all(running.healthy)
            hearing.set()
            await running.until(lambda: len(running.states) == 2)
            assert running.states == [State.DOWN] * 2


@pytest.mark.parametrize("family", [(), ("::1",)], ids=["one", "both"])
async def test_a_name_whose_only_address_changes(family: tuple[str, ...]) -> None:
    async with Simulator(on("127.0.0.2", 0)) as old:
        config = UpstreamConfig(f"http://vllm.example:{old.port}")
        names = Names("127.0.0.2")
        async with (
            Simulator(on("127.0.0.3", old.port)) as new,
            watched(config, resolve=names) as running,
        ):
            await running.until(lambda: shown(running.fleet) == [f"127.0.0.2:{old.port}"])
            await running.until(lambda: running.states == [State.READY])
            names.found = ("127.0.0.3", *family)
            at = "vllm.example" if family else "127.0.0.3"
            await running.until(lambda: f"{at}:{old.port}" in shown(running.fleet))
            if not family:  # only the test knows this name
                await running.until(lambda: shown(running.fleet) == [f"127.0.0.3:{old.port}"])
                await running.fleet.call(CHAT_COMPLETION, HELLO, Call("id", "tiny-chat"))
                assert CHAT_COMPLETION.path in [request.path for request in new.requests]
                await old.wait_connections(0)


async def test_a_headless_service() -> None:
    """Two servers on one port, like pods; a running call survives the removal of its pod's name."""
    async with AsyncExitStack() as stack:
        pods = [await stack.enter_async_context(Simulator(on("127.0.0.2", 0)))]
        port = pods[0].port
        pods.append(await stack.enter_async_context(Simulator(on("127.0.0.3", port))))
        names = Names("127.0.0.2", "127.0.0.3")
        fleet = Fleet(
            [UpstreamConfig(f"http://vllm.example:{port}")],
            Policy(probe_interval=0.01, slow_start=0),
            resolve=names,
        )
        changed = asyncio.Event()
        watch = asyncio.create_task(fleet.watch(changed.set))
        async with asyncio.timeout(60):
            while [state.state for state in fleet.snapshot()] != [State.READY] * 2:
                changed.clear()
                await changed.wait()
            for _ in range(40):
                await fleet.call(CHAT_COMPLETION, HELLO, Call("id", "tiny-chat"))
            asked = [[r for r in pod.requests if r.path == CHAT_COMPLETION.path] for pod in pods]
            assert all(len(requests) > 5 for requests in asked)
            assert asked[0][0].headers["host"] == f"vllm.example:{port}"
            pods[0].faults = pods[1].faults = "slow-headers seconds=1"
            calls = [
                asyncio.create_task(fleet.call(CHAT_COMPLETION, HELLO, Call("id", "tiny-chat")))
                for _ in range(10)
            ]
            await pods[0].wait_active(5)
            names.found = ("127.0.0.3", "127.0.0.9")
            await names.asked_again()
            assert shown(fleet) == [f"127.0.0.3:{port}", f"127.0.0.9:{port}"]
            assert len(await asyncio.gather(*calls)) == 10
            await pods[0].wait_connections(0)
        watch.cancel()
        fleet.close()


async def test_a_call_waits_for_replicas_that_are_found_meanwhile() -> None:
    """The name of each upstream resolves to several replicas before the first probe ends."""
    models = ("one", "other")
    going = asyncio.Event()

    async def resolve(host: str) -> Sequence[str]:
        await going.wait()
        return ("127.0.0.2", "127.0.0.3")

    async with AsyncExitStack() as stack:
        configs: list[UpstreamConfig] = []
        for model in models:
            first = await stack.enter_async_context(Simulator(on("127.0.0.2", 0, model)))
            await stack.enter_async_context(Simulator(on("127.0.0.3", first.port, model)))
            configs.append(UpstreamConfig(f"http://{model}.example:{first.port}"))
        for _ in range(5):
            going.clear()
            fleet = Fleet(configs, resolve=resolve)
            watch = asyncio.create_task(fleet.watch(lambda: None))
            await asyncio.sleep(0)
            calls = [
                asyncio.create_task(
                    fleet.call(CHAT_COMPLETION, HELLO | {"model": model}, Call("id", model))
                )
                for model in models
            ]
            await asyncio.sleep(0)
            going.set()
            async with asyncio.timeout(60):
                answers = await asyncio.gather(*calls)
            assert [answer["model"] for answer in answers] == [*models]
            watch.cancel()
            fleet.close()


def on(host: str, port: int, *models: str) -> SimulatorSettings:
    return SimulatorSettings(listen=f"{host}:{port}", models=models or ("tiny-chat",))
