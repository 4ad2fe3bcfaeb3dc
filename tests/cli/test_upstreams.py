"""`penstock upstreams`: the table, the JSON, the exit codes."""

import asyncio
import json
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from conftest import FREE_PORT, Serve
from google.protobuf.text_format import Parse
from grpc import aio

from penstock.v1 import admin_pb2_grpc
from penstock.v1.admin_pb2 import (
    ListAdaptersRequest,
    ListAdaptersResponse,
    ListUpstreamsRequest,
    ListUpstreamsResponse,
    LoadAdapterRequest,
    LoadAdapterResponse,
    ResetCachesRequest,
    ResetCachesResponse,
    SleepRequest,
    SleepResponse,
    UnloadAdapterRequest,
    UnloadAdapterResponse,
    WakeUpRequest,
    WakeUpResponse,
)
from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .process import BOUND_S, PENSTOCK, Result, penstock, started

KNOWN = """
server_version: "1.2.3"
configuration_generation: 2
replicas {
  upstream: "chat" address: "10.0.0.7:8000" state: REPLICA_STATE_READY
  models: "tiny-chat" models: "tiny-lora" capabilities: CAPABILITY_CHAT
  outstanding: 3 requests: 120 errors: 1 latency {nanos: 12345678} version: "0.14.1" weight: 1
}
replicas {
  upstream: "whisper" address: "/run/vllm.sock" state: REPLICA_STATE_SLOW_START
  latency {seconds: 2 nanos: 500000000}
}
"""
ILL = """
replicas {
  upstream: "embed" address: "10.0.0.9:8000" state: REPLICA_STATE_EJECTED
  errors: 5 consecutive_failures: 5 last_error: "connect: refused"
}
"""


