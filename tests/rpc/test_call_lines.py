"""The log line of each call: its severity, its fields, and the calls that have one."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc import StatusCode as Code
from skipping import LIMIT_S, Skipping

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.rpc.status import severity, table
from penstock_server.simulator import Simulator
from penstock_server.telemetry import episode

from .calls import BOUND_S, Serve, chat, create, plain_channel, stream, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
TRACE_KEY = "x-penstock-trace-id"

Lines = Callable[[str], list[logging.LogRecord]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Returns the lines of an event so far."""
    caplog.set_level(logging.INFO, "penstock.rpc")
    return lambda event: [record for record in caplog.records if record.msg == event]


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return dict(vars(record)["fields"])


SEVERITIES = {
    "": ("INFO", "OK"),
    "status code=503": ("ERROR", "UNAVAILABLE"),
    "status code=500": ("ERROR", "INTERNAL"),
    "status code=504": ("ERROR", "DEADLINE_EXCEEDED"),
    "status code=429": ("WARNING", "RESOURCE_EXHAUSTED"),
    "status code=400": ("INFO", "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("fault", SEVERITIES, ids=lambda fault: fault or "none")
async def test_severity(fault: str, serve: Serve, simulator: Simulator, lines: Lines) -> None:
    service = await serve(upstream=(simulator.url,), max_attempts=1)
    async with plain_channel(service) as channel:
        await stream(channel, chat(fault=fault))
        await until(lambda: bool(lines("rpc")))
    [line] = lines("rpc")
    assert (line.levelname, fields(line)["code"]) == SEVERITIES[fault]


async def test_a_cancelled_call_is_not_an_error(
    serve: Serve, simulator: Simulator, lines: Lines
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat(fault="silent"))
        await simulator.wait_active(1)
        call.cancel()
        await until(lambda: bool(lines("rpc")))
    [line] = lines("rpc")
    assert (line.levelname, fields(line)["code"]) == ("INFO", "CANCELLED")


def test_every_row_of_the_table_has_a_severity() -> None:
    rows = [row for row in vars(table).values() if isinstance(row, table.Row)]
    rows += [*table.HTTP_ROWS.values(), *table.KIND_ROWS.values()]
    found = {row.reason: severity(row.code, row.reason) for row in rows}
    assert found["OVERLOADED"] == found["DRAINING"] == found["MODEL_FORBIDDEN"] == "warning"
    assert found["REQUEST_TOO_LARGE"] == found["CANCELLED"] == "info"
    assert found["UPSTREAM_CONNECT_FAILED"] == found["STREAM_INTERRUPTED"] == "error"
    assert {severity(code, "") for code in Code} == {"info", "warning", "error"}


LOGGED = {"all": "OFOFOF", "failed": "FFF", "sampled:2": "OFFOF", "sampled:100": "OFFF"}


@pytest.mark.parametrize("calls", LOGGED)
async def test_the_calls_that_are_logged(
    calls: str, serve: Serve, simulator: Simulator, lines: Lines
) -> None:
    service = await serve(upstream=(simulator.url,), max_attempts=1, log_calls=calls)
    async with plain_channel(service) as channel:
        for _ in range(3):
            await stream(channel, chat())
            await create(channel, chat(fault="status code=400"))
        await until(lambda: [*letters(lines)].count("F") == 3)
    assert letters(lines) == LOGGED[calls]


def letters(lines: Lines) -> str:
    return "".join("O" if fields(line)["code"] == "OK" else "F" for line in lines("rpc"))


@pytest.mark.parametrize("parent", [PARENT, ""], ids=["traced", "not traced"])
async def test_the_trace_id(parent: str, serve: Serve, simulator: Simulator, lines: Lines) -> None:
    """A success, a failure and a stream have it in the trailers and in the log."""
    service = await serve(upstream=(simulator.url,), max_attempts=1)
    metadata = (("traceparent", parent),) if parent else ()
    async with plain_channel(service) as channel:
        stub = ChatCompletionServiceStub(channel)
        call = stub.CreateChatCompletion(chat(), metadata=metadata)
        await call
        trailers = [dict(await call.trailing_metadata() or ())]
        failed = await create(channel, chat(fault="status code=400"), metadata=metadata)
        trailers.append({**failed.trailers})
        streamed = stub.StreamChatCompletion(chat(), metadata=metadata)
        while await streamed.read() is not grpc.aio.EOF:
            pass
        trailers.append(dict(await streamed.trailing_metadata() or ()))
        await until(lambda: len(lines("rpc")) == 3)
    wanted = TRACE if parent else None
    assert [trailer.get(TRACE_KEY) for trailer in trailers] == [wanted] * 3
    assert [fields(line).get("trace_id") for line in lines("rpc")] == [wanted] * 3


async def test_refusing_begins_and_is_over(
    serve: Serve,
    simulator: Simulator,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    skip: Skipping,
) -> None:
    monkeypatch.setattr(episode, "QUIET_S", LIMIT_S)
    service = await serve(upstream=(simulator.url,), max_concurrent_calls=1)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat(fault="silent"))
        await simulator.wait_active(1)
        for _ in range(5):
            assert (await create(channel, chat())).reason == "OVERLOADED"
        # A refusal is counted after its caller has received it.
        await until(lambda: len(lines("rpc")) == 5)
        [begins] = lines("refusing calls")
        assert fields(begins)["limit"] == "max_concurrent_calls"
        await skip()
        await until(lambda: bool(lines("refusing calls is over")))
        call.cancel()
    [over] = lines("refusing calls is over")
    assert fields(over)["refused"] == 5
    assert len(lines("refusing calls")) == 1
