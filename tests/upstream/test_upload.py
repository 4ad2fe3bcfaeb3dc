"""Uploads with early, late or missing answers, and bodies that the other end does not read."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from skipping import LIMIT_S, Skipping

from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http.response_parser import ResponseParser
from penstock_server.upstream.multipart import File, Form
from penstock_server.upstream.operations import CHAT_COMPLETION, TRANSCRIPTION

from .certificates import Certificates
from .wire import chunk, client, http, served

pytestmark = pytest.mark.usefixtures("scheme")

CALL = Call("id-1")
END = b"\r\n0\r\n\r\n"
MUCH = {"messages": "x" * 30_000_000}
"""More bytes than all buffers between both ends can hold."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def form(*blocks: bytes) -> Form:
    async def audio() -> AsyncGenerator[bytes, None]:
        for block in blocks:
            yield block

    return Form([("model", "m")], File(audio(), "a.wav", "audio/wav"))


async def upload(upstream: Upstream, *blocks: bytes) -> object:
    return await upstream.call(TRANSCRIPTION, form(*blocks), CALL)


async def failure_of(call: Awaitable[object]) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as raised:
        async with asyncio.timeout(60):
            await call
    return raised.value


async def test_an_answer_before_the_end_of_the_request_closes_the_connection() -> None:
    """Otherwise the next request would wait forever behind the rest of this one."""
    refusal = http(b'{"error": {"message": "no", "code": 413}}', status="413 Too Large")
    asked: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(refusal)
        await over.wait()
        writer.transport.abort()

    async with served(serve) as url, client(url) as upstream:
        for body in (MUCH, {}):
            failure = await failure_of(upstream.call(CHAT_COMPLETION, body, CALL))
            assert failure.status == 413
        over.set()
    assert len(asked) == 2


async def test_an_answer_is_read_although_sending_fails(
    scheme: str, certificates: Certificates
) -> None:
    """A server may refuse an upload before reading it and close the connection at once."""
    closed = threading.Event()

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        # The answer must not wait for the acknowledgement of what TLS has sent.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if scheme == "https":
            connection = certificates.server_context().wrap_socket(connection, server_side=True)
        with connection:
            connection.recv(100)
            body = b'{"error": {"message": "no", "code": 400}}'
            connection.sendall(http(body, status="400 Bad Request"))
        # With bytes unread, closing resets the connection.
        closed.set()

    async def audio() -> AsyncGenerator[bytes, None]:
        yield b"x" * 10_000
        # The event loop must not see the answer before it sends the next block.
        closed.wait(60)
        while True:
            yield b"x" * 10_000
            await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        served = asyncio.create_task(asyncio.to_thread(refuse, listening))
        async with client(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}") as upstream:
            file = File(audio(), "a.wav", "audio/wav")
            asked = upstream.call(TRANSCRIPTION, Form([("model", "m")], file), CALL)
            failure = await failure_of(asked)
        await served
    assert (failure.status, failure.message) == (400, "no")


async def test_empty_blocks_do_not_end_an_upload() -> None:
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not received.endswith(END):
            received.extend(await reader.read(100_000))
        writer.write(http(b'{"text": "x"}'))
        await reader.read()
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        assert await upload(upstream, b"RI", b"", b"FF", b"") == {"text": "x"}
    assert received.count(END) == 1
    assert received.index(b"FF") < received.index(END)


def after_upload(answer: bytes) -> Serve:
    """Reads an upload, then sends an answer and keeps the connection open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(answer)
        await reader.read()
        writer.close()

    return serve


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_the_answer_to_an_upload_has_a_time_limit(
    skip: Skipping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that arrive do not start the limit anew."""
    arrived = asyncio.Event()
    take = ResponseParser.on_body

    def taken(parser: ResponseParser, data: bytes) -> None:
        take(parser, data)
        arrived.set()

    monkeypatch.setattr(ResponseParser, "on_body", taken)

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(CHUNKED)
        for _ in range(2):
            writer.write(chunk(b" "))
            await arrived.wait()
            arrived.clear()
            skip.jump(LIMIT_S * 0.55)  # twice is less than the bound of `failure_of`
        await reader.read()
        writer.close()

    async with served(trickle) as url, client(url, Timeouts(first_byte=LIMIT_S)) as upstream:
        failure = await failure_of(upload(upstream, b"RIFF"))
    assert (failure.kind, failure.limit) == (Kind.TIMEOUT, "first_byte_timeout")


async def test_the_time_limit_begins_after_the_upload(skip: Skipping) -> None:
    answered = after_upload(http(b'{"text": "x"}'))

    async def audio() -> AsyncGenerator[bytes, None]:
        for _ in range(5):
            yield b"RIFF"
            skip.jump(LIMIT_S)

    async with served(answered) as url, client(url, Timeouts(first_byte=LIMIT_S)) as upstream:
        file = File(audio(), "a.wav", "audio/wav")
        answer = await upstream.call(TRANSCRIPTION, Form([("model", "m")], file), CALL)
    assert answer == {"text": "x"}


async def test_an_upload_with_partial_answer_counts_as_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The upstream may have processed it, so it must not be retried."""
    headed = asyncio.Event()
    take = ResponseParser.on_headers_complete

    def taken(parser: ResponseParser) -> None:
        take(parser)
        headed.set()

    monkeypatch.setattr(ResponseParser, "on_headers_complete", taken)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + chunk(b'{"text":'))
        await headed.wait()
        writer.transport.abort()

    async def audio() -> AsyncGenerator[bytes, None]:
        while True:
            yield bytes(100_000)
            await headed.wait()

    async with served(serve) as url, client(url) as upstream:
        file = File(audio(), "a.wav", "audio/wav")
        call = upstream.call(TRANSCRIPTION, Form([("model", "m")], file), CALL)
        failure = await failure_of(call)
    assert (failure.kind, failure.stage) == (Kind.CLOSED, Stage.BODY)


async def test_an_upstream_that_closes_its_side_stops_the_upload(scheme: str) -> None:
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as end:
            end.shutdown(socket.SHUT_WR)  # below TLS
        await over.wait()
        writer.transport.abort()

    # Below TLS, only the event loop can notice; if it does not, a timeout stops the upload.
    limit_s = 1 if scheme == "https" else 60
    timeouts = Timeouts(connect=60, first_byte=limit_s, idle=limit_s)
    async with served(serve) as url, client(url, timeouts) as upstream:
        failure = await failure_of(upstream.call(CHAT_COMPLETION, MUCH, CALL))
        over.set()
    assert failure.kind is Kind.CONNECT or scheme == "https"
