"""`penstock demo`: the commands that it prints work."""

import contextlib
import re
import signal
import socket

import pytest

from .process import PENSTOCK, run, started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_demo(number: signal.Signals) -> None:
    ports = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "off")
    async with started(PENSTOCK, "demo", *ports) as process:
        shown = await process.line("Serving until Ctrl-C.")
        assert "Hello! How can I help you today?" in shown
        assert "The upstream is simulated" in shown
        assert re.search(r"penstock serve --upstream http://\S+", shown)
        assert re.search(r"^  grpcurl -plaintext -d '.*' 127\.0\.0\.1:\d+ penstock\.", shown, re.M)
        [pasted] = re.findall(r"^  (\S*buf curl .*)$", shown, re.M)
        answer = await run("/bin/sh", "-c", pasted)
        assert (answer.code, answer.err) == (0, "")
        assert '"content":"Hello"' in answer.out.replace(" ", "").replace("Hello!", "Hello")
        for command, printed in (
            ("chat", "Hello! How can I help you today?"),
            ("upstreams", "ready"),
        ):
            [pasted] = re.findall(rf"^  (\S*penstock {command} .*)$", shown, re.M)
            answer = await run("/bin/sh", "-c", pasted)
            assert (answer.code, answer.err) == (0, "")
            assert printed in answer.out
        process.signal(number)
        ended = await process.end()
        assert (ended.code, ended.out, ended.err) == (0, "stopped\n", "")


async def test_a_taken_default_costs_a_line() -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # then another process has the port
            stack.enter_context(socket.create_server(("127.0.0.1", 9464)))
        ports = ("--listen", "127.0.0.1:0", "--admin-listen", "off")
        async with started(PENSTOCK, "demo", *ports) as process:
            await process.line("Serving until Ctrl-C.")
            process.signal(signal.SIGINT)
            ended = await process.end()
    assert ended.code == 0
    assert "warning cannot listen option=metrics_listen address=127.0.0.1:9464" in ended.err
    assert ended.err.count("\n") == 1
