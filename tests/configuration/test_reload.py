"""Reloading the configuration: triggers, applied settings, refused files."""

import argparse
import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from cli.process import BOUND_S, PENSTOCK, Process, started
from conftest import FREE_PORT, Serve
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from rpc.calls import until

from penstock.channel import open_async_channel
from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.model_pb2 import ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub
from penstock_server.configuration import Settings, UpstreamTable
from penstock_server.option_list import OptionList
from penstock_server.options import SettingsError
from penstock_server.reload import Reloader
from penstock_server.simulator import Simulator, SimulatorSettings

ANSWER = "Hello! How can I help you today?"
SOON = "0.05"


@pytest.fixture
async def simulators() -> AsyncIterator[list[Simulator]]:
    """Three replicas."""
    async with AsyncExitStack() as running:
        yield [
            await running.enter_async_context(Simulator(SimulatorSettings(listen=FREE_PORT)))
            for _ in range(3)
        ]


def table(simulator: Simulator, name: str, *more: str) -> str:
    return "\n".join(["[[upstream]]", f'url = "{simulator.url}"', f'name = "{name}"', *more, ""])


@asynccontextmanager
async def served(
    config: Path, *arguments: str, interval: str = SOON
) -> AsyncIterator[tuple[Process, aio.Channel]]:
    """Runs `penstock serve` with a file; yields it and a channel to it."""
    command = (PENSTOCK, "serve", "--config", str(config), "--listen", FREE_PORT)
    environment = {"PENSTOCK_RELOAD_INTERVAL": interval}
    async with started(*command, *arguments, env=environment) as process:
        address = (await process.log("serving"))["address"]
        await process.log("configuration")
        async with open_async_channel(address, retries=0) as channel:
            yield process, channel


def replace(path: Path, content: str) -> None:
    """Writes a file as editors do, by replacing it."""
    other = path.with_name("new")
    other.write_text(content)
    other.replace(path)


async def models(channel: aio.Channel) -> set[str]:
    answer = await ModelServiceStub(channel).ListModels(ListModelsRequest())
    return {model.id for model in answer.models}


async def chat(channel: aio.Channel, text: str = "Say hello.", **options: Any) -> str:
    request = chat_request(text, **options)
    answer = await ChatCompletionServiceStub(channel).CreateChatCompletion(request)
    return "".join(part.text for part in answer.choices[0].message.content)


async def test_a_signal(tmp_path: Path, simulators: list[Simulator]) -> None:
    first, second, third = simulators
    config = tmp_path / "penstock.toml"
    config.write_text(table(first, "a") + table(second, "b"))
    async with served(config, interval="0") as (process, channel):
        replace(config, table(first, "a") + table(second, "b", "weight = 2") + table(third, "c"))
        process.signal(signal.SIGHUP)
        done = await process.log("reloaded")
        assert (done["added"], done["changed"]) == (["c"], ["b"])
        assert "removed" not in done

        # Its lines about this reload are below the new level, except for the warning.
        quiet = 'log_level = "warning"\nmax_message_bytes = 1000000\n'
        replace(config, quiet + table(third, "c"))
        process.signal(signal.SIGHUP)
        await process.log("needs a restart")
        config.write_text("idle_timeout = 0\n")
        process.signal(signal.SIGHUP)
        refused = await process.log("reload refused")
        assert refused["reason"] == f"{config}:1: idle_timeout: 0 must be above 0"
        before = third.request_count
        assert await chat(channel) == ANSWER
        assert third.request_count > before
        assert [line["event"] for line in process.logged].count("reloaded") == 1


