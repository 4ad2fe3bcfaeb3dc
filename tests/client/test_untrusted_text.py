"""Texts of upstreams and models do not control the terminal; foreign line endings are removed."""

import asyncio

import pytest
from conftest import Serve

from penstock_server.simulator import Simulator, SimulatorSettings

from .terminal import penstock, terminal

STEERING = "a\x1b]0;title\x07b\rc\x7fd\x9b2Je"
SPELLED_OUT = r"a\x1b]0;title\x07b\rc\x7fd\x9b2Je"


async def test_names_of_models(serve: Serve) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", models=(STEERING,))
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,))
        target = f"127.0.0.1:{service.port}"
        listed = await asyncio.to_thread(penstock, "models", "--target", target)
        failed = await asyncio.to_thread(penstock, "chat", "Hi", "--model", "x", "--target", target)
    assert listed.stdout.decode().partition("\t")[0] == SPELLED_OUT
    assert SPELLED_OUT in failed.stderr.decode()
    assert "\x1b" not in failed.stderr.decode()


def test_an_answer_in_a_pipe_is_unchanged(target: str) -> None:
    said = penstock("chat", STEERING, "--target", target).stdout.decode()
    assert said == f"You said: {STEERING}\n"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_answer_on_a_terminal(target: str, more: tuple[str, ...]) -> None:
    with terminal("chat", STEERING, "--target", target, *more) as shown:
        shown.process.wait(60)
        text = shown.wait_for("2Je")
    assert not {"\x1b", "\x07", "\x7f", "\x9b"} & set(text)
    assert "title" in text


LINES = {
    "CRLF": b"alpha\r\nbeta\r\n",
    "LF": b"alpha\nbeta\n",
    "no final line ending": b"alpha\r\nbeta",
    "byte order mark": b"\xef\xbb\xbfalpha\r\nbeta\r\n",
}


@pytest.mark.parametrize("given", LINES.values(), ids=LINES)
async def test_lines_of_other_systems(serve: Serve, given: bytes) -> None:
    async with (
        Simulator(SimulatorSettings(listen="127.0.0.1:0", kind="all")) as simulator,
    ):
        service = await serve(upstream=(simulator.url,))
        more = ("--target", f"127.0.0.1:{service.port}")
        ranked = await asyncio.to_thread(penstock, "rerank", "q", *more, given=given)
        await asyncio.to_thread(penstock, "embed", *more, given=given)
        await asyncio.to_thread(penstock, "tokenize", *more, given=given)
        bodies = {one.path: one.json for one in simulator.requests if one.method == "POST"}
    assert {line.split(b"\t")[2] for line in ranked.stdout.splitlines()} == {b"alpha", b"beta"}
    assert b"\r" not in ranked.stdout
    assert ["alpha", "beta"] in bodies["/v1/embeddings"].values()
    assert bodies["/tokenize"]["prompt"].startswith("alpha")


LOOPBACK = ("127.0.0.1:{}", "localhost:{}", "dns:///localhost:{}", "ipv4:127.0.0.1:{}")


@pytest.mark.parametrize("form", LOOPBACK)
async def test_no_proxy_to_this_machine(serve: Serve, simulator: Simulator, form: str) -> None:
    service = await serve(upstream=(simulator.url,))
    target = form.format(service.port)
    proxies = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "no_grpc_proxy": ""}
    result = await asyncio.to_thread(penstock, "health", "--target", target, **proxies)
    assert result.stdout == b"SERVING\n"
