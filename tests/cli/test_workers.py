"""`penstock serve --workers`: several processes on one port."""

import asyncio
import errno
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from authority import Authority
from authority import write as replace
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from rpc.calls import until
from skipping import LIMIT_S, Skipping
from telemetry.scrape import scrape
from upstream.wire import served as upstream_served

from penstock.cli import chat_request
from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator
from penstock_server.supervisor import Workers, reserved

from .process import BOUND_S, PENSTOCK, Process, clean_environment, penstock, started

# The kernel assigns each connection to a random worker; all of these to one of two:
# once in 30,000 runs.
CONNECTIONS = 16


class Served:
    """Workers behind one address.

    Attributes:
        process: the one that started them.
        address: address of the workers.
        admin: address of AdminService.
        metrics: address of the metrics; empty for none.
        pids: the process of each worker, by its number.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.address = self.admin = self.metrics = ""
        self.pids: dict[int, int] = {}

    async def begin(self, count: int) -> None:
        """Waits until all expected workers serve."""
        self.pids.clear()
        while len(self.pids) < count:
            line = await self.process.log("worker serves")
            self.pids[line["worker"]] = line["pid"]
        addresses = [e["address"] for e in self.process.logged if e["event"] == "serving"]
        [self.address] = set(addresses)
        admins = [e["address"] for e in self.process.logged if e["event"] == "serving admin"]
        [self.admin] = [address for address in admins if not address.startswith("unix:")]
        scraped = (e["address"] for e in self.process.logged if e["event"] == "serving metrics")
        self.metrics = next((one for one in scraped if not one.startswith("unix:")), "")

    @asynccontextmanager
    async def channels(self) -> AsyncIterator[list[aio.Channel]]:
        """Opens enough connections that every worker has one."""
        async with AsyncExitStack() as stack:
            # Channels with equal options would share one connection.
            options = [[("grpc.enable_retries", 0), ("test", n)] for n in range(CONNECTIONS)]
            opened = [aio.insecure_channel(self.address, options=each) for each in options]
            yield [await stack.enter_async_context(channel) for channel in opened]


@asynccontextmanager
async def workers(upstream: str, *arguments: str, count: int = 2) -> AsyncIterator[Served]:
    command = (PENSTOCK, "serve", "--workers", str(count), "--listen", "127.0.0.1:0")
    more = ("--admin-listen", "127.0.0.1:0", "--upstream", upstream, "--log-format", "json")
    async with started(*command, *more, *arguments) as process:
        served = Served(process)
        await served.begin(count)
        yield served


def streamed(channel: aio.Channel) -> Any:
    return ChatCompletionServiceStub(channel).StreamChatCompletion(chat_request("Say hello."))


async def health(channel: aio.Channel) -> Any:
    answer: Any = await HealthStub(channel).Check(HealthCheckRequest())
    return answer.status


async def ends(call: Any) -> grpc.StatusCode:
    while await call.read() is not aio.EOF:
        pass
    code: grpc.StatusCode = await call.code()
    return code


async def end_of(call: Any) -> grpc.StatusCode:
    try:
        return await ends(call)
    except aio.AioRpcError as error:
        return error.code()


async def test_a_worker_that_dies_ends_only_its_own_calls(
    simulator: Simulator, skip: Skipping
) -> None:
    simulator.faults = f"slow-first-event;seconds={LIMIT_S}"
    async with workers(simulator.url) as served, served.channels() as channels:
        calls = [streamed(channel) for channel in channels]
        await simulator.wait_active(CONNECTIONS)
        os.kill(served.pids[1], signal.SIGKILL)
        died = await served.process.log("worker died")
        assert (died["worker"], died["code"]) == (1, -signal.SIGKILL)
        await skip()
        codes = await asyncio.gather(*map(end_of, calls))
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        new = await served.process.log("worker serves")
        assert new["worker"] == 1
        assert new["pid"] != died["pid"]


async def test_metrics_are_those_of_all_also_after_a_death(simulator: Simulator) -> None:
    started_total = "grpc_server_started_total"
    more = ("--metrics-listen", "127.0.0.1:0")
    async with workers(simulator.url, *more) as served:
        async with served.channels() as channels:
            codes = await asyncio.gather(*(ends(streamed(channel)) for channel in channels))
        assert set(codes) == {grpc.StatusCode.OK}
        found = await scrape(served.metrics)
        assert found.value(started_total) == CONNECTIONS
        assert found.value("penstock_workers") == 2
        os.kill(served.pids[1], signal.SIGKILL)
        await served.process.log("worker died")
        await served.process.log("worker serves")
        async with served.channels() as channels:
            await asyncio.gather(*(ends(streamed(channel)) for channel in channels))
        found = await scrape(served.metrics)
        assert found.value(started_total) == 2 * CONNECTIONS
        assert found.value("penstock_workers") == 2


async def test_all_drain(simulator: Simulator, skip: Skipping) -> None:
    simulator.faults = f"slow-first-event;seconds={LIMIT_S}"
    async with workers(simulator.url) as served, served.channels() as channels:
        calls = [streamed(channel) for channel in channels]
        await simulator.wait_active(CONNECTIONS)
        served.process.signal(signal.SIGTERM)
        for _ in served.pids:
            await served.process.log("draining")
        await skip()
        assert set(await asyncio.gather(*map(end_of, calls))) == {grpc.StatusCode.OK}
        assert (await served.process.end()).code == 0


async def test_a_signal_from_a_terminal_has_no_delay(simulator: Simulator) -> None:
    async with workers(simulator.url, "--drain-delay", "3600") as served:
        served.process.signal(signal.SIGINT)
        assert (await served.process.end()).code == 0


async def test_a_second_signal_stops_all_at_once(simulator: Simulator) -> None:
    simulator.faults = "stall;after=1"
    async with workers(simulator.url) as served, served.channels() as channels:
        calls = [streamed(channel) for channel in channels]
        for call in calls:
            await call.read()
        served.process.signal(signal.SIGTERM)
        for _ in served.pids:
            await served.process.log("draining")
        served.process.signal(signal.SIGTERM)
        codes = await asyncio.gather(*map(end_of, calls))
        assert set(codes) == {grpc.StatusCode.UNAVAILABLE}
        assert (await served.process.end()).code == 0


async def test_no_worker_outlives_the_supervisor(simulator: Simulator) -> None:
    async with workers(simulator.url) as served:
        served.process.signal(signal.SIGKILL)
        # The log, which all of them keep open, ends with the last process.
        await served.process.end()


async def test_all_workers_report_the_same_health(simulator: Simulator) -> None:
    async with workers(simulator.url) as served:
        async with served.channels() as channels:
            states = set(await asyncio.gather(*map(health, channels)))
        assert states == {HealthCheckResponse.SERVING}
        os.kill(served.pids[0], signal.SIGKILL)
        await served.process.log("worker serves")
        async with served.channels() as channels:
            states = set(await asyncio.gather(*map(health, channels)))
        assert states == {HealthCheckResponse.SERVING}


async def test_one_admin_service_for_all_workers(simulator: Simulator) -> None:
    async with workers(simulator.url) as served, served.channels() as channels:
        assert set(await asyncio.gather(*(ends(streamed(c)) for c in channels))) == {
            grpc.StatusCode.OK
        }
        async with aio.insecure_channel(served.admin) as admin:
            [replica] = (
                await AdminServiceStub(admin).ListUpstreams(ListUpstreamsRequest())
            ).replicas
        assert replica.requests == CONNECTIONS
        assert replica.outstanding == 0


async def test_all_reload(simulator: Simulator, tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text("reload_interval = 0\n")
    async with workers(simulator.url, "--config", str(config)) as served:
        for generation in (2, 3):
            config.write_text(f"max_deadline = {generation}\nreload_interval = 0\n")
            served.process.signal(signal.SIGHUP)
            for _ in served.pids:
                await served.process.log("reloaded")
            assert await configuration(served) == generation
            # A replacement starts with the latest configuration.
            for pid in served.pids.values():
                os.kill(pid, signal.SIGKILL)
            await served.begin(2)
            assert await configuration(served) == generation


@pytest.mark.parametrize("key", ["listen", "admin_listen", "workers"])
async def test_shared_settings_need_a_restart(
    simulator: Simulator, tmp_path: Path, key: str
) -> None:
    config = tmp_path / "penstock.toml"
    begun = {"listen": '"127.0.0.1:0"', "admin_listen": '"off"', "workers": "2"}
    after = begun | {key: {"listen": '"127.0.0.1:1"', "workers": "3"}.get(key, '"127.0.0.1:1"')}
    write(config, begun)
    command = (PENSTOCK, "serve", "--config", str(config), "--upstream", simulator.url)
    env = {"PENSTOCK_ADMIN_LISTEN": ""}
    async with started(*command, "--log-format", "json", env=env) as process:
        for _ in range(2):
            await process.log("worker serves")
        write(config, after)
        process.signal(signal.SIGHUP)
        for _ in range(2):
            assert (await process.log("needs a restart"))["options"] == [key]


def write(config: Path, keys: dict[str, str]) -> None:
    config.write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))


async def test_a_worker_that_does_not_serve_yet_gets_no_connections() -> None:
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with upstream_served(hang) as url, asyncio.timeout(BOUND_S):
        with reserved(["127.0.0.1:0"]) as [address]:
            settings = Settings(upstream=(url,), listen=address, admin_listen="", metrics_listen="")
            service = Service(settings, share_ports=True)
            starting = asyncio.create_task(service.start())
            await asked.wait()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address.split(":"))
            starting.cancel()
            await asyncio.wait((starting,))
            await service.stop(0)


async def test_a_configuration_from_a_pipe() -> None:
    arguments = ("--workers", "2", "--listen", "127.0.0.1:0", "--config", "/dev/stdin")
    process = await asyncio.create_subprocess_exec(
        PENSTOCK, "serve", *arguments, stdin=PIPE, stderr=PIPE, env=clean_environment()
    )
    try:
        async with asyncio.timeout(BOUND_S):
            _, output = await process.communicate(b"idle_timeout = 30\n")
    finally:
        if process.returncode is None:
            process.terminate()
    assert process.returncode == 3
    assert output.startswith(b"penstock: workers cannot read /dev/stdin")


async def configuration(served: Served) -> int:
    """Returns the configuration that all workers have."""
    async with aio.insecure_channel(served.admin) as admin:
        answer = await AdminServiceStub(admin).ListUpstreams(ListUpstreamsRequest())
    return answer.configuration_generation


async def shell(script: str) -> asyncio.subprocess.Process:
    """Starts another process in place of a worker."""
    return await asyncio.create_subprocess_exec("sh", "-c", script, stdin=PIPE, stdout=PIPE)


async def nothing() -> None:
    pass


async def test_a_starting_worker_receives_a_reload_once_it_serves() -> None:
    """The signal would kill a worker without a handler."""
    processes: dict[int, asyncio.subprocess.Process] = {}
    both = asyncio.Event()

    async def start(number: int) -> asyncio.subprocess.Process:
        processes[number] = await shell(
            f"""
            trap 'exit 7' TERM
            [ {number} = 1 ] && read line
            trap 'reloaded=1' HUP
            echo ready
            while [ -z "$reloaded" ]; do sleep 0.05; done
            echo reloaded
            while :; do sleep 0.05; done
            """
        )
        if number == 1:
            both.set()
        return processes[number]

    workers = Workers(2, start)
    running = asyncio.create_task(workers.run(nothing))
    async with asyncio.timeout(BOUND_S):
        await both.wait()
        await asyncio.sleep(0)
        workers.signal(signal.SIGHUP)
        first, second = processes[0], processes[1]
        assert second.stdin
        second.stdin.write(b"go\n")
        await until(lambda: workers._generations == {0: 2, 1: 2}, BOUND_S)
        workers.signal(signal.SIGTERM)
        await running
    assert [first.returncode, second.returncode] == [7, 7]


async def test_starting_a_worker_is_retried() -> None:
    tried = asyncio.Queue[int]()

    async def start(number: int) -> asyncio.subprocess.Process:
        tried.put_nowait(number)
        if number == 1 and tried.qsize() < 3:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")

    workers = Workers(2, start)
    running = asyncio.create_task(workers.run(nothing))
    async with asyncio.timeout(BOUND_S):
        while tried.qsize() < 3:
            await asyncio.wait((running,), timeout=0.05)
            assert not running.done()
        workers.signal(signal.SIGTERM)
        await running
    assert [tried.get_nowait() for _ in range(3)] == [0, 1, 1]


async def test_a_worker_that_hangs_is_killed_after_the_second_signal() -> None:
    processes: list[asyncio.subprocess.Process] = []
    serves = asyncio.Event()

    async def start(number: int) -> asyncio.subprocess.Process:
        processes.append(await shell("trap '' TERM; echo ready; exec sleep 60"))
        return processes[-1]

    async def started() -> None:
        serves.set()

    workers = Workers(1, start, at_once_s=0.1)
    running = asyncio.create_task(workers.run(started))
    async with asyncio.timeout(BOUND_S):
        await serves.wait()
        workers.signal(signal.SIGTERM)
        workers.signal(signal.SIGTERM)
        await running
    assert processes[0].returncode == -signal.SIGKILL


async def test_all_replace_the_certificate(simulator: Simulator, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def issue() -> bytes:
        authority = Authority()
        for path, content in zip((cert, key), authority.issue(), strict=True):
            replace(path, content)
        return authority.root

    roots = [issue()]
    probes = "--health-listen=127.0.0.1:0"
    options = (f"--tls-cert={cert}", f"--tls-key={key}", probes)
    async with workers(simulator.url, *options) as served:
        while len(roots) < 3:
            credentials = grpc.ssl_channel_credentials(roots[-1])
            for number in range(CONNECTIONS):
                each = (("test", number),)
                async with aio.secure_channel(served.address, credentials, each) as channel:
                    assert await health(channel)
            roots.append(issue())
        probed = {e["address"] for e in served.process.logged if e["event"] == "serving health"}
        assert len(probed) == 1
        async with aio.insecure_channel(*probed) as channel:
            assert await health(channel)


@pytest.mark.parametrize("count", ["1", "2"])
async def test_a_taken_port(simulator: Simulator, count: str) -> None:
    async with workers(simulator.url) as served:
        other = await penstock("serve", "--listen", served.address, "--workers", count)
    assert (other.code, other.out) == (4, "")
    taken = f"penstock: cannot listen on {served.address}: address already in use"
    assert other.err == f"{taken}; choose another address with --listen\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--callers-file", "/nowhere/callers.toml"), "cannot read /nowhere/callers.toml"),
        (("--listen", "unix:/tmp/no.sock"), "workers cannot share unix:/tmp/no.sock"),
        (("--workers", "0"), "--workers: '0' must be above 0"),
        (("--workers", "many"), "--workers: 'many' must be a whole number"),
    ],
)
async def test_invalid_combinations_of_options(arguments: tuple[str, ...], problem: str) -> None:
    result = await penstock("serve", "--workers", "2", "--listen", "127.0.0.1:0", *arguments)
    assert result.code == 3
    assert result.err.startswith(f"penstock: {problem}")
    assert result.err.count("\n") == 1
