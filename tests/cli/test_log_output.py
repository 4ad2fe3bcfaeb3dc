"""Logs without a reader or an open stream, and values that could forge log lines."""

import asyncio
import fcntl
import logging
import os
import pty
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import Simulator
from penstock_server.supervisor import WorkerFailed, Workers
from penstock_server.telemetry.log import (
    _MOST_TOGETHER,
    FORMATS,
    Lines,
    _coloured,
    _json,
    _readable,
    begun,
)
from penstock_server.telemetry.output import MOST_WAITING_BYTES, Output

from .process import BOUND_S, PENSTOCK, clean_environment

CALLS = 40
LONG_ID = (("x-request-id", "i" * 128),)


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """Returns a pipe of one page."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    for end in (out, into):
        stack.callback(os.close, end)
    return out, into


def _socket(stack: ExitStack) -> tuple[int, int]:
    out, into = socket.socketpair()
    into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for end in (out, into):
        stack.enter_context(end)
    return out.fileno(), into.fileno()


def _terminal(stack: ExitStack) -> tuple[int, int]:
    out, into = pty.openpty()
    for end in (out, into):
        stack.callback(os.close, end)
    return out, into


UNREAD = {"pipe": _pipe, "socket": _socket, "terminal": _terminal}


@pytest.fixture(params=list(UNREAD.values()), ids=list(UNREAD))
def unread(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Returns two ends; nothing reads the bytes that are written to the second."""
    with ExitStack() as stack:
        yield request.param(stack)


