"""A gRPC server that does nothing, which shows the cost of gRPC in Python.

    python -m bench.noop FOLDER [uvloop]

It serves the methods of the scenarios with grpc.aio's defaults and no interceptors. Requests are
not parsed and answers are not built: it sends bytes that were prepared beforehand. A stream is
paced by the server itself, and its chunks contain the time like the upstream's. Prints its port.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from time import monotonic_ns
from typing import Any

import grpc
import uvloop
from grpc import aio

from bench import payloads, scenarios

_STREAM = re.compile(rb"stream-(\d+)-(\d+)")
_LARGEST = 32 * 1024 * 1024


class Answers:
    """Prepared answers."""

    def __init__(self, unary: Mapping[bytes, bytes], around: tuple[bytes, bytes]) -> None:
        """Creates it from answers by model, and from the bytes around the marker of a chunk."""
        self._unary = unary
        self._head, self._tail = around
        first, *_, finish, last = payloads.stream_messages([b""])
        self._first = first.SerializeToString()
        self._ends = (finish.SerializeToString(), last.SerializeToString())

    async def unary(self, request: bytes, context: Any) -> bytes:
        """Answers a unary call; the model is the first field of every request here."""
        return self._unary[request[2 : 2 + request[1]]]

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Streams chunks; the name of the model specifies their number and interval."""
        found = _STREAM.search(request)
        assert found
        chunks, delay_s = int(found[1]), int(found[2]) / 1e6
        due = asyncio.get_running_loop().time()
        yield self._first
        for number in range(chunks):
            if number and delay_s:
                due += delay_s
                await asyncio.sleep(due - asyncio.get_running_loop().time())
            yield b"%b#%05d@%016x%b" % (self._head, number, monotonic_ns(), self._tail)
        for message in self._ends:
            yield message

    async def upload(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Reads all messages of an upload."""
        async for _ in requests:
            pass
        return self._unary[payloads.UPLOAD_MODEL.encode()]


def handlers(answers: Answers) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """Returns a handler for each method of the scenarios, by its path."""
    made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for scenario in scenarios.ALL:
        if scenario.chunks:
            made[scenario.method] = grpc.unary_stream_rpc_method_handler(answers.stream)
        elif scenario.name == "upload":
            made[scenario.method] = grpc.stream_unary_rpc_method_handler(answers.upload)
        else:
            made[scenario.method] = grpc.unary_unary_rpc_method_handler(answers.unary)
    return made


def chunk_around() -> tuple[bytes, bytes]:
    """Returns the bytes before and after the marker in the message of a chunk."""
    marker = b"#" * 23
    head, tail = payloads.stream_messages([marker])[1].SerializeToString().split(marker)
    return head, tail


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, made: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._made = made

    def service(self, details: Any) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._made.get(details.method)


async def _serve(unary: Mapping[bytes, bytes]) -> None:
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.max_send_message_length", _LARGEST),
        ]
    )
    server.add_generic_rpc_handlers((_Handler(handlers(Answers(unary, chunk_around()))),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    folder, *loop = sys.argv[1:]
    messages = {path.stem.encode(): path.read_bytes() for path in Path(folder).glob("*.message")}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop else None) as runner:
        runner.run(_serve(messages))
