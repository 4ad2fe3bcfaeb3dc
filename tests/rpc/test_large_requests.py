"""Requests with many entries in few bytes, and the processing of large requests."""

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc import StatusCode as Code
from grpc import aio
from operations.canned import canned, in_json

from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.completion_pb2 import CreateCompletionRequest
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.message_pb2 import ROLE_USER, PoolingInput
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock_server.base64_text import PIECE_BYTES
from penstock_server.convert import chat as conversion
from penstock_server.rpc.calls import entries
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.http.connection import Connection

from .calls import BOUND_S, CHAT, FREE_PORT, Ended, Serve, chat, ended, plain_channel, stream
from .every_rpc import EVERY_RPC, Called, names

MOST = 3_000
GZIP = grpc.Compression.Gzip
# An unknown field: two bytes of tag, one of value.
UNKNOWN = b"\xf8\x7f\x01"


def _field(message: Any, *path: str) -> bytes:
    """Returns the tag of a message field, with those of its parents before it."""
    return bytes([message.DESCRIPTOR.fields_by_name[path[0]].number << 3 | 2])


def _sized(tag: bytes, content: bytes) -> bytes:
    return tag + entries_varint(len(content)) + content


def entries_varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _chat(**fields: Any) -> bytes:
    return CreateChatCompletionRequest(**fields).SerializeToString()


_MESSAGE = _field(CreateChatCompletionRequest, "messages")
_DEEP = b""
for _ in range(MOST):
    # A Struct in a Value in a Struct: `fields`, its value, `struct_value`.
    _DEEP = _sized(b"\x0a", b"\x0a\x00" + _sized(b"\x12", _sized(b"\x2a", _DEEP)))

KINDS = {
    "empty messages": (_MESSAGE + b"\x00") * (MOST + 1),
    "messages of one field": _sized(_MESSAGE, b"\x08\x01") * MOST,
    "parts of a message": _sized(_MESSAGE, b"\x12\x00" * 2 * MOST),
    "values of a struct": _chat(extra_body={"object": {"a": [None] * MOST}}),
    "keys of a struct": _chat(extra_body={"object": {f"k{i}": None for i in range(MOST)}}),
    "structs in structs": _sized(b"\xa2\x06", _sized(b"\x12", _DEEP)),
    "a map": _chat(sampling={"logit_bias": dict.fromkeys(range(MOST), 1)}),
    "packed numbers": _chat(sampling={"stop_token_ids": [1] * 16 * (MOST + 1)}),
    "numbers one by one": _sized(
        _field(CreateChatCompletionRequest, "sampling"), b"\x78\x01" * (MOST + 1)
    ),
    "lists in JSON": _chat(
        tools=[{"function": {"name": "f", "parameters": {"json": "[" + "[]," * MOST + "[]]"}}}]
    ),
    "numbers in JSON": _chat(
        tools=[{"function": {"name": "f", "parameters": {"json": "[" + "1," * 17 * MOST + "1]"}}}]
    ),
    "unknown fields": UNKNOWN * (MOST + 1),
    "unknown groups": b"\xfb\x7f\xfc\x7f" * (MOST + 1),
    "a repeated model": b"\x0a\x01m" * (MOST + 1),
    "invalid bytes after many messages": (_MESSAGE + b"\x00") * (MOST + 1) + b"\x00\xff",
}


def _refused(result: Ended) -> None:
    assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    assert result.metadata["limit"] == "max_request_entries"
    assert result.pushback == "-1"


async def _send(channel: aio.Channel, method: str, data: bytes) -> Ended:
    """Sends bytes as the request of a call that must fail."""
    begin: Any = channel.stream_stream(method)
    call = begin(iter([data]), compression=GZIP)
    try:
        await call.read()
        await call.read()
    except aio.AioRpcError as error:
        return ended(error)
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
async def test_too_many_entries_in_few_bytes(
    serve: Serve, simulator: Simulator, data: bytes
) -> None:
    service = await serve(upstream=(simulator.url,), max_request_entries=MOST)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        for method in (CHAT, CHAT.replace("Create", "Stream", 1)):
            _refused(await _send(channel, method, data))
    assert not [request for request in simulator.requests if request.path.endswith("completions")]


@pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))
async def test_every_rpc_counts_entries(rpc: Called, serve: Serve) -> None:
    service = await serve(max_request_entries=MOST, **rpc.settings)
    method = f"/penstock.v1.{rpc.name}"
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        _refused(await _send(channel, method, UNKNOWN * (2 * MOST)))