async def test_a_signal_while_it_starts(tmp_path: Path, simulators: list[Simulator]) -> None:
    """The signal is held until the service serves, and then triggers a reload."""
    config = tmp_path / "penstock.toml"
    os.mkfifo(config)
    first, second, _ = simulators
    command = (PENSTOCK, "serve", "--config", str(config), "--listen", FREE_PORT)
    async with started(*command, env={"PENSTOCK_RELOAD_INTERVAL": "0"}) as process:
        await until(lambda: give(config, table(first, "a"), process), BOUND_S)
        await process.log("configuration")
        await until(lambda: give(config, table(second, "b")), BOUND_S)
        done = await process.log("reloaded")
        assert (done["added"], done["removed"]) == (["b"], ["a"])


def give(pipe: Path, content: str, signalled: Process | None = None) -> bool:
    """Sends SIGHUP to a process, if one is given, and writes to its pipe, if it reads it."""
    try:
        given = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    if signalled:
        signalled.signal(signal.SIGHUP)
    with os.fdopen(given, "w") as file:
        file.write(content)
    return True


async def test_a_signal_without_a_change(tmp_path: Path, simulator: Simulator) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulator, "a"))
    async with served(config) as (process, _):
        process.signal(signal.SIGHUP)
        done = await process.log("reloaded")
    assert done.keys() == {"time", "level", "event"}


async def test_a_change_of_the_file(tmp_path: Path, simulators: list[Simulator]) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulators[0], "a"))
    async with served(config) as (process, channel):
        replace(config, table(simulators[1], "b"))
        done = await process.log("reloaded")
        assert (done["added"], done["removed"]) == (["b"], ["a"])
        assert await chat(channel) == ANSWER
        assert simulators[1].request_count


# The first check may already see a change soon after the start. A second change is certain.


async def test_a_changed_symbolic_link(tmp_path: Path, simulator: Simulator) -> None:
    """Kubernetes mounts a ConfigMap like this: the file is a link through a link to a folder."""
    data, config = tmp_path / "..data", tmp_path / "penstock.toml"
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "penstock.toml").write_text(table(simulator, name))
    data.symlink_to("a")
    config.symlink_to("..data/penstock.toml")
    async with served(config) as (process, _):
        for name in ("b", "c"):
            (tmp_path / "..tmp").symlink_to(name)
            (tmp_path / "..tmp").replace(data)
            assert (await process.log("reloaded"))["added"] == [name]


async def test_a_change_of_a_named_file(tmp_path: Path) -> None:
    key, config = tmp_path / "key", tmp_path / "penstock.toml"
    key.write_text("sk-one")
    async with Simulator(SimulatorSettings(listen=FREE_PORT, api_key="sk-right")) as simulator:
        config.write_text(table(simulator, "a", f'api_key_file = "{key}"'))
        async with served(config) as (process, channel):
            for wrong in ("sk-two", "sk-three"):
                with pytest.raises(aio.AioRpcError):
                    await chat(channel)
                replace(key, wrong)
                assert (await process.log("reloaded"))["changed"] == ["a"]
            replace(key, "sk-right\n")
            await process.log("reloaded")
            assert await chat(channel) == ANSWER
            assert "sk-" not in str(process.logged)


async def test_the_file_of_callers(tmp_path: Path, simulator: Simulator) -> None:
    keys, config = tmp_path / "callers.toml", tmp_path / "penstock.toml"
    keys.write_text(key_of("one"))
    config.write_text(f'callers_file = "{keys}"\n' + table(simulator, "a"))
    async with served(config) as (process, channel):
        replace(keys, key_of("two"))
        assert (await process.log("reloaded"))["callers"] is True
        assert await code_with_key(channel, "one") is grpc.StatusCode.UNAUTHENTICATED
        replace(keys, "[[caller]]\n")
        assert str(keys) in (await process.log("reload refused"))["reason"]
        assert await code_with_key(channel, "two") is grpc.StatusCode.OK
        replace(keys, key_of("three"))
        assert (await process.log("reloaded"))["callers"] is True
        assert await code_with_key(channel, "three") is grpc.StatusCode.OK
        assert await code_with_key(channel, "two") is grpc.StatusCode.UNAUTHENTICATED


