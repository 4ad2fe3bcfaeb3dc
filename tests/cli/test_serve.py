"""`penstock serve`: starting, stopping, and its log lines for calls."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.process import WatchEnded, serve
from penstock_server.rpc.server import lasting
from penstock_server.simulator import Simulator

from .process import BOUND_S, PENSTOCK, Process, Result, penstock, serving, started

ANSWER = "Hello! How can I help you today?"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def served(
    simulator: Simulator, *arguments: str
) -> AsyncIterator[tuple[Process, aio.Channel]]:
    """Runs `penstock serve` in front of the simulator; yields it and a channel to it."""
    async with (
        serving("--upstream", simulator.url, *arguments) as (process, address),
        aio.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel,
    ):
        yield process, channel


def streamed(channel: aio.Channel, text: str = "Say hello.", **options: Any) -> Any:
    return ChatCompletionServiceStub(channel).StreamChatCompletion(chat_request(text), **options)


async def rest_of(call: Any) -> str:
    return "".join([c.delta.content async for message in call for c in message.choices])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(simulator: Simulator, number: signal.Signals) -> None:
    simulator.faults = "slow-first-event;seconds=1"
    async with served(simulator) as (process, channel):
        watch: Any = HealthStub(channel).Watch(HealthCheckRequest())
        while (await watch.read()).status != SERVING:
            pass
        call = streamed(channel)
        await simulator.wait_active(1)
        process.signal(number)
        assert (await watch.read()).status == NOT_SERVING
        assert await rest_of(call) == ANSWER
        assert await call.code() is grpc.StatusCode.OK
        await process.log("stopped")
        assert await process.end() == Result(0, "", "")
    events = [line["event"] for line in process.logged]
    events.remove("upstream ready")
    assert events == ["serving", "configuration", "draining", "rpc", "stopped"]


async def test_a_second_signal_stops_at_once(simulator: Simulator) -> None:
    simulator.faults = "stall;after=1"
    async with served(simulator) as (process, channel):
        call = streamed(channel)
        await call.read()
        process.signal(signal.SIGTERM)
        await process.log("draining")
        process.signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await call.code() is grpc.StatusCode.UNAVAILABLE
            await simulator.wait_aborted(1)
        assert (await process.end()).code == 0


async def test_the_drain_has_a_time_limit(simulator: Simulator) -> None:
    simulator.faults = "stall;after=1"
    async with served(simulator, "--drain-timeout", "0.2") as (process, channel):
        call = streamed(channel)
        await call.read()
        process.signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert (await process.end()).code == 0


async def test_calls_are_accepted_during_the_drain_delay(simulator: Simulator) -> None:
    async with served(simulator, "--drain-delay", "1") as (process, channel):
        process.signal(signal.SIGTERM)
        await process.log("draining")
        assert await rest_of(streamed(channel)) == ANSWER
        await process.log("stopped")


async def test_a_process_that_cannot_serve_exits(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So that it is replaced."""

    async def request_call(_: object) -> None:
        raise RuntimeError("a bug of grpcio")

    monkeypatch.setattr(lasting._Core, "_request_call", request_call, raising=False)
    settings = Settings(
        upstream=(simulator.url,), listen="127.0.0.1:0", admin_listen="", metrics_listen=""
    )
    async with asyncio.timeout(BOUND_S):
        with pytest.raises(WatchEnded):
            await serve(settings, lambda: settings, "")
    assert "gRPC stopped serving" in caplog.messages


async def test_a_signal_from_a_terminal_has_no_delay(simulator: Simulator) -> None:
    async with served(simulator, "--drain-delay", "3600") as (process, _):
        process.signal(signal.SIGINT)
        assert (await process.end()).code == 0


def test_the_default_drain_fits_in_a_pods_grace_period() -> None:
    """Kubernetes allows 30 s."""
    settings = Settings()
    assert settings.drain_delay >= 5
    assert settings.drain_delay + settings.drain_timeout <= 25


