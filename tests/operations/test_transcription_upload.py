"""Uploads of audio: order of messages, forwarding to the upstream, limits, early ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from conftest import Serve
from grpc import aio
from skipping import LIMIT_S, Skipping

from penstock.v1.transcription_pb2 import UploadTranscribeRequest
from penstock_server.simulator import Simulator

from .transcriptions import (
    CHUNK,
    INVALID,
    REFUSED,
    SECOND,
    SENTENCE,
    TEXT,
    UNAUTHORIZED,
    WHISPER,
    Respond,
    Upstream,
    asking,
    chunk,
    configured,
    connected,
    connected_to,
    endless,
    failed,
    failed_while_sending,
    in_front_of,
    posted,
    stub,
    upload,
)

METHODS = ("UploadTranscribe", "UploadStreamTranscribe")


@pytest.fixture
async def whisper() -> AsyncIterator[Simulator]:
    async with Simulator(WHISPER) as running:
        yield running


@pytest.fixture
async def target(whisper: Simulator, serve: Serve) -> str:
    running = await serve(upstream=(whisper.url,), probe_interval=60.0)
    return f"127.0.0.1:{running.port}"


@pytest.fixture
async def channel(target: str) -> AsyncIterator[aio.Channel]:
    async with connected_to(target) as opened:
        yield opened


ORDERS: dict[str, tuple[list[UploadTranscribeRequest], str]] = {
    "no messages": ([], "config"),
    "no config": ([chunk(SECOND)], "config"),
    "empty message first": ([UploadTranscribeRequest(), chunk(SECOND)], "config"),
    "config after audio": ([chunk(SECOND), configured()], "config"),
    "config only": ([configured()], "audio_chunk"),
    "empty audio": ([configured(), chunk(b""), chunk(b"")], "audio_chunk"),
    "config twice": ([configured(), configured(), chunk(SECOND)], "config"),
    "config again, later": ([configured(), chunk(SECOND), configured()], "config"),
    "empty message": ([configured(), chunk(SECOND), UploadTranscribeRequest()], "audio_chunk"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("messages", "field"), ORDERS.values(), ids=ORDERS)
async def test_order(
    method: str,
    messages: list[UploadTranscribeRequest],
    field: str,
    target: str,
    whisper: Simulator,
) -> None:
    end = await failed_while_sending(target, method, iter(messages))
    assert (end.code, end.reason, end.fields) == (INVALID, "INVALID_REQUEST", [field])
    assert all(request.method == "GET" for request in whisper.requests)


@pytest.mark.parametrize("size", [1000, 5 * CHUNK], ids=["small chunks", "one chunk"])
async def test_upload_is_one_file(size: int, channel: aio.Channel, whisper: Simulator) -> None:
    answer = await stub(channel).UploadTranscribe(upload(asking(), size))
    assert answer.transcription.text == SENTENCE
    assert SECOND in posted(whisper).body


async def test_empty_chunks_are_ignored(channel: aio.Channel) -> None:
    first, *rest = upload(asking(), 10_000)
    messages = [first, chunk(b""), rest[0], chunk(b""), *rest[1:], chunk(b"")]
    answer = await stub(channel).UploadTranscribe(iter(messages))
    assert answer.transcription.text == SENTENCE


async def test_chunks_go_upstream_as_they_arrive() -> None:
    upstream = Upstream()
    async with in_front_of(upstream) as channel:
        call = stub(channel).UploadTranscribe()
        await call.write(configured(prompt="the form comes first"))
        for audio in (b"one", b"two", b"three"):
            await call.write(chunk(audio))
            await upstream.wait_received(audio)
            assert not upstream.complete
        await call.done_writing()
        assert (await call).transcription.text == " Heard."
    body = bytes(upstream.received)
    assert body.index(b"the form comes first") < body.index(b'name="file"')
    assert b"\r\n\r\nonetwothree\r\n--" in body


async def test_nothing_is_sent_upstream_before_there_is_audio() -> None:
    upstream = Upstream()
    async with in_front_of(upstream) as channel:
        call = stub(channel).UploadTranscribe()
        await call.write(configured(language_code="en"))
        await call.write(chunk(b""))
        await call.done_writing()
        assert (await failed(call)).fields == ["audio_chunk"]
        assert upstream.head == b""


# Limits


@pytest.mark.parametrize("method", METHODS)
async def test_too_large(method: str) -> None:
    upstream = Upstream()
    limit = 3 * CHUNK
    async with in_front_of(upstream, max_upload_bytes=limit):
        end = await failed_while_sending(upstream.service, method, endless())
        await upstream.wait_closed()
    assert (end.code, end.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    assert end.metadata["limitBytes"] == str(limit)
    assert end.pushback == "-1"
    assert str(limit) in end.message
    assert end.retry_s is None
    assert not upstream.complete
    assert upstream.received.count(0) <= limit


@pytest.mark.parametrize("method", METHODS)
async def test_a_size_that_is_announced_is_refused_at_once(method: str) -> None:
    upstream = Upstream()
    async with in_front_of(upstream, max_upload_bytes=CHUNK) as channel, asyncio.timeout(60):
        announced = (("x-upload-bytes", str(CHUNK + 1)),)
        call = getattr(stub(channel), method)(metadata=announced)
        await call.write(configured())
        await call.write(chunk(b"x"))
        end = await failed(call)
    assert (end.code, end.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    assert end.metadata["limitBytes"] == str(CHUNK)
    assert not upstream.complete


@pytest.mark.parametrize("size", ["", "x", "-1", "1.5", "0", "9" * 19])
async def test_an_announced_size_that_cannot_be_read(size: str) -> None:
    upstream = Upstream()
    async with in_front_of(upstream, max_upload_bytes=len(SECOND)) as channel:
        announced = (("x-upload-bytes", size),)
        call = stub(channel).UploadTranscribe(upload(asking()), metadata=announced)
        assert (await call).transcription.text


async def test_audio_of_exactly_the_limit() -> None:
    upstream = Upstream()
    async with in_front_of(upstream, max_upload_bytes=len(SECOND)) as channel:
        assert (await stub(channel).UploadTranscribe(upload(asking()))).transcription.text
        end = await failed(stub(channel).UploadTranscribe(upload(asking(SECOND + b"x"))))
    assert end.reason == "REQUEST_TOO_LARGE"


@pytest.mark.parametrize("method", ["Transcribe", "StreamTranscribe"])
async def test_audio_in_one_message_has_the_same_limit(method: str) -> None:
    upstream = Upstream()
    async with in_front_of(upstream, max_upload_bytes=len(SECOND) - 1) as channel:
        end = await failed(getattr(stub(channel), method)(asking()))
    assert (end.code, end.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    assert end.metadata["limitBytes"] == str(len(SECOND) - 1)
    assert upstream.head == b""


async def test_limit_of_the_upstream(channel: aio.Channel) -> None:
    """vLLM's own limit, which is the same by default, is reported as the upstream's refusal."""
    audio = bytes(25 * 2**20)
    answer = await failed(stub(channel).UploadTranscribe(upload(asking(audio))))
    assert (answer.code, answer.reason) == (INVALID, "UPSTREAM_REJECTED")


# Callers that leave


@pytest.mark.parametrize("method", METHODS)
async def test_cancelled_upload_leaves_nothing_upstream(method: str) -> None:
    upstream = Upstream()
    async with in_front_of(upstream) as channel:
        call = await _half(channel, method, upstream)
        call.cancel()
        await upstream.wait_closed()
    assert not upstream.complete


async def test_a_cancellation_is_never_taken_for_the_end_of_the_audio() -> None:
    """gRPC ends the messages of a cancelled call as if they were complete; races are likely."""
    upstream = Upstream()
    async with in_front_of(upstream) as channel:
        for attempt in range(150):
            call = stub(channel).UploadTranscribe()
            await call.write(configured())
            for _ in range(attempt % 7):
                await call.write(chunk(bytes(CHUNK)))
            call.cancel()
            await _ended(call)
    assert not upstream.complete


async def test_lost_connection_leaves_nothing_upstream() -> None:
    upstream = Upstream()
    async with in_front_of(upstream) as channel:
        await _half(channel, "UploadTranscribe", upstream)
        await channel.close(None)
        await upstream.wait_closed()
    assert not upstream.complete


@pytest.mark.parametrize("method", METHODS)
async def test_deadline_within_an_upload(method: str) -> None:
    upstream = Upstream()
    async with in_front_of(upstream) as channel:
        call = await _half(channel, method, upstream, timeout=0.5)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await upstream.wait_closed()
    assert not upstream.complete


@pytest.mark.parametrize("method", METHODS)
async def test_cancel_after_the_upload(method: str, whisper: Simulator, serve: Serve) -> None:
    whisper.faults = "slow-headers seconds=60"
    service = await serve(upstream=(whisper.url,), probe_interval=60.0)
    async with connected(service) as channel:
        call = getattr(stub(channel), method)(upload(asking()))
        waiting = asyncio.ensure_future(_ended(call))
        await whisper.wait_active(1)
        call.cancel()
        async with asyncio.timeout(60):
            await whisper.wait_active(0)
        await waiting
    assert whisper.aborted == 1


# Upstreams that do not wait for the end


def _early(upstream: Upstream, status: bytes, then: str) -> Respond:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.take(reader, 1)
        writer.write(status)
        await writer.drain()
        if then == "hold":
            await upstream.left.wait()
        elif then == "shut":
            writer.write_eof()

    return respond


EARLY = {
    "401": (UNAUTHORIZED, grpc.StatusCode.INTERNAL, "UPSTREAM_AUTH_FAILED"),
    "400": (REFUSED, INVALID, "UPSTREAM_REJECTED"),
}


@pytest.mark.parametrize("then", ["read on", "hold", "shut"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("status", "code", "reason"), EARLY.values(), ids=EARLY)
async def test_early_refusal_while_chunks_continue(
    method: str, status: bytes, code: grpc.StatusCode, reason: str, then: str
) -> None:
    upstream = Upstream()
    upstream.respond = _early(upstream, status, then)
    async with in_front_of(upstream, max_upload_bytes=2**40):
        async with asyncio.timeout(60):
            end = await failed_while_sending(upstream.service, method, endless())
    assert (end.code, end.reason) == (code, reason), end.message
    assert not upstream.complete


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("status", "code", "reason"), EARLY.values(), ids=EARLY)
async def test_early_refusal_while_the_caller_pauses(
    method: str, status: bytes, code: grpc.StatusCode, reason: str
) -> None:
    upstream = Upstream()
    upstream.respond = _early(upstream, status, "read on")
    async with in_front_of(upstream) as channel:
        call = getattr(stub(channel), method)()
        await call.write(configured())
        await call.write(chunk(SECOND))
        async with asyncio.timeout(60):
            end = await failed(call)
    assert (end.code, end.reason) == (code, reason), end.message


async def test_field_of_an_early_refusal() -> None:
    upstream = Upstream()
    upstream.respond = _early(upstream, REFUSED, "read on")
    async with in_front_of(upstream, max_upload_bytes=2**40):
        end = await failed_while_sending(upstream.service, "UploadTranscribe", endless())
    assert end.fields == ["config.language_code"]
    assert end.message == "no such language"


async def test_early_success_waits_for_the_end_of_the_upload() -> None:
    upstream = Upstream()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.take(reader, 1)
        writer.write(TEXT)
        await upstream.take_all(reader)

    upstream.respond = respond
    async with in_front_of(upstream) as channel:
        answer = await stub(channel).UploadTranscribe(upload(asking(), 100))
    assert answer.transcription.text == " Heard."
    assert upstream.complete


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_upstream_lost_within_the_upload(method: str, reset: bool) -> None:
    upstream = Upstream()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.take(reader, 3 * CHUNK)
        if reset:
            writer.transport.abort()
        raise ConnectionError

    upstream.respond = respond
    async with in_front_of(upstream, max_upload_bytes=2**40):
        async with asyncio.timeout(60):
            end = await failed_while_sending(upstream.service, method, endless())
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
    assert end.metadata["stage"] == "request"


async def test_upstream_lost_after_the_upload() -> None:
    upstream = Upstream()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.take_all(reader)
        raise ConnectionError

    upstream.respond = respond
    async with in_front_of(upstream) as channel:
        end = await failed(stub(channel).UploadTranscribe(upload(asking())))
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_CLOSED")
    assert end.metadata["stage"] == "headers"


@pytest.mark.parametrize("method", METHODS)
async def test_no_upstream(method: str, serve: Serve) -> None:
    service = await serve(upstream=("http://127.0.0.1:1",), probe_interval=60.0)
    async with connected(service) as channel:
        end = await failed(getattr(stub(channel), method)(upload(asking())))
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")
    assert end.metadata["stage"] == "connect"


@pytest.mark.parametrize("reads", [False, True], ids=["does not read", "does not answer"])
async def test_stalled_upstream(reads: bool) -> None:
    upstream = Upstream()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reads:
            await upstream.take_all(reader)
        await upstream.left.wait()

    upstream.respond = respond
    messages = upload(asking()) if reads else endless()
    limits = {"first_byte_timeout": 0.3, "max_upload_bytes": 2**40}
    async with in_front_of(upstream, **limits):
        async with asyncio.timeout(60):
            end = await failed_while_sending(upstream.service, "UploadTranscribe", messages)
    assert (end.code, end.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT")


async def test_a_slow_caller_does_not_count_as_a_slow_upstream(skip: Skipping) -> None:
    upstream = Upstream()
    async with in_front_of(upstream, first_byte_timeout=LIMIT_S) as channel:
        call = stub(channel).UploadTranscribe()
        await call.write(configured())
        await call.write(chunk(b"first"))
        await upstream.wait_received(b"first")
        pause = asyncio.create_task(asyncio.sleep(LIMIT_S))
        await skip()
        await pause
        await call.write(chunk(b"second"))
        await call.done_writing()
        assert (await call).transcription.text == " Heard."


async def _half(channel: aio.Channel, method: str, upstream: Upstream, **options: Any) -> Any:
    call = getattr(stub(channel), method)(**options)
    await call.write(configured())
    await call.write(chunk(b"the first half"))
    await upstream.wait_received(b"the first half")
    return call


async def _ended(call: Any) -> None:
    await call.code()