def key_of(name: str) -> str:
    return f'[[caller]]\nname = "{name}"\nkeys = ["sk-{name}"]\n'


async def code_with_key(channel: aio.Channel, name: str) -> grpc.StatusCode:
    call: Any = ChatCompletionServiceStub(channel).CreateChatCompletion(
        chat_request("Hi"), metadata=(("authorization", f"Bearer sk-{name}"),)
    )
    code: grpc.StatusCode = await call.code()
    return code


async def test_a_bad_file_is_refused_once(tmp_path: Path, simulators: list[Simulator]) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulators[0], "a"))
    async with served(config) as (process, channel):
        replace(config, table(simulators[1], "b") + 'wieght = "1"\n')
        refused = await process.log("reload refused")
        assert refused["level"] == "error"
        assert refused["reason"].startswith(f"{config}:4: upstream.wieght: unknown key")
        assert await chat(channel) == ANSWER
        assert not simulators[1].request_count
        # The reason stays the same for some checks; then the file is missing, and then it is valid.
        await asyncio.sleep(4 * float(SOON))
        config.unlink()
        assert "cannot read" in (await process.log("reload refused"))["reason"]
        config.write_text(table(simulators[1], "b"))
        assert (await process.log("reloaded"))["added"] == ["b"]
        assert [line["event"] for line in process.logged].count("reload refused") == 2


async def test_a_pipe_without_a_name_is_read_once(simulator: Simulator) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'default_model = "tiny-chat"\n')
    os.close(writing)
    options = OptionList(Settings, "PENSTOCK_")
    parsed = argparse.Namespace(config=f"/dev/fd/{reading}")
    for _ in range(2):
        assert options.load(parsed, {}) == Settings(default_model="tiny-chat")
    os.close(reading)


async def test_an_emptied_file_is_refused(tmp_path: Path, simulator: Simulator) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulator, "a"))
    async with served(config) as (process, channel):
        replace(config, "idle_timeout = 7\n")
        refused = await process.log("reload refused")
        assert refused["reason"].startswith("upstream: the configuration names none")
        assert await chat(channel) == ANSWER
        replace(config, 'upstream = "http://localhost:8000"\n')
        assert (await process.log("reloaded"))["added"] == ["localhost:8000"]


async def test_a_service_on_the_default_upstream_is_reloaded(serve: Serve) -> None:
    service = await serve()
    assert (await service.reload(Settings(idle_timeout=7.0))).options == ["idle_timeout"]


async def test_a_missing_file_may_appear_later(tmp_path: Path, simulator: Simulator) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulator, "a"))
    async with served(config) as (process, _):
        replace(config, table(simulator, "b", f'api_key_file = "{tmp_path / "key"}"'))
        assert "cannot be read" in (await process.log("reload refused"))["reason"]
        (tmp_path / "key").write_text("sk-1")
        assert (await process.log("reloaded"))["added"] == ["b"]


async def test_a_key_file_that_every_user_can_read(tmp_path: Path, simulator: Simulator) -> None:
    config, key = tmp_path / "penstock.toml", tmp_path / "key"
    config.write_text(table(simulator, "a"))
    key.write_text("sk-1")
    key.chmod(0o644)
    async with served(config) as (process, _):
        named = f'api_key_file = "{key}"'
        replace(config, table(simulator, "a", named))
        warning = await process.log("every user can read a file with secrets")
        assert warning["file"] == str(key)
        replace(config, table(simulator, "a", named, "weight = 2"))
        await process.log("reloaded")
        process.signal(signal.SIGTERM)
        assert "every user" not in (await process.end()).err


async def test_settings_that_need_a_restart(tmp_path: Path, simulator: Simulator) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulator, "a"))
    async with served(config) as (process, _):
        replace(config, "max_message_bytes = 1000\nidle_timeout = 9\n" + table(simulator, "a"))
        warning = await process.log("needs a restart")
        assert (warning["level"], warning["options"]) == ("warning", ["max_message_bytes"])
        done = await process.log("reloaded")
        assert (done["options"], done["changed"]) == (["idle_timeout"], ["a"])


