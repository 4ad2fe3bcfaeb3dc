"""Unix sockets for callers and upstreams, and sockets left behind by a crash."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cli.process import PENSTOCK, Process, penstock, started
from conftest import FREE_PORT, Serve

from penstock import AsyncClient
from penstock_server.rpc.server import CannotListen
from penstock_server.simulator import Simulator, SimulatorSettings

ANSWER = "Hello! How can I help you today?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for a socket."""
    return tmp_path / "penstock.sock"


def left(path: Path) -> str | None:
    """Returns the kind of a file: a socket, the text of a file, or nothing."""
    if path.is_socket():
        return "socket"
    return path.read_text() if path.exists() else None


@asynccontextmanager
async def served(*listen: str) -> AsyncIterator[Process]:
    arguments = [word for address in listen for word in ("--listen", address)]
    async with started(PENSTOCK, "serve", "--upstream", "http://127.0.0.1:1", *arguments) as run:
        yield run


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
async def test_a_service_on_a_socket(form: str, path: Path, simulator: Simulator) -> None:
    listen = ("--listen", form.format(path), "--upstream", simulator.url)
    async with started(PENSTOCK, "serve", *listen) as process:
        assert (await process.log("serving"))["address"] == f"unix:{path}"
        for target in (f"unix:{path}", f"unix://{path}"):
            answer = await penstock("chat", "Say hello.", "--target", target)
            assert (answer.code, answer.out) == (0, f"{ANSWER}\n"), answer
            async with AsyncClient(target) as client:
                assert (await client.chat.create("Say hello.")).text == ANSWER
        process.signal(signal.SIGTERM)
        assert (await process.end()).code == 0
    assert left(path) is None


async def test_several_addresses(path: Path, serve: Serve, simulator: Simulator) -> None:
    listen = (f"unix:{path}", FREE_PORT, FREE_PORT)
    service = await serve(upstream=(simulator.url,), listen=listen)
    assert service.addresses[0] == f"unix:{path}"
    assert service.addresses[1] == f"127.0.0.1:{service.port}"
    assert len(set(service.addresses)) == 3
    for target in service.addresses:
        async with AsyncClient(target) as client:
            assert (await client.chat.create("Say hello.")).text == ANSWER


async def test_a_socket_that_a_crash_left(path: Path) -> None:
    async with served(f"unix:{path}") as process:
        await process.log("serving")
        process.signal(signal.SIGKILL)
        await process.end()
    assert left(path) == "socket"
    async with served(f"unix:{path}") as process:
        await process.log("serving")
        health = await penstock("health", "--service", "liveness", "--target", f"unix:{path}")
        assert health.code == 0, health


async def test_a_socket_in_use(path: Path, serve: Serve, simulator: Simulator) -> None:
    await serve(upstream=(simulator.url,), listen=f"unix:{path}")
    result = await penstock("serve", "--listen", f"unix:{path}")
    assert result.code == 4
    taken = f"penstock: cannot listen on unix:{path}: address already in use"
    assert result.err == f"{taken}; choose another address with --listen\n"
    async with AsyncClient(f"unix:{path}") as client:
        assert (await client.chat.create("Say hello.")).text == ANSWER


async def test_a_socket_with_a_full_queue_is_in_use(path: Path, serve: Serve) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            with pytest.raises(CannotListen):
                await serve(listen=f"unix:{path}")
    assert left(path) == "socket"


async def test_other_files_are_not_removed(path: Path) -> None:
    with open(path, "w") as file:  # noqa: ASYNC230
        file.write("precious")
    assert (await penstock("serve", "--listen", f"unix:{path}")).code == 4
    assert (await penstock("simulate", "--listen", f"unix:{path}")).code == 4
    assert left(path) == "precious"
    missing = await penstock("serve", "--listen", f"unix:{path.parent}/none/penstock.sock")
    assert missing.code == 4


async def test_one_of_several_sockets_is_in_use(
    path: Path, serve: Serve, simulator: Simulator
) -> None:
    other = await serve(upstream=(simulator.url,))
    with pytest.raises(CannotListen):
        await serve(listen=(f"unix:{path}", other.addresses[0]))
    assert left(path) is None
    with pytest.raises(CannotListen):
        await serve(listen=f"unix:{path}", admin_listen=other.addresses[0])
    assert left(path) is None


async def test_the_simulator_on_a_socket(path: Path, serve: Serve) -> None:
    settings = SimulatorSettings(listen=f"unix:{path}")
    async with Simulator(settings) as simulator:
        assert simulator.url == f"unix://{path}"
        with pytest.raises(OSError, match="in use"):
            await Simulator(settings).start()
        service = await serve(upstream=(simulator.url,))
        async with AsyncClient(service.addresses[0]) as client:
            assert (await client.chat.create("Say hello.")).text == ANSWER
            async with client.chat.stream("Say hello.") as stream:
                assert "".join([text async for text in stream.text_stream]) == ANSWER
    assert left(path) is None


async def test_the_simulator_on_a_socket_that_a_crash_left(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    async with asyncio.timeout(60), Simulator(SimulatorSettings(listen=f"unix:{path}")) as running:
        assert running.url == f"unix://{path}"


async def test_demo_on_a_socket(path: Path) -> None:
    async with started(
        *(PENSTOCK, "demo", "--listen", f"unix:{path}"),
        *("--admin-listen", "off", "--metrics-listen", "off"),
    ) as process:
        said = await process.line("Serving until Ctrl-C.")
        assert ANSWER in said
        assert f"unix:{path}" in said
        process.signal(signal.SIGTERM)
        assert (await process.end()).code == 0
