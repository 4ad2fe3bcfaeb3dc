"""Every RPC of every service: how to call it, and an upstream that answers it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf import descriptor_pool, text_format
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from penstock_server.app import Service
from penstock_server.rpc.services import SERVICES

from .calls import Ended, ended

_AUDIO = 'config {model: "m"} audio: "RIFF"'
_UPLOAD = ('config {model: "m"}', 'audio_chunk: "RIFF"')
_ASKED = 'model: "m" messages {role: ROLE_USER content {text: "x"}}'
_INPUT = 'model: "m" inputs {text: "x"}'
_CHUNK = {"id": "i", "model": "m", "created": 1, "object": "chunk"}
_CHAT_EVENT = _CHUNK | {
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "word"}}]
}
_TEXT_EVENT = _CHUNK | {"choices": [{"index": 0, "text": "word"}]}
_TOKENS_EVENT = {
    "request_id": "i",
    "usage": None,
    "output_mode": "tokens",
    "choices": [{"index": 0, "finish_reason": None, "token_ids": [5], "logprobs": None}],
}
_NATIVE_EVENT = {
    "type": "response.output_text.delta",
    "sequence_number": 1,
    "item_id": "i",
    "output_index": 0,
    "content_index": 0,
    "delta": "word",
    "logprobs": [],
}


@dataclass(frozen=True)
class Called:
    """One RPC and a request for it.

    Attributes:
        name: service and method.
        requests: the messages of the request, in text format.
        event: first event of an upstream, for streaming RPCs.
        settings: settings of the service.
    """

    name: str
    requests: tuple[str, ...]
    event: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def _method(self) -> Any:
        service, _, method = self.name.partition("/")
        found: Any = descriptor_pool.Default().FindServiceByName(f"penstock.v1.{service}")
        return found.methods_by_name[method]

    @property
    def streams(self) -> bool:
        return bool(self._method.server_streaming)

    @property
    def uploads(self) -> bool:
        return bool(self._method.client_streaming)

    def start(self, channel: aio.Channel, *, endless: bool = False, **options: Any) -> Any:
        """Begins a call; an endless upload never ends its requests."""
        if not self.uploads:
            return self._begin(channel)(self._messages()[0], **options)
        messages = self._messages()
        sent = _endlessly(messages) if endless else iter(messages)
        return self._begin(channel)(sent, **options)

    async def run(
        self,
        service: Service,
        channel: aio.Channel,
        received: list[Any] | None = None,
        **options: Any,
    ) -> Ended:
        """Makes a call that must fail; appends its messages to `received` as they arrive.

        Uploads use the blocking client. The asynchronous one may report INTERNAL instead of the
        status if it writes to a call that the server has just ended.
        """
        if self.uploads:
            return await asyncio.to_thread(self._upload, f"127.0.0.1:{service.port}", options)
        call = self.start(channel, **options)
        received = [] if received is None else received
        try:
            if self.streams:
                async for message in call:
                    received.append(message)
            else:
                received.append(await call)
        except aio.AioRpcError as error:
            return _failed(error, received)
        raise AssertionError(f"it did not fail: {received}")

    def _upload(self, target: str, options: dict[str, Any]) -> Ended:
        received: list[Any] = []
        settings = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        with grpc.insecure_channel(target, settings) as channel:
            try:
                answer = self._begin(channel)(iter(self._messages()), **options)
                received.extend(answer if self.streams else [answer])
            except grpc.RpcError as error:
                return _failed(error, received)
        raise AssertionError(f"it did not fail: {received}")

    def _begin(self, channel: Any) -> Any:
        kinds = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        method = self._method
        return kinds[self.uploads, self.streams](
            f"/penstock.v1.{self.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )

    def _messages(self) -> list[Any]:
        kind = GetMessageClass(self._method.input_type)
        return [text_format.Parse(text, kind()) for text in self.requests]


def _failed(error: Any, received: list[Any]) -> Ended:
    result = ended(error)
    result.received = received
    return result


async def _endlessly(messages: list[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message
    await asyncio.Event().wait()


_NATIVE = {"native_responses": "always"}

EVERY_RPC = (
    Called("ChatCompletionService/CreateChatCompletion", (_ASKED,)),
    Called("ChatCompletionService/StreamChatCompletion", (_ASKED,), _CHAT_EVENT),
    Called("CompletionService/CreateCompletion", ('model: "m" prompts {text: "x"}',)),
    Called("CompletionService/StreamCompletion", ('model: "m" prompts {text: "x"}',), _TEXT_EVENT),
    Called("GenerationService/Generate", ('model: "m" token_ids: 1',)),
    Called("GenerationService/StreamGenerate", ('model: "m" token_ids: 1',), _TOKENS_EVENT),
    Called("ResponseService/CreateResponse", ('model: "m" input_text: "x"',)),
    Called("ResponseService/StreamResponse", ('model: "m" input_text: "x"',), _CHAT_EVENT),
    Called("ResponseService/CreateResponse", ('model: "m" input_text: "x"',), None, _NATIVE),
    Called(
        "ResponseService/StreamResponse", ('model: "m" input_text: "x"',), _NATIVE_EVENT, _NATIVE
    ),
    Called("ResponseService/GetResponse", ('response_id: "resp_1"',), None, _NATIVE),
    Called("ResponseService/CancelResponse", ('response_id: "resp_1"',), None, _NATIVE),
    Called("EmbeddingService/CreateEmbeddings", (_INPUT,)),
    Called("RerankService/Rerank", ('model: "m" query {text: "x"} documents {text: "x"}',)),
    Called("RerankService/Score", ('model: "m" queries {text: "x"} documents {text: "x"}',)),
    Called("ClassificationService/Classify", (_INPUT,)),
    Called("PoolingService/Pool", (_INPUT,)),
    Called("ModelService/ListModels", ("",)),
    Called("ModelService/GetModel", ('model: "m"',)),
    Called("TokenizationService/Tokenize", ('model: "m" text: "x"',)),
    Called("TokenizationService/Detokenize", ('model: "m" token_ids: 1',)),
    Called("TranscriptionService/Transcribe", (_AUDIO,)),
    Called("TranscriptionService/StreamTranscribe", (_AUDIO,), _CHAT_EVENT),
    Called("TranscriptionService/UploadTranscribe", _UPLOAD),
    Called("TranscriptionService/UploadStreamTranscribe", _UPLOAD, _CHAT_EVENT),
)

STREAMS_OF_ITEMS = frozenset(
    {
        "BatchService/RunBatch",
        "ClassificationService/StreamClassify",
        "EmbeddingService/StreamEmbeddings",
        "RerankService/StreamRerank",
        "RerankService/StreamScore",
        "TokenizationService/StreamTokenize",
    }
)
"""RPCs whose failures are those of items, which have tests of their own."""


ELSEWHERE = STREAMS_OF_ITEMS | {
    "ResponseService/StreamStoredResponse",
    "TranscriptionService/TranscribeLive",
}
"""RPCs that have tests of their own.

