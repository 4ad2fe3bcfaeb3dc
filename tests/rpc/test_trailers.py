"""Trailers fit within the limits of clients, whatever the upstream's message."""

import asyncio
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock.channel import open_async_channel, open_channel
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.configuration import UpstreamTable

from .calls import BOUND_S, Serve, chat, ended, plain_channel
from .every_rpc import EVERY_RPC, Called, Upstream, answer, failing, running

LIMIT = 7 * 1024
LONGEST_ID = "i" * 128
LONGEST_NAME = "u" * 512
TEXTS = ["x", "é", "字", "👋", "%", "\n"]

# A service without probes, so that its upstream receives only the calls.
QUIET: dict[str, Any] = {"probe_interval": 3600}


def encoded_size(error: aio.AioRpcError) -> int:
    """Returns the size of trailers as HTTP/2 counts it: names, sent values and 32 bytes each."""
    fields = [("grpc-status", "13"), ("grpc-message", quote(error.details() or "", safe=SAFE))]
    for key, value in error.trailing_metadata():
        sent = b64encode(value).rstrip(b"=").decode() if isinstance(value, bytes) else value
        fields.append((str(key), sent))
    return sum(len(key) + len(value) + 32 for key, value in fields)


# Printable characters that gRPC does not escape.
SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def faults(text: str, number: int = 60) -> bytes:
    """Returns FastAPI's answer to a request with a number of faults."""
    detail = [
        {"type": "missing", "loc": ["body", "messages", i, text * 20], "msg": text * 80}
        for i in range(number)
    ]
    return answer("422 x", orjson.dumps({"detail": detail}))


SAID = {
    "faults": faults,
    "a message": lambda text: failing("500 x", code=500, message=text * 5000),
    "everything": lambda text: failing(
        "400 x", message=text * 5000, type=text * 500, param=text * 500, code=text * 500
    ),
    "a delay": lambda text: failing("503 x", message=text * 5000, code=503),
}


async def _error(channel: aio.Channel, rpc: Called, metadata: Any) -> aio.AioRpcError:
    call = rpc.start(channel, metadata=metadata, timeout=BOUND_S)
    with pytest.raises(aio.AioRpcError) as raised:
        await (call.read() if rpc.streams else call)
    return raised.value


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
async def test_all_trailers_together(serve: Serve, said: Any, text: str) -> None:
    rpcs = [rpc for rpc in EVERY_RPC if rpc.name.endswith("/CreateChatCompletion") or rpc.streams]
    async with running(Upstream(said(text))) as upstream:
        table = UpstreamTable(upstream.url, name=LONGEST_NAME)
        for rpc in [one for one in rpcs if not one.uploads and not one.settings]:
            service = await serve(upstream=(table,), **QUIET)
            async with plain_channel(service) as channel:
                error = await _error(channel, rpc, (("x-request-id", LONGEST_ID),))
                assert encoded_size(error) <= LIMIT
                result = ended(error)
                assert (result.domain, result.request_id) == ("penstock", LONGEST_ID)
                assert result.trailers["x-penstock-upstream"] == LONGEST_NAME
                assert len(result.message) > 100
                assert result.message.endswith("…") or said is faults
                assert bool(result.fields) == (said in (faults, SAID["everything"]))


LOST = {
    "unary": ("CreateChatCompletion", b""),
    "stream": (
        "StreamChatCompletion",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("method", "sent"), LOST.values(), ids=LOST)
async def test_libraries_do_not_retry_what_the_caller_decides(
    serve: Serve, method: str, sent: bytes
) -> None:
    """A request that may have cost a generation, with all retries of our own client."""
    requests = []
    for retries in (0, 4):
        async with running(Upstream(sent)) as upstream:
            service = await serve(upstream=(upstream.url,), **QUIET)
            target = f"127.0.0.1:{service.port}"
            async with open_async_channel(target, retries=retries) as channel:
                call = getattr(ChatCompletionServiceStub(channel), method)(chat())
                assert await call.code() is Code.UNAVAILABLE
            await asyncio.to_thread(_blocking, target, retries, method)
            requests.append(upstream.requests)
    assert requests[0] == requests[1]


def _blocking(target: str, retries: int, method: str) -> None:
    with open_channel(target, retries=retries) as channel:
        begin: Any = getattr(ChatCompletionServiceStub(channel), method)
        call = begin.future(chat()) if method.startswith("Create") else begin(chat())
        assert call.code() is Code.UNAVAILABLE