async def test_the_maximum_number_of_entries(serve: Serve) -> None:
    """Each input has two fields, and the model is one."""
    text = "x" * 100
    async with (
        Simulator(SimulatorSettings(listen=FREE_PORT, kind="embed")) as simulator,
        asyncio.timeout(10 * BOUND_S),
    ):
        service = await serve(upstream=(simulator.url,), max_request_entries=4097)
        async with plain_channel(service) as channel:
            stub: Any = EmbeddingServiceStub(channel)
            request = CreateEmbeddingsRequest(
                model="tiny-chat", inputs=[PoolingInput(text=text)] * 2048
            )
            assert len((await stub.CreateEmbeddings(request)).embeddings) == 2048
            request.inputs.add(text=text)
            with pytest.raises(aio.AioRpcError) as raised:
                await stub.CreateEmbeddings(request)
    _refused(ended(raised.value))


@pytest_asyncio.fixture
async def seeing(serve: Serve) -> AsyncIterator[aio.Channel]:
    """Opens a channel to a service with a vision model."""
    settings = SimulatorSettings(listen=FREE_PORT, multimodal=True)
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,))
        async with plain_channel(service) as channel:
            yield channel


def _with_picture(size: int) -> CreateChatCompletionRequest:
    request = chat()
    picture = request.messages[0].content.add().image
    picture.data, picture.mime_type = b"\x89PNG" + bytes(size), "image/png"
    return request


async def test_a_large_picture(seeing: aio.Channel) -> None:
    assert (await stream(seeing, _with_picture(30 << 20))).code is Code.OK


_DATA = bytes(range(256)) * (3 * PIECE_BYTES // 256 + 1)
_PARTS = {
    "a picture": {"image": {"data": _DATA, "mime_type": "image/png"}},
    "sound": {"audio": {"data": _DATA, "mime_type": "audio/wav"}},
    "sound of another format": {"audio": {"data": _DATA, "mime_type": "audio/flac"}},
    "a video": {"video": {"data": _DATA, "mime_type": "video/mp4"}},
}
_SAID: Any = {"role": ROLE_USER}
LONG: dict[str, tuple[str, Any, dict[str, Any]]] = {
    **{
        name: (CHAT, CreateChatCompletionRequest, {"messages": [{**_SAID, "content": [part]}]})
        for name, part in _PARTS.items()
    },
    "embeddings of a prompt": (
        "/penstock.v1.CompletionService/CreateCompletion",
        CreateCompletionRequest,
        {"prompts": [{"embeds": _DATA}]},
    ),
    "a picture in a response": (
        "/penstock.v1.ResponseService/CreateResponse",
        CreateResponseRequest,
        {"input": [{"message": {**_SAID, "content": [_PARTS["a picture"]]}}]},
    ),
}


@pytest.mark.parametrize(("method", "kind", "fields"), LONG.values(), ids=LONG)
async def test_long_data_arrives_whole_and_is_sent_in_pieces(
    monkeypatch: pytest.MonkeyPatch, method: str, kind: Any, fields: dict[str, Any]
) -> None:
    sizes: list[int] = []
    write = Connection.write

    def measured(connection: Connection, *data: bytes) -> None:
        sizes.extend(map(len, data))
        write(connection, *data)

    monkeypatch.setattr(Connection, "write", measured)
    async with canned(in_json({}), max_message_bytes=2 * len(_DATA)) as (channel, upstream):
        call: Any = channel.unary_unary(method)
        with pytest.raises(aio.AioRpcError):  # the answer is empty
            await call(kind(**fields).SerializeToString())
    [(_, body)] = upstream.requests
    assert b64encode(_DATA).decode() in json.dumps(body)
    assert max(sizes) == PIECE_BYTES // 3 * 4


class _Held:
    """Work in the thread for large messages that continues when allowed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.begun, self._go_on = asyncio.Event(), threading.Event()
        work, loop, loops = getattr(owner, name), asyncio.get_running_loop(), threading.get_ident()

        def held(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() != loops:
                loop.call_soon_threadsafe(self.begun.set)
                self._go_on.wait()
            return work(*arguments, **named)

        monkeypatch.setattr(owner, name, held)

    def go_on(self) -> None:
        self._go_on.set()


@pytest_asyncio.fixture(params=[(entries, "count"), (conversion, "request_body")])
async def held(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[_Held]:
    work = _Held(monkeypatch, *request.param)
    yield work
    work.go_on()


async def test_other_calls_continue_during_a_large_one(seeing: aio.Channel, held: _Held) -> None:
    async with asyncio.timeout(10 * BOUND_S):
        call = asyncio.create_task(stream(seeing, _with_picture(2 << 20)))
        await held.begun.wait()
        assert (await stream(seeing, chat())).code is Code.OK
        assert not call.done()
        held.go_on()
        assert (await call).code is Code.OK