One makes two requests, and the upstream of the live one has a websocket.
"""


def names(calls: tuple[Called, ...]) -> list[str]:
    """Returns the names of the calls for use as test ids."""
    return [call.name.partition("/")[2] + (" native" if call.settings else "") for call in calls]


def methods_served() -> Iterator[str]:
    """Returns the names of all RPCs."""
    for service in SERVICES:
        found: Any = descriptor_pool.Default().FindServiceByName(service)
        for method in found.methods:
            yield f"{found.name}/{method.name}"


class Upstream:
    """An upstream with a fixed answer to the requests of RPCs; without models it is never healthy.

    Attributes:
        url: its URL.
        requests: number of requests of RPCs.
        open: number of their open connections.
        came: set when a request has arrived completely, or an upload partly.
        stalled: set when its writes block because the client does not read.
        named: events by the caller's request id, each set when that request arrives.
        left: set when the client has closed a connection with a request.
    """

    def __init__(
        self,
        *answer: bytes,
        repeat: bytes = b"",
        hold: bool = False,
        models: tuple[str, ...] = (),
    ) -> None:
        """Creates an upstream.

        Args:
            answer: the answer.
            repeat: bytes to repeat endlessly after the answer.
            hold: whether to stay silent after the answer.
            models: models to list.
        """
        self.models = models
        self.url = ""
        self.requests = 0
        self.open = 0
        self.named: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.came = asyncio.Event()
        self.stalled = asyncio.Event()
        self.left = asyncio.Event()
        self._answer = b"".join(answer)
        self._repeat = repeat
        self._hold = hold

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()
            return
        if b"x-request-id: probe-" in head:
            writer.write(self._probed(head.split()[1]))
        else:
            self.requests += 1
            self.open += 1
            name = head.partition(b"x-request-id: ")[2].partition(b"\r")[0].decode()
            self.named[name.rpartition("-")[0]].set()
            try:
                await self._exchange(head, reader, writer)
            finally:
                self.open -= 1
                self.left.set()
        writer.close()

    def _probed(self, path: bytes) -> bytes:
        if not self.models:
            return answer("503 no", b"")
        if path == b"/v1/models":
            return answer("200 OK", json.dumps({"data": [{"id": m} for m in self.models]}).encode())
        return answer("200 OK" if path == b"/health" else "404 no", b"")

    async def _exchange(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._receive(head, reader)
            await self.respond(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers a request that has been read."""
        writer.write(self._answer)
        await writer.drain()
        if self._repeat:
            await self._go_on(reader, writer)
        elif self._hold:
            await reader.read()

    async def _receive(self, head: bytes, reader: asyncio.StreamReader) -> None:
        if b"chunked" in head:
            await reader.readuntil(b"RIFF")
            self.came.set()
            await reader.readuntil(b"0\r\n\r\n")
        elif b"content-length: " in head:
            length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
        self.came.set()

    async def _go_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.ensure_future(reader.read())
        try:
            while not gone.done() and not writer.is_closing():
                writer.write(self._repeat)
                written = asyncio.ensure_future(writer.drain())
                done, _ = await asyncio.wait((written,), timeout=0.3)
                if not done:
                    self.stalled.set()
                    await asyncio.wait((written, gone), return_when=asyncio.FIRST_COMPLETED)
                    written.cancel()
        finally:
            gone.cancel()
            await asyncio.wait((gone,))


class Serving(Protocol):
    """A server of connections."""

    url: str

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""


U = TypeVar("U", bound=Serving)


@asynccontextmanager
async def running(upstream: U) -> AsyncIterator[U]:
    """Runs an upstream on a free port; leaving the context closes its connections."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await upstream.serve(reader, writer)
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(status: str, body: bytes, kind: str = "application/json") -> bytes:
    """Returns a complete answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n".encode() + body


def failing(status: str, **error: Any) -> bytes:
    """Returns an answer with vLLM's error object."""
    return answer(status, json.dumps({"error": {"message": "no", "type": "E"} | error}).encode())


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def event(data: Any) -> bytes:
    """Returns an event in a separate chunk."""
    text = f"data: {json.dumps(data)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(text), text)