@pytest.mark.parametrize("command", ["serve", "simulate", "demo"])
async def test_a_taken_port(command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = await penstock(command, "--listen", address)
    assert result.code == 4
    assert result.out == ""
    assert result.err.startswith("penstock: ")
    assert result.err.count("\n") == 1, result.err
    assert address.rpartition(":")[2] in result.err


async def test_an_address_of_another_machine() -> None:
    result = await penstock("serve", "--listen", "192.0.2.1:50051", "--insecure", "true")
    assert (result.code, result.err.count("\n")) == (4, 1)


async def test_a_bug_in_the_watch_of_upstreams_stops_the_service(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def update(service: Service) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Service, "_update_health", update)
    settings = Settings(
        upstream=(simulator.url,), listen="127.0.0.1:0", admin_listen="", metrics_listen=""
    )
    async with asyncio.timeout(BOUND_S):
        with pytest.raises(WatchEnded):
            await serve(settings, lambda: settings, "")
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert errors[-1] == "watch over the upstreams ended"


async def test_it_serves_without_an_upstream() -> None:
    command = (PENSTOCK, "serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1")
    async with started(*command) as process:
        address = (await process.log("serving"))["address"]
        async with aio.insecure_channel(address) as channel:
            answer = await HealthStub(channel).Check(HealthCheckRequest())
            assert answer.status == NOT_SERVING
        process.signal(signal.SIGTERM)
        assert (await process.end()).code == 0


async def test_one_line_for_each_call(simulator: Simulator) -> None:
    async with served(simulator, "--api-key", "sk-secret") as (process, channel):
        metadata = (("x-request-id", "mine-1"), ("authorization", "Bearer sk-caller"))
        assert await rest_of(streamed(channel, metadata=metadata)) == ANSWER
        line = await process.log("rpc")
        assert line.pop("ms") > 0
        assert line.pop("time")
        assert line.pop("messages") > 3
        assert line.pop("first_message_ms") > 0
        assert line.pop("input_tokens") > 3
        assert line.pop("output_tokens") > 3
        method = "/penstock.v1.ChatCompletionService/StreamChatCompletion"
        ok = {"level": "info", "event": "rpc", "method": method, "code": "OK"}
        upstream = simulator.url.removeprefix("http://")
        assert line == ok | {"request_id": "mine-1", "upstream": upstream}

        request = chat_request(
            "Where is my secret? [[simulate: status code=503]]", model="tiny-chat"
        )
        with pytest.raises(aio.AioRpcError):
            await ChatCompletionServiceStub(channel).CreateChatCompletion(request)
        line = await process.log("rpc")
        assert (line["code"], line["reason"]) == ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
        assert (line["model"], len(line["request_id"])) == ("tiny-chat", 32)

        unknown: Any = channel.unary_unary("/penstock.v1.No/No")
        with pytest.raises(aio.AioRpcError):
            await unknown(b"")
        line = await process.log("rpc")
        assert (line["code"], line["reason"]) == ("UNIMPLEMENTED", "UNSUPPORTED_OPERATION")

        call = streamed(channel, "[[simulate: silent]]")
        await simulator.wait_active(1)
        call.cancel()
        line = await process.log("rpc")
        assert (line["code"], line["reason"]) == ("CANCELLED", "CANCELLED")

        process.signal(signal.SIGTERM)
        await process.log("stopped")
    said = str(process.logged)
    for secret in ("sk-", "hello", "Hello", "Where is my secret"):
        assert secret not in said


async def test_the_line_of_a_missed_deadline(simulator: Simulator) -> None:
    # The service's own: at a caller's, the caller's cancellation may arrive first.
    async with served(simulator, "--default-deadline", "0.1") as (process, channel):
        with pytest.raises(aio.AioRpcError):
            await streamed(channel, "[[simulate: silent]]").read()
        line = await process.log("rpc")
        assert (line["code"], line["reason"]) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")


async def test_a_long_model_name_does_not_fill_the_log(simulator: Simulator) -> None:
    async with served(simulator) as (process, channel):
        with pytest.raises(aio.AioRpcError):
            await ChatCompletionServiceStub(channel).CreateChatCompletion(
                chat_request("Hi", model="x" * 100_000)
            )
        assert len((await process.log("rpc"))["model"]) == 256


async def test_levels_and_formats(simulator: Simulator) -> None:
    command = (PENSTOCK, "serve", "--listen", "127.0.0.1:0", "--upstream", simulator.url)
    async with started(*command, "--log-format", "text") as process:
        async with asyncio.timeout(BOUND_S):
            line = (await process.err.readline()).decode()
        assert "serving address=127.0.0.1:" in line
        address = line.rpartition("=")[2].strip()
        async with aio.insecure_channel(address) as channel:
            with pytest.raises(aio.AioRpcError):
                await ChatCompletionServiceStub(channel).CreateChatCompletion(
                    chat_request("Hi", model="\x1b[31m\nx")
                )
        process.signal(signal.SIGTERM)
        rest = (await process.end()).err
        assert r'model="\u001b[31m\nx"' in rest
    async with started(*command, "--log-level", "warning") as process:
        await asyncio.sleep(1.5)  # until it certainly serves; earlier is valid too
        process.signal(signal.SIGTERM)
        assert (await process.end()).err == ""