class Admin(admin_pb2_grpc.AdminServiceServicer):
    """An AdminService with a fixed answer."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    async def ListUpstreams(
        self, request: ListUpstreamsRequest, context: object
    ) -> ListUpstreamsResponse:
        return Parse(self.answer, ListUpstreamsResponse())

    async def Sleep(self, request: SleepRequest, context: object) -> SleepResponse:
        return Parse(self.answer, SleepResponse())

    async def WakeUp(self, request: WakeUpRequest, context: object) -> WakeUpResponse:
        return Parse(self.answer, WakeUpResponse())

    async def ResetCaches(
        self, request: ResetCachesRequest, context: object
    ) -> ResetCachesResponse:
        return Parse(self.answer, ResetCachesResponse())

    async def ListAdapters(
        self, request: ListAdaptersRequest, context: object
    ) -> ListAdaptersResponse:
        return Parse(self.answer, ListAdaptersResponse())

    async def LoadAdapter(
        self, request: LoadAdapterRequest, context: object
    ) -> LoadAdapterResponse:
        return Parse(self.answer, LoadAdapterResponse())

    async def UnloadAdapter(
        self, request: UnloadAdapterRequest, context: object
    ) -> UnloadAdapterResponse:
        return Parse(self.answer, UnloadAdapterResponse())


@asynccontextmanager
async def serving(admin: Admin, address: str = FREE_PORT) -> AsyncIterator[str]:
    """Serves an AdminService; yields its address."""
    server = aio.server()
    admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def test_the_table() -> None:
    async with serving(Admin(KNOWN)) as target:
        result = await penstock("upstreams", "--target", target)
    assert result == Result(
        0,
        "NAME     ADDRESS         STATE       MODELS               OUTSTANDING  ERRORS  LATENCY"
        "  VERSION\n"
        "chat     10.0.0.7:8000   ready       tiny-chat,tiny-lora  3            1       12.3ms "
        "  0.14.1\n"
        "whisper  /run/vllm.sock  slow_start  -                    0            0       2.5s   "
        "  -\n",
        "",
    )


async def test_an_upstream_that_is_not_ready() -> None:
    async with serving(Admin(ILL)) as target:
        result = await penstock("upstreams", env={"PENSTOCK_ADMIN_TARGET": target})
    assert result == Result(
        1,
        "NAME   ADDRESS        STATE    MODELS  OUTSTANDING  ERRORS  LATENCY  VERSION\n"
        "embed  10.0.0.9:8000  ejected  -       0            5       -        -\n",
        "penstock: embed: connect: refused\n",
    )


async def test_an_odd_model_list_of_a_ready_upstream() -> None:
    odd = KNOWN.replace('address: "10', 'model_list_oddities: "a: root is 7" address: "10')
    async with serving(Admin(odd)) as target:
        result = await penstock("upstreams", "--target", target)
    assert (result.code, result.err) == (0, "penstock: chat: odd model list: a: root is 7\n")


async def test_a_certificate_that_cannot_be_used() -> None:
    problem = 'certificate_problem: "cert.pem expired at 2026-01-01"'
    async with serving(Admin(KNOWN + problem)) as target:
        result = await penstock("upstreams", "--target", target)
    assert (result.code, result.err) == (
        0,
        "penstock: certificate of the service: cert.pem expired at 2026-01-01\n",
    )


async def test_texts_of_upstreams_do_not_control_the_terminal() -> None:
    said = ILL.replace("refused", r"\033[31m\nno").replace(
        "errors: 5", r'errors: 5 version: "\033"'
    )
    async with serving(Admin(said)) as target:
        result = await penstock("upstreams", "--target", target)
    assert result.err == "penstock: embed: connect: \\x1b[31m\\nno\n"
    assert "\033" not in result.out
    assert result.out.count("\n") == 2


async def test_json() -> None:
    async with serving(Admin(KNOWN + ILL)) as target:
        result = await penstock("upstreams", "--json", "--target", target)
    assert (result.code, result.err, result.out.count("\n")) == (1, "", 1)
    answer = json.loads(result.out)
    chat, whisper, embed = answer.pop("replicas")
    assert answer == {
        "server_version": "1.2.3",
        "configuration_generation": "2",
        "certificate_problem": "",
    }
    assert chat == {
        "upstream": "chat",
        "address": "10.0.0.7:8000",
        "state": "REPLICA_STATE_READY",
        "models": ["tiny-chat", "tiny-lora"],
        "capabilities": ["CAPABILITY_CHAT"],
        "outstanding": 3,
        "requests": "120",
        "errors": "1",
        "consecutive_failures": 0,
        "latency": "0.012345678s",
        "version": "0.14.1",
        "weight": 1.0,
        "last_error": "",
        "model_list_oddities": "",
    }
    assert "latency" not in embed
    assert whisper["outstanding"] == 0


async def test_none() -> None:
    async with serving(Admin("")) as target:
        result = await penstock("upstreams", "--target", target)
    assert (result.code, result.out.count("\n"), result.err) == (1, 1, "")


async def test_a_service(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT, slow_start=0)
    target = ("--target", f"127.0.0.1:{service.admin.port}")
    async with asyncio.timeout(60):
        while (result := await penstock("upstreams", *target)).code:
            pass
    head, row = result.out.splitlines()
    where = simulator.url.removeprefix("http://")
    assert re.fullmatch(
        rf"{where}  {where}  ready  tiny-chat,tiny-chat-alias  0 +0 +-  +\d+\.\d+\.\d+\S*", row
    )
    assert head.split()[:3] == ["NAME", "ADDRESS", "STATE"]
    simulator.healthy = False
    async with asyncio.timeout(60):
        while not (result := await penstock("upstreams", *target)).code:
            pass
    assert (result.code, " down " in result.out) == (1, True)


@pytest.mark.parametrize("more", [(), ("--watch",)])
async def test_the_wrong_address(service: Service, more: tuple[str, ...]) -> None:
    target = f"127.0.0.1:{service.port}"
    result = await penstock("upstreams", "--target", target, *more)
    assert (result.code, result.out) == (2, "")
    expected = f"penstock: {target} is not the admin address of a service, which penstock serve"
    assert result.err.startswith(expected)


async def test_watching() -> None:
    admin = Admin(KNOWN)
    async with serving(admin) as target:
        command = ("upstreams", "--watch", "0.05", "--target", target)
        async with started(PENSTOCK, *command) as process:
            await process.line("whisper")
            await process.line("whisper")
            admin.answer = ILL
            shown = await process.line("embed")
            assert "\x1b" not in shown
            process.signal(signal.SIGINT)
            assert (await process.end()).code == 130


async def test_watching_continues_without_the_service() -> None:
    async with AsyncExitStack() as running:
        first = serving(Admin(KNOWN))
        target = await first.__aenter__()
        command = ("upstreams", "--watch", "0.05", "--target", target)
        process = await running.enter_async_context(started(PENSTOCK, *command))
        await process.line("whisper")
        await first.__aexit__(None, None, None)
        async with asyncio.timeout(BOUND_S):
            error = await process.err.readline()
        # The server of this test cancels a call that is running when it stops.
        assert error.startswith((b"penstock: UNAVAILABLE", b"penstock: CANCELLED"))
        await running.enter_async_context(serving(Admin(ILL), target))
        await process.line("embed")


@pytest.mark.parametrize(
    ("taken", "option"),
    [
        ("--listen", ""),
        ("--admin-listen", "admin_listen: "),
        ("--metrics-listen", "metrics_listen: "),
    ],
)
async def test_a_taken_port(taken: str, option: str) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        address = f"127.0.0.1:{taker.getsockname()[1]}"
        free = {"--listen": FREE_PORT, "--admin-listen": "off"} | {taken: address}
        result = await penstock("serve", *(word for option in free.items() for word in option))
    assert (result.code, result.out) == (4, "")
    reason = f"{option}cannot listen on {address}: address already in use"
    # A line about the upstream may come first.
    *_, last = result.err.splitlines()
    assert last == f"penstock: {reason}; choose another address with {taken}"