async def _calls(address: str) -> None:
    async with aio.insecure_channel(address) as channel, asyncio.timeout(4 * BOUND_S):
        for _ in range(CALLS):
            stub = ChatCompletionServiceStub(channel)
            await stub.CreateChatCompletion(
                chat_request("Say hello."), metadata=LONG_ID, wait_for_ready=True
            )
        await HealthStub(channel).Check(HealthCheckRequest(service="liveness"))


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_log_without_a_reader(
    simulator: Simulator, unread: tuple[int, int], workers: str, tmp_path: Path
) -> None:
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        PENSTOCK,
        *("serve", "--upstream", simulator.url, "--listen", port, "--workers", workers),
        *("--drain-delay", "0"),
        stderr=unread[1],
        env=clean_environment(),
    )
    try:
        await _calls(port)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(2 * BOUND_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_dropped_lines_are_counted(unread: tuple[int, int]) -> None:
    out, into = unread
    os.set_blocking(out, False)
    lines = Lines(Output(into), _json)
    number = 4 * MOST_WAITING_BYTES // 1000
    for _ in range(number):
        lines.write(begun("info", "event") | {"text": "x" * 1000})
    assert os.get_blocking(into)
    written = _drained(lines, out)
    lines.write(begun("info", "event"))
    *events, notice, last = map(orjson.loads, (written + _drained(lines, out)).splitlines())
    assert (notice["event"], notice["level"]) == ("log lines dropped", "warning")
    assert last["event"] == "event"
    # On a busy machine, the thread that writes may make room for an earlier notice, too.
    earlier = [one for one in events if one["event"] == "log lines dropped"]
    dropped = sum(one["lines"] for one in (*earlier, notice))
    assert dropped == number - (len(events) - len(earlier)) > 0


def _drained(lines: Lines, descriptor: int) -> bytes:
    """Returns everything that was written, including pending bytes."""
    read = b""
    while lines._output._waiting:
        read += _read(descriptor)
    return read + _read(descriptor)


def _read(descriptor: int) -> bytes:
    read = b""
    try:
        while piece := os.read(descriptor, 65536):
            read += piece
    except BlockingIOError:
        return read
    return read


async def test_frequent_lines_are_written_together() -> None:
    with ExitStack() as stack:
        out, lines = _lines(stack)
        for number in range(3):
            _write_soon(lines, begun("info", "event") | {"number": number})
        assert _read(out) == b""
        async with asyncio.timeout(BOUND_S):
            await _until_readable(out)
        written = [orjson.loads(line) for line in os.read(out, 4096).splitlines()]
    assert [line["number"] for line in written] == [0, 1, 2]
    assert datetime.fromisoformat(written[0]["time"]).tzinfo


async def test_a_line_at_once_follows_those_that_wait() -> None:
    with ExitStack() as stack:
        out, lines = _lines(stack)
        _write_soon(lines, begun("info", "first"))
        lines.write(begun("error", "second"))
        assert _events(out) == ["first", "second"]


async def test_many_lines_do_not_wait() -> None:
    with ExitStack() as stack:
        out, lines = _lines(stack)
        for _ in range(_MOST_TOGETHER):
            _write_soon(lines, begun("info", "event"))
        assert _events(out) == ["event"] * _MOST_TOGETHER


def test_lines_do_not_wait_for_an_event_loop_that_does_not_run() -> None:
    with ExitStack() as stack:
        out, lines = _lines(stack)
        _write_soon(lines, begun("info", "before"))
        assert _events(out) == ["before"]
        asyncio.run(_written_soon(lines, begun("info", "during")))
        assert _events(out) == []
        late = begun("info", "after")
        _write_soon(lines, late | {"time": late["time"] + 2})
        assert _events(out) == ["during", "after"]


async def test_lines_that_wait_are_written_at_the_end() -> None:
    with ExitStack() as stack:
        out, lines = _lines(stack)
        _write_soon(lines, begun("info", "event"))
        lines.close()
        assert _events(out) == ["event"]


async def test_dropped_lines_that_waited_are_counted(unread: tuple[int, int]) -> None:
    lines = Lines(Output(unread[1]), _json)
    number = 0
    while not lines.dropped:
        _write_soon(lines, begun("info", "event") | {"text": "x" * 10_000})
        number += 1
    assert number % _MOST_TOGETHER == 0
    assert lines.dropped == _MOST_TOGETHER


def _lines(stack: ExitStack) -> tuple[int, Lines]:
    """Returns the end of a pipe, and lines that are written into it."""
    out, into = os.pipe()
    for end in (out, into):
        stack.callback(os.close, end)
    os.set_blocking(out, False)
    return out, Lines(Output(into), _json)


def _events(descriptor: int) -> list[str]:
    return [orjson.loads(line)["event"] for line in _read(descriptor).splitlines()]


async def _written_soon(lines: Lines, line: dict[str, Any]) -> None:
    _write_soon(lines, line)


def _write_soon(lines: Lines, line: dict[str, Any]) -> None:
    lines.write_soon(dict, (line,), line["time"])


async def _until_readable(descriptor: int) -> None:
    readable, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(descriptor, readable.set)
    await readable.wait()
    loop.remove_reader(descriptor)


CLOSED = (
    *(("2>&-", "1", form) for form in FORMATS),
    ("<&-", "1", "auto"),
    (">&-", "1", "auto"),
    ("<&- >&- 2>&-", "2", "auto"),
)


@pytest.mark.parametrize(("closed", "workers", "form"), CLOSED, ids=map(" ".join, CLOSED))
async def test_closed_streams(simulator: Simulator, closed: str, workers: str, form: str) -> None:
    port = _free_port()
    arguments = f"--upstream {simulator.url} --workers {workers} --log-format {form}"
    process = await asyncio.create_subprocess_exec(
        *(
            "sh",
            "-c",
            f"exec {PENSTOCK} serve --drain-delay 0 --listen {port} {arguments} {closed}",
        ),
        env=clean_environment(),
    )
    try:
        await _calls(port)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(2 * BOUND_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
LINE = {"time": NOON, "level": "info", "event": "rpc"}
FORGED = {
    "blanks": "r1 code=OK caller=admin",
    "another field": "r1=2",
    "quotes": 'r" code=OK',
    "a line": "r1\n12:00:00 info rpc code=OK",
    "control characters": "r\x1b[2J",
    "direction marks": "r\u202eko",
    "nothing": "",
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
def test_a_value_is_quoted_as_one_value(text: str) -> None:
    line = LINE | {"id": text, "n": 1}
    shown = _readable(line).decode()
    assert shown.count("\n") == 1
    assert shown.rstrip("\n").isprintable()
    quoted = shown.removeprefix("12:00:00 info rpc id=").removesuffix(" n=1\n")
    assert orjson.loads(quoted) == text


def test_ordinary_values_are_unchanged() -> None:
    line = LINE | {"id": "a/b:é", "n": 1.5}
    assert _readable(line).decode() == "12:00:00 info rpc id=a/b:é n=1.5\n"


@pytest.mark.parametrize("form", [_json, _readable, _coloured])
def test_any_value_can_be_logged(form: object) -> None:
    """Even one that cannot be represented in JSON."""
    out, into = os.pipe()
    lines = Lines(Output(into), form)  # type: ignore[arg-type]
    record = logging.makeLogRecord({"msg": "e", "fields": {"a": "\ud800", "b": 2**70, "c": {1}}})
    lines.handle(record)
    os.close(into)
    assert os.read(out, 1000).endswith(b"\n")
    os.close(out)


BEGIN = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "penstock_server.cli":
            os.kill(os.getpid(), signal.SIGHUP)
            sys.exit(0 if signal.SIGHUP in signal.sigpending() else 1)

sys.meta_path.insert(0, Finder())
sys.argv = ["penstock", "serve"]
from importlib.metadata import entry_points
(command,) = entry_points(group="console_scripts", name="penstock")
command.load()()
"""


async def test_a_hangup_before_the_imports_is_ignored() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BEGIN)
    assert await process.wait() == 0


async def test_a_worker_starts_with_hangups_blocked() -> None:
    held: list[bool] = []

    async def start(number: int) -> asyncio.subprocess.Process:
        held.append(signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return await asyncio.create_subprocess_exec("false", stdout=asyncio.subprocess.PIPE)

    async def nothing() -> None:
        pass

    with pytest.raises(WorkerFailed):
        await Workers(1, start).run(nothing)
    assert held == [True]
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
async def test_colours_at_a_terminal(environment: dict[str, str], coloured: bool) -> None:
    with ExitStack() as stack:
        out, into = _terminal(stack)
        shown = await _first_line(out, into, "auto", environment)
    assert (b"\x1b[" in shown) is coloured
    assert b" serving" in shown


async def test_no_colours_elsewhere() -> None:
    with ExitStack() as stack:
        out, into = os.pipe()
        for end in (out, into):
            stack.callback(os.close, end)
        assert b"\x1b" not in await _first_line(out, into, "text", {"TERM": "xterm"})


async def _first_line(out: int, into: int, form: str, environment: dict[str, str]) -> bytes:
    """Returns the first line of a service that logs to a descriptor."""
    plain = {key: value for key, value in clean_environment().items() if key != "NO_COLOR"}
    process = await asyncio.create_subprocess_exec(
        *(PENSTOCK, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"),
        *("--upstream", "http://127.0.0.1:1", "--log-format", form),
        stderr=into,
        env=plain | environment,
    )
    try:
        async with asyncio.timeout(BOUND_S):
            return await asyncio.to_thread(os.read, out, 4096)
    finally:
        process.kill()
        await process.wait()