async def test_flags_and_environment_take_precedence_as_at_the_start(
    tmp_path: Path, simulator: Simulator
) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text(table(simulator, "a"))
    async with served(config, "--idle-timeout", "5", "--reload-interval", SOON) as (process, _):
        content = "idle_timeout = 9\nmax_deadline = 7\nreload_interval = 5\n"
        replace(config, content + table(simulator, "a"))
        assert (await process.log("reloaded"))["options"] == ["max_deadline"]


async def test_limits_aliases_and_the_default_model(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    async with open_async_channel(f"127.0.0.1:{service.port}", retries=0) as channel:
        settings: dict[str, Any] = {"upstream": (simulator.url,), "max_message_bytes": 1}
        with pytest.raises(aio.AioRpcError) as unknown:
            await chat(channel, model="gpt")
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        done = await service.reload(Settings(**settings, aliases={"gpt": "tiny-chat"}))
        fixed = {"listen", "admin_listen", "max_message_bytes"}
        assert done.options == ["aliases"]
        assert fixed <= set(done.restart)
        assert await chat(channel, model="gpt") == ANSWER

        done = await service.reload(Settings(**settings, max_deadline=0.05))
        assert fixed <= set(done.restart), "unchanged settings are reported again"
        with pytest.raises(aio.AioRpcError) as late:
            await chat(channel, "[[simulate: silent]]")
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

        await service.reload(Settings(**settings, max_concurrent_calls=1))
        simulator.faults = "slow-headers seconds=0.5"
        calls = await asyncio.gather(*(chat(channel) for _ in range(3)), return_exceptions=True)
        assert calls.count(ANSWER) == 1


async def test_a_failed_reload_changes_nothing(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,))
    settings, replicas = service.settings, service._fleet.replicas
    known = [replica.upstream for replica in replicas]
    unusable = UpstreamTable("http://1.2.3.999:8000")
    for upstream in ((unusable,), (UpstreamTable(simulator.url, weight=2), unusable)):
        with pytest.raises(Exception, match="Invalid IPv4 address"):
            await service.reload(Settings(upstream=upstream, max_concurrent_calls=1))
        assert service.settings is settings
        assert service._admission.most == 0
        assert service._fleet.replicas == replicas
        assert [replica.upstream for replica in replicas] == known


