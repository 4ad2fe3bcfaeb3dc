"""The client's commands, and the simulator's."""

import asyncio
import signal

import httpx
import pytest
from conftest import Serve

from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .process import PENSTOCK, Result, penstock, started

ANSWER = "Hello! How can I help you today?\n"


def at(service: Service) -> tuple[str, str]:
    return "--target", f"127.0.0.1:{service.port}"


async def test_chat(service: Service, simulator: Simulator) -> None:
    assert await penstock("chat", "Say hello.", *at(service)) == Result(0, ANSWER, "")
    options = ("--model", "tiny-chat", "--system", "Be brief.", "--max-tokens", "2")
    result = await penstock("chat", "Hi", "--temperature", "0", *options, *at(service))
    assert result.code == 0
    [_, sent] = [r for r in simulator.requests if r.path == "/v1/chat/completions"]
    assert sent.json == {
        "model": "tiny-chat",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "max_completion_tokens": 2,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_chat_streams(service: Service, simulator: Simulator) -> None:
    simulator.faults = "stall;after=2"
    async with started(PENSTOCK, "chat", "Say hello.", *at(service)) as process:
        assert ANSWER.startswith((await process.out.read(5)).decode())
        process.signal(signal.SIGINT)
        assert (await process.end()).code == 130
        async with asyncio.timeout(60):
            await simulator.wait_aborted(1)


async def test_chat_that_fails(service: Service) -> None:
    result = await penstock("chat", "x", "--model", "nobody", *at(service))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("penstock: NOT_FOUND MODEL_NOT_FOUND: ")
    assert result.err.count("\n") == 1
    result = await penstock("chat", "x", "--temperature", "nan", *at(service))
    assert "INVALID_ARGUMENT INVALID_REQUEST: sampling.temperature: " in result.err
    result = await penstock("chat", "[[simulate: silent]]", "--timeout", "0.3", *at(service))
    assert (result.code, "DEADLINE_EXCEEDED" in result.err) == (1, True)


async def test_a_stream_that_breaks_is_a_failure(service: Service) -> None:
    result = await penstock("chat", "Say hello. [[simulate: cut after=3]]", *at(service))
    assert result.code == 1
    assert ANSWER.startswith(result.out.strip())
    assert "UNAVAILABLE STREAM_INTERRUPTED" in result.err


async def test_models(service: Service) -> None:
    result = await penstock("models", *at(service))
    assert (result.code, result.err) == (0, "")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [row[0] for row in rows] == ["tiny-chat", "tiny-chat-alias"]
    assert all("chat" in row[1].split(",") for row in rows)


async def test_health(service: Service, simulator: Simulator) -> None:
    async with asyncio.timeout(60):
        while (await penstock("health", *at(service))).code:
            pass
    assert await penstock("health", *at(service)) == Result(0, "SERVING\n", "")
    name = ("--service", "penstock.v1.ChatCompletionService")
    assert (await penstock("health", *name, *at(service))).code == 0
    result = await penstock("health", "--service", "nothing", *at(service))
    assert (result.code, "NOT_FOUND" in result.err) == (1, True)
    simulator.healthy = False
    async with asyncio.timeout(60):
        while (await penstock("health", *at(service))).code == 0:
            pass
    assert await penstock("health", *at(service)) == Result(1, "NOT_SERVING\n", "")


async def test_an_unreachable_service() -> None:
    for command in (("health",), ("models",), ("chat", "x")):
        result = await penstock(*command, "--target", "127.0.0.1:1")
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("penstock: UNAVAILABLE")
        assert result.err.count("\n") == 1


async def test_a_reader_that_stops_reading(service: Service) -> None:
    """It closes the pipe before anything is written."""
    for command in ("models", "chat Hi", "chat Hi --json", "completion bash"):
        target = "" if command.startswith("completion") else " ".join(at(service))
        script = f"exec 3> >(exec true); wait $!; {PENSTOCK} {command} {target} >&3"
        async with started("bash", "-c", script) as process:
            assert await process.end() == Result(1, "", ""), command


@pytest.mark.parametrize(
    ("redirected", "problem"),
    [(">/dev/full", "No space left on device"), (">&-", "standard output is closed")],
)
async def test_an_output_that_cannot_be_written(
    service: Service, redirected: str, problem: str
) -> None:
    script = f"{PENSTOCK} chat Hi {' '.join(at(service))} {redirected}"
    async with started("bash", "-c", script) as process:
        result = await process.end()
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert problem in result.err


async def test_models_that_cannot_be_listed(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url, "http://127.0.0.1:1"))
    result = await penstock("models", *at(service))
    assert result.code == 0
    assert [line.split("\t")[0] for line in result.out.splitlines()] == [
        "tiny-chat",
        "tiny-chat-alias",
    ]
    assert result.err == "penstock: 127.0.0.1:1 could not be reached\n"


async def test_simulate() -> None:
    async with started(PENSTOCK, "simulate", "--listen", "127.0.0.1:0") as process:
        url = (await process.line("http://")).split("http://")[1].split()[0]
        async with httpx.AsyncClient(base_url=f"http://{url}") as http:
            assert (await http.get("/health")).status_code == 200
            body = {"messages": [{"role": "user", "content": "Say hello."}]}
            answer = (await http.post("/v1/chat/completions", json=body)).json()
        assert answer["choices"][0]["message"]["content"] + "\n" == ANSWER
        process.signal(signal.SIGINT)
        assert (await process.end()).code == 0
    result = await penstock("simulate", "--list-faults")
    assert "done-only\t\tSends only [DONE]." in result.out
    assert "empty-events form=all after=0 every=1\tharmless\tInserts" in result.out
