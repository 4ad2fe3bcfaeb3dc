"""Audio, calls that upload it, and upstreams whose handling of an upload a test controls."""

import asyncio
import io
import math
import struct
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
from grpc import aio
from rpc.calls import Ended, ended

from penstock.v1.transcription_pb2 import (
    TranscribeRequest,
    TranscriptionConfig,
    UploadTranscribeRequest,
)
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.http.requests import Request

SENTENCE = " Hello world, this is a test. The quick brown fox — café."
"""The simulator's text for any audio."""
TRANSLATION = " This is the English translation."
WHISPER = SimulatorSettings(
    listen="127.0.0.1:0", models=("tiny-whisper",), kind="whisper", max_model_len=448
)
CHUNK = 64 * 1024
Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


_TONE = b"".join(struct.pack("<h", int(8000 * math.sin(i * 0.17))) for i in range(16000))


def wav(seconds: float) -> bytes:
    """Returns a tone as a WAV file of 32 kB per second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16000)
        size = 2 * int(16000 * seconds)
        writer.writeframes((_TONE * (size // len(_TONE) + 1))[:size])
    return file.getvalue()


SECOND = wav(1)


def asking(audio: bytes = SECOND, **config: Any) -> TranscribeRequest:
    """Returns a request with all of the audio."""
    return TranscribeRequest(config=TranscriptionConfig(**config), audio=audio)


def configured(**config: Any) -> UploadTranscribeRequest:
    """Returns the first message of an upload."""
    return UploadTranscribeRequest(config=TranscriptionConfig(**config))


def chunk(audio: bytes) -> UploadTranscribeRequest:
    """Returns a later message of an upload."""
    return UploadTranscribeRequest(audio_chunk=audio)


def upload(request: TranscribeRequest, size: int = CHUNK) -> Iterator[UploadTranscribeRequest]:
    """Returns the messages of an upload that is equivalent to a unary request."""
    yield UploadTranscribeRequest(config=request.config)
    for start in range(0, len(request.audio), size):
        yield chunk(request.audio[start : start + size])


def posted(simulator: Simulator) -> Request:
    """Returns the latest request that was not a probe."""
    return next(one for one in reversed(simulator.requests) if one.method == "POST")


def stub(channel: aio.Channel) -> Any:
    """Returns the generated stub without its types, which are those of the synchronous variant."""
    return TranscriptionServiceStub(channel)  # type: ignore[no-untyped-call, unused-ignore]


async def failed(call: Any) -> Ended:
    """Returns the status of a call that must fail, and the messages before it."""
    received: list[Any] = []
    try:
        if isinstance(call, aio.UnaryStreamCall | aio.StreamStreamCall):
            async for message in call:
                received.append(message)
        else:
            received.append(await call)
    except aio.AioRpcError as error:
        result = ended(error)
        result.received = received
        return result
    raise AssertionError(f"it did not fail: {received}")


def endless() -> Iterator[UploadTranscribeRequest]:
    """Yields the messages of an upload that does not end."""
    yield configured()
    while True:
        yield chunk(bytes(CHUNK))


async def failed_while_sending(
    target: str,
    method: str,
    messages: Iterator[UploadTranscribeRequest],
    root: bytes = b"",
    **options: Any,
) -> Ended:
    """Returns the status of an upload that must fail before its end; with a root, TLS is used.

    It uses the blocking client. The asynchronous one may report INTERNAL instead of the status if
    it writes to a call that the server has just ended.
    """
    return await asyncio.to_thread(_send, target, method, messages, root, options)


def _send(
    target: str,
    method: str,
    messages: Iterator[UploadTranscribeRequest],
    root: bytes,
    options: Mapping[str, Any],
) -> Ended:
    arguments = (("grpc.enable_retries", 0),)
    opened = (
        grpc.secure_channel(target, grpc.ssl_channel_credentials(root), arguments)
        if root
        else grpc.insecure_channel(target, arguments)
    )
    with opened as channel:
        try:
            answer = getattr(TranscriptionServiceStub(channel), method)(messages, **options)
            received = [answer] if method == "UploadTranscribe" else list(answer)
        except grpc.RpcError as error:
            # The exception is both an error and a call.
            return ended(error)  # type: ignore[arg-type]
    raise AssertionError(f"it did not fail: {received}")


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[aio.Channel]:
    """Opens a channel to a service."""
    async with connected_to(f"127.0.0.1:{service.port}") as channel:
        yield channel


@asynccontextmanager
async def connected_to(target: str) -> AsyncIterator[aio.Channel]:
    """Opens a channel without retries and with its own connection."""
    options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
    async with aio.insecure_channel(target, options=options) as channel:
        yield channel


@asynccontextmanager
async def in_front_of(upstream: "Upstream", **settings: Any) -> AsyncIterator[aio.Channel]:
    """Opens a channel to a service in front of an upstream that accepts uploads."""
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    configured = Settings(
        upstream=(url,),
        listen="127.0.0.1:0",
        admin_listen="",
        metrics_listen="",
        probe_interval=60.0,
        **settings,
    )
    try:
        async with Service(configured) as service, connected(service) as channel:
            upstream.service = f"127.0.0.1:{service.port}"
            yield channel
    finally:
        server.close()
        await upstream.finish()


class Upstream:
    """An upstream that accepts one upload at a time and exposes its progress.

    Attributes:
        head: first line and headers of the request.
        received: body received so far, without its framing.
        complete: set when the end of the body has been received.
        service: address of the service in front of it.
        respond: called after the headers of the request; tests may replace it.
        left: set when the test is over.
    """

    def __init__(self) -> None:
        self.service = ""
        self.head = b""
        self.received = bytearray()
        self.complete = False
        self.respond: Respond = self.serve
        self.left = asyncio.Event()
        self._progress = asyncio.Event()
        self._closed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads the body and answers."""
        await self.take_all(reader)
        writer.write(TEXT)
        await writer.drain()

    async def take_all(self, reader: asyncio.StreamReader) -> None:
        """Reads the body to its end."""
        async with aclosing(self.blocks(reader)) as blocks:
            async for _ in blocks:
                pass

    async def take(self, reader: asyncio.StreamReader, size: int) -> None:
        """Reads at least a number of bytes of the body."""
        async with aclosing(self.blocks(reader)) as blocks:
            async for _ in blocks:
                if len(self.received) >= size:
                    return

    async def blocks(self, reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
        """Yields the body, chunk by chunk."""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            block = (await reader.readexactly(size + 2))[:-2]
            self.received += block
            self._progress.set()
            yield block
        await reader.readexactly(2)
        self.complete = True

    async def wait_received(self, what: bytes) -> None:
        """Waits until the body has a number of bytes."""
        async with asyncio.timeout(60):
            while what not in self.received:
                self._progress.clear()
                await self._progress.wait()

    async def wait_closed(self) -> None:
        """Waits until the service has closed its connection."""
        async with asyncio.timeout(60):
            await self._closed.wait()

    async def finish(self) -> None:
        """Waits until all connections are closed: the service must leave none open."""
        self.left.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection; answers only uploads."""
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        head = b""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"transfer-encoding: chunked" in head.lower():
                self.head = head
                await self.respond(reader, writer)
                while await reader.read(CHUNK):
                    pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if b"transfer-encoding: chunked" in head.lower():
                self._closed.set()
            writer.close()


def answer(status: str, body: bytes, kind: str = "application/json") -> bytes:
    """Returns an HTTP answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def events(*data: str) -> bytes:
    """Returns an HTTP answer of events that ends with the connection."""
    body = "".join(f"data: {one}\n\n" for one in data)
    return answer("200 OK", body.encode(), "text/event-stream")


TEXT = answer("200 OK", b'{"text": " Heard."}')
UNAUTHORIZED = answer("401 Unauthorized", b'{"error": "Unauthorized"}')
REFUSED = answer(
    "400 Bad Request",
    b'{"error": {"message": "no such language", "type": "BadRequestError",'
    b' "param": "language", "code": 400}}',
)
INVALID = grpc.StatusCode.INVALID_ARGUMENT