async def test_settings_that_need_a_restart_change_no_upstream(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    kept = service._fleet.replicas[0].upstream
    done = await service.reload(Settings(upstream=(simulator.url,), forward_authorization=True))
    assert "forward_authorization" in done.restart
    assert done.changed == []
    assert service._fleet.replicas[0].upstream is kept


async def test_a_file_that_is_being_written_is_not_read(
    tmp_path: Path, serve: Serve, simulator: Simulator
) -> None:
    """It is read when it has not changed since the previous check."""
    config = tmp_path / "penstock.toml"
    config.write_text("")
    read: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def load() -> Settings:
        loop.call_soon_threadsafe(read.put_nowait, config.read_text())
        return Settings(upstream=(simulator.url,), reload_interval=0.05)

    service = await serve(upstream=(simulator.url,), reload_interval=0.05)
    running = asyncio.create_task(Reloader(service, load, str(config), asyncio.Event()).run())
    async with asyncio.timeout(60):
        assert await read.get() == ""
        for count in range(1, 60):
            config.write_text("x" * count)
            await asyncio.sleep(0.005)
        seen = [await read.get()]
        while len(seen[-1]) < 59:
            seen.append(await read.get())
    running.cancel()
    assert len(seen) <= 2


CALLS, RELOADS, CALLERS = 3_000, 15, 20


class Connected(Simulator):
    """An upstream that knows its open connections."""

    def __init__(self, settings: SimulatorSettings) -> None:
        super().__init__(settings)
        self.open: set[asyncio.StreamWriter] = set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            await super()._connected(reader, writer)
        finally:
            self.open.discard(writer)


async def attempts(call: Any) -> str:
    return str(dict(await call.trailing_metadata())["x-penstock-attempts"])


async def test_no_call_fails_while_the_configuration_is_reloaded(
    tmp_path: Path, simulators: list[Simulator]
) -> None:
    config = tmp_path / "penstock.toml"
    stays = Connected(SimulatorSettings(listen=FREE_PORT))

    def content(number: int) -> str:
        """Returns a configuration in which one upstream is missing and another one changed."""
        kept = [s for i, s in enumerate(simulators) if i != number % 3]
        names = [f"r{simulators.index(simulator)}" for simulator in kept]
        changed = table(kept[1], names[1], f"weight = {number + 1}")
        return table(stays, "stays") + table(kept[0], names[0]) + changed

    async with stays:
        config.write_text(content(0))
        async with served(config, interval="0") as (process, channel):
            stub, waiting = ChatCompletionServiceStub(channel), iter(range(CALLS))
            done: asyncio.Queue[int] = asyncio.Queue()
            watch = HealthStub(channel).Watch(HealthCheckRequest())
            while (await watch.read()).status != HealthCheckResponse.SERVING:
                pass

            async def caller() -> None:
                for number in waiting:
                    call: Any
                    if number % 5:
                        call = stub.CreateChatCompletion(chat_request("Say hello."))
                        answer = await call
                        text = "".join(p.text for p in answer.choices[0].message.content)
                    else:
                        call = stub.StreamChatCompletion(chat_request("Say hello."))
                        parts = [c.delta.content async for message in call for c in message.choices]
                        text = "".join(parts)
                    assert (text, await attempts(call)) == (ANSWER, "1")
                    done.put_nowait(number)

            connections: list[set[asyncio.StreamWriter]] = []

            async def reloads() -> None:
                for number in range(1, RELOADS + 1):
                    for _ in range(CALLS // (RELOADS + 1)):
                        await done.get()
                    connections.append(set(stays.open))
                    replace(config, content(number))
                    process.signal(signal.SIGHUP)
                    assert (await process.log("reloaded"))["added"]

            change = asyncio.create_task(watch.read())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(reloads())
                for _ in range(CALLERS):
                    tasks.create_task(caller())
            assert not change.done(), "a change of health was reported"
            change.cancel()
            assert {line["code"] for line in process.logged if line["event"] == "rpc"} == {"OK"}
    # A reload does not open the connections of an unchanged upstream anew.
    assert all(before & after for before, after in pairwise(connections))


class Looking:
    """A service whose configuration is checked continuously.

    Attributes:
        looks: released before each check.
    """

    def __init__(self, path: Path) -> None:
        self.looks = asyncio.Semaphore(0)
        self._settings = Settings(callers_file=str(path), reload_interval=0.001)

    def record_refusal(self) -> None:
        """Nothing counts refusals."""

    @property
    def settings(self) -> Settings:
        self.looks.release()
        return self._settings

    async def reload(self, settings: Settings) -> Any:
        raise AssertionError("nothing can be loaded")


@pytest.mark.parametrize("retry", [False, True])
async def test_a_refused_file_is_read_again_only_after_a_change(
    tmp_path: Path, retry: bool
) -> None:
    config, loads = tmp_path / "penstock.toml", 0
    config.write_text("")

    def load() -> Settings:
        nonlocal loads
        loads += 1
        raise SettingsError("faulty", retry=retry)

    service = Looking(config)
    running = asyncio.create_task(Reloader(service, load, str(config), asyncio.Event()).run())
    async with asyncio.timeout(60):
        for expected in (1, 2):
            for _ in range(40):
                await service.looks.acquire()
            assert loads > 5 if retry else loads == expected
            config.write_text("changed")
    running.cancel()
