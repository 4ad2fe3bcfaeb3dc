"""The time that the log line of a successful call takes on the event loop.

It contains everything that such a line costs: the decision to write one, its fields, its JSON, and
its share of writing 64 of them. The fastest of many repeats hardly depends on the load of the
machine.
"""

import asyncio
from tempfile import TemporaryFile
from time import perf_counter_ns
from typing import Any

from penstock_server.rpc.calls import Rpc, Usage
from penstock_server.rpc.middleware import RequestLog
from penstock_server.telemetry import log

_LINES = 64 * 10
_REPEATS = 500
_METHOD = "/penstock.v1.ChatCompletionService/CreateChatCompletion"


class _Context:
    """The parts of gRPC's context that a call without middleware uses."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("user-agent", "bench"),)

    def set_trailing_metadata(self, metadata: Any) -> None:
        pass


async def _answer(rpc: Rpc) -> bytes:
    return b""


def nanoseconds() -> float:
    """Returns the time of one line: that of calls with a line, less that of calls without."""
    with TemporaryFile() as file:
        return _fastest("info", file.fileno()) - _fastest("error", file.fileno())


def _fastest(level: str, descriptor: int) -> float:
    """Returns the nanoseconds of a call with a log level."""
    log.configure(level, "json", descriptor)
    return min(asyncio.run(_run()) for _ in range(_REPEATS)) / _LINES


async def _run() -> int:
    """Returns the nanoseconds of many calls."""
    request_log, rpc = RequestLog(), _call()
    began = perf_counter_ns()
    for _ in range(_LINES):
        await request_log.log_call(_answer, rpc)
    return perf_counter_ns() - began


def _call() -> Rpc:
    context: Any = _Context()
    rpc = Rpc(_METHOD, context, None)
    rpc.model, rpc.usage = "Qwen/Qwen3-0.6B", Usage(300, 100, 0, 0)
    rpc.attempts.upstream, rpc.attempts.count = "vllm-a", 1
    return rpc
