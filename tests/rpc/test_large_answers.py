"""Large answers of upstreams do not block other calls."""

import asyncio
import gc
import json
import threading
from typing import Any

import orjson
import pytest
from grpc import StatusCode as Code
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from penstock_server.convert import chat, embedding
from penstock_server.rpc.calls import parsing

from .calls import BOUND_S, Serve, plain_channel
from .every_rpc import EVERY_RPC, Called, Upstream, answer, running

TOKENS = 20_000
LIKELY = {"token": "x", "logprob": -0.5, "bytes": [120]}
CHOICE = {
    "index": 0,
    "message": {"role": "assistant", "content": "x" * TOKENS},
    "logprobs": {"content": [LIKELY | {"top_logprobs": [LIKELY]}] * TOKENS},
    "finish_reason": "stop",
}
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
CHAT = {"id": "i", "choices": [CHOICE], "usage": USAGE}
VECTOR = {"index": 0, "embedding": [0.25] * 400_000}
VECTORS = {"id": "i", "object": "list", "data": [VECTOR], "usage": USAGE}
[EMBED] = (rpc for rpc in EVERY_RPC if rpc.name.endswith("/CreateEmbeddings"))
KINDS = {"chat": (EVERY_RPC[0], CHAT, chat), "vectors": (EMBED, VECTORS, embedding)}


def upstream(document: dict[str, Any]) -> Upstream:
    return Upstream(answer("200 OK", json.dumps(document).encode()))


@pytest.mark.parametrize(("rpc", "document", "conversion"), KINDS.values(), ids=KINDS)
async def test_other_calls_continue_during_a_conversion(
    rpc: Called,
    document: dict[str, Any],
    conversion: Any,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
    convert, loops_thread = conversion.response, threading.get_ident()

    def held(*arguments: Any, **named: Any) -> Any:
        assert threading.get_ident() != loops_thread
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        return convert(*arguments, **named)

    monkeypatch.setattr(conversion, "response", held)
    async with running(upstream(document)) as asked, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(asked.url,), probe_interval=3600)
        async with plain_channel(service) as channel:
            call = rpc.start(channel)
            try:
                await begun.wait()
                await HealthStub(channel).Check(HealthCheckRequest(service="liveness"))
                assert not call.done()
            finally:
                go_on.set()
            assert await call.code() is Code.OK


@pytest.mark.parametrize(("limit", "on_thread"), [(16 * 2**20, False), (2**20, True)])
async def test_vectors_that_are_only_copied_need_no_thread(
    limit: int, on_thread: bool, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    convert = embedding.with_plain_vectors

    def noted(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return convert(*arguments)

    monkeypatch.setattr(embedding, "with_plain_vectors", noted)
    monkeypatch.setattr(parsing, "_LARGE_COPIED_BYTES", limit)
    vector = {"index": 0, "embedding": "AACAPgAAgD4AAIA+" * 100_000}
    async with running(upstream(VECTORS | {"data": [vector]})) as asked, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(asked.url,), probe_interval=3600)
        async with plain_channel(service) as channel:
            call = EMBED.start(channel)
            [made] = (await call).embeddings
    assert made.float_vector.values == [0.25] * 300_000
    assert [one != threading.get_ident() for one in threads] == [on_thread]


async def test_the_garbage_collector_does_not_run_during_parsing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would visit the new objects again and again."""
    collected: list[int] = []
    parse = orjson.loads

    def counted(data: bytes) -> Any:
        gc.callbacks.append(count)
        try:
            return parse(data)
        finally:
            gc.callbacks.remove(count)

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            collected.append(info["generation"])

    monkeypatch.setattr(orjson, "loads", counted)
    async with running(upstream(CHAT)) as asked, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(asked.url,), probe_interval=3600)
        async with plain_channel(service) as channel:
            assert await EVERY_RPC[0].start(channel).code() is Code.OK
    assert not collected
    assert gc.isenabled()
