"""Reuse of connections, and answers in unusual shapes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace

import pytest
from httpx import ByteStream
from skipping import LIMIT_S, Skipping

from penstock_server.upstream import limits
from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http import transport
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.response_parser import ResponseParser
from penstock_server.upstream.limits import Limits
from penstock_server.upstream.multipart import File, Form
from penstock_server.upstream.operations import CHAT_COMPLETION, NATIVE_RESPONSE, TRANSCRIPTION

from .test_stream import WHOLE
from .wire import QUICK, End, chunk, client, http, read_request, served, stream, wire

pytestmark = pytest.mark.usefixtures("scheme")

CALL = Call("id-1")
OK = http(b'{"id": "x"}')


async def failure_of(upstream: Upstream) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as raised:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
    return raised.value


class Leaving:
    """A server that closes each connection when a second request arrives on it.

    Attributes:
        asked: number of requests received.
        ids: their request ids.
        connections: number of connections accepted.
        first: answer to the first request on each connection; if empty, it closes the connection.
        further: bytes to send before closing.
    """

    def __init__(self, first: bytes = OK, further: bytes = b"") -> None:
        self.asked = self.connections = 0
        self.ids: list[bytes] = []
        self.first, self.further = first, further

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError):
            for answer in (self.first, self.further):
                request = await read_request(reader)
                self.ids.append(request.partition(b"x-request-id: ")[2].partition(b"\r")[0])
                self.asked += 1
                writer.write(answer)
                if not answer:
                    break
        writer.close()


async def test_a_request_is_retried_if_a_kept_connection_closes() -> None:
    server, call = Leaving(), Call("id-1")
    async with served(server) as url, client(url) as upstream:
        for _ in range(5):
            assert await upstream.call(CHAT_COMPLETION, {}, call) == {"id": "x"}
            assert await upstream.get("/health", CALL, 5) == {"id": "x"}
    assert server.connections == 10
    assert len(set(server.ids)) == len(server.ids) == server.asked
    assert call.attempts.count == 5


async def test_several_kept_connections_close() -> None:
    server = Leaving()
    async with served(server) as url, client(url) as upstream:
        for count in (10, 4, 1):  # fewer than are kept
            calls = [upstream.call(CHAT_COMPLETION, {}, CALL) for _ in range(count)]
            assert await asyncio.gather(*calls) == [{"id": "x"}] * count


async def test_a_request_is_not_retried_if_a_new_connection_closes() -> None:
    server = Leaving()
    async with served(server) as url, client(url, max_connections=1) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        server.first = b""
        for asked in (3, 4):
            failure = await failure_of(upstream)
            assert (failure.kind, failure.stage) == (Kind.CLOSED, Stage.HEADERS)
            assert server.asked == asked


async def test_a_request_is_not_retried_after_the_answer_began() -> None:
    server = Leaving(further=b"HTTP/1.1 2")
    async with served(server) as url, client(url) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        assert (await failure_of(upstream)).kind is Kind.CLOSED
    assert server.asked == 2


@pytest.mark.parametrize(
    "more", [OK, b"HTTP/1.1 100 Continue\r\n\r\n", b"rubbish"], ids=["answer", "interim", "bytes"]
)
async def test_unsolicited_bytes_are_not_taken_for_an_answer(more: bytes) -> None:
    idle = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b'{"id": "asked"}'))
        await idle.wait()
        writer.write(more)
        await reader.read()
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        idle.set()
        assert isinstance(upstream.transport, transport.Transport)
        [kept] = upstream.transport.pool._idle
        async with asyncio.timeout(60):
            while kept.reusable:  # noqa: ASYNC110 - nothing announces the bytes
                await asyncio.sleep(0)
        assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "asked"}


WITH_CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b'{"id": "x"}')
ANSWERED_WHOLE = {
    "length": OK,
    "length, newline at the end": http(b'{"id": "x"}\r\n\r\n'),
    "chunks": WITH_CHUNKS + b"0\r\n\r\n",
    "chunks and a trailer": WITH_CHUNKS + b"0\r\nserver-timing: x\r\n\r\n",
}
every_whole_answer = pytest.mark.parametrize("whole", ANSWERED_WHOLE.values(), ids=ANSWERED_WHOLE)


@every_whole_answer
@pytest.mark.parametrize("more", [OK, b"H", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n\r\n"])
async def test_bytes_after_an_answer_end_its_connection(whole: bytes, more: bytes) -> None:
    async with wire(whole + more, End.KEEP) as server, client(server.url) as upstream:
        for _ in range(2):
            assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x"}
        assert server.connections == 2


@every_whole_answer
async def test_an_answer_without_further_bytes_keeps_its_connection(whole: bytes) -> None:
    async with wire(whole, End.KEEP) as server, client(server.url) as upstream:
        for _ in range(2):
            assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x"}
        assert server.connections == 1


async def test_a_connection_that_the_upstream_closes_is_not_used_again() -> None:
    answer = http(b"{}", "connection: close")
    async with wire(answer, End.KEEP) as server, client(server.url) as upstream:
        for _ in range(2):
            await upstream.call(CHAT_COMPLETION, {}, CALL)
        assert server.connections == 2


async def test_connections_outlive_a_change_of_the_configuration() -> None:
    async with wire(OK, End.KEEP) as server, client(server.url) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        other = upstream.reconfigured(replace(upstream.config, timeouts=Timeouts(idle=9)))
        await other.call(CHAT_COMPLETION, {}, CALL)
        assert server.connections == 1
        assert other.latency_s


async def test_a_changed_limit_applies_to_all_new_connections(skip: Skipping) -> None:
    asked, answered, left = asyncio.Semaphore(0), asyncio.Event(), asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.release()
        await answered.wait()
        writer.write(OK)
        await reader.read()
        left.release()
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        asking = [asyncio.create_task(upstream.call(CHAT_COMPLETION, {}, CALL))]
        await asked.acquire()
        config = replace(upstream.config, max_connections=1, timeouts=Timeouts(connect=LIMIT_S))
        other = upstream.reconfigured(config)
        asking.append(asyncio.create_task(other.call(CHAT_COMPLETION, {}, CALL)))
        await asked.acquire()
        failing = asyncio.create_task(failure_of(other))
        await skip()
        assert (await failing).kind is Kind.OVERLOADED
        answered.set()
        assert await asyncio.gather(*asking) == [{"id": "x"}] * 2
        async with asyncio.timeout(60):
            await left.acquire()  # the first connection is not kept
        other.close()


async def test_nothing_follows_an_answer_that_may_be_cut() -> None:
    async with wire(http(b'{"id": '), End.KEEP) as server, client(server.url) as upstream:
        for _ in range(2):
            assert (await failure_of(upstream)).kind is Kind.MALFORMED
        assert server.connections == 2


async def test_bytes_that_arrived_before_a_connection_broke_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, lost = asyncio.Event(), asyncio.Event()
    lose = Connection.connection_lost

    def noticed(connection: Connection, error: Exception | None) -> None:
        lose(connection, error)
        lost.set()

    monkeypatch.setattr(Connection, "connection_lost", noticed)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        first, *rest = WHOLE
        writer.write(stream(first, ended=False))
        await begun.wait()
        writer.write(b"".join(chunk(f"data: {event}\n\n".encode()) for event in rest))
        writer.close()

    async with (
        served(serve) as url,
        client(url) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, CALL, ChoiceStream(choices=1)) as events,
    ):
        await anext(events)
        begun.set()
        await lost.wait()
        assert len([event async for event in events]) == len(WHOLE) - 1


async def test_an_upload_uses_a_new_connection() -> None:
    """It cannot be retried if the upstream closes the old one at that moment."""

    async def audio() -> AsyncGenerator[bytes, None]:
        yield b"RIFF"

    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        if b"chunked" in head:
            await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(OK)
        await reader.read()
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        form = Form([("model", "m")], File(audio(), "a.wav", "audio/wav"))
        await upstream.call(TRANSCRIPTION, form, CALL)
    assert connections == 2


ANSWERS = {
    "interim answers before it": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 2 + OK),
    "until the connection closes": b'HTTP/1.1 200 OK\r\n\r\n{"id": "x"}',
    "HTTP/1.0": b'HTTP/1.0 200 OK\r\n\r\n{"id": "x"}',
    "trailers": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunk(b'{"id": "x"}')
        + b"0\r\nserver-timing: x\r\n\r\n"
    ),
    "long headers": http(b'{"id": "x"}', f"metadata: {'x' * 64 * 1024}"),
    "many headers": http(b'{"id": "x"}', *(f"x-{i}: {i}" for i in range(500))),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_answers_of_unusual_shape(answer: bytes) -> None:
    async with wire(answer) as server, client(server.url) as upstream:
        assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x"}


FILLER = b"x-filler: 0123456789\r\n" * 20_000
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNPARSABLE = {
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + FILLER, Stage.HEADERS),
    "an endless trailer": (CHUNKED + chunk(b"{}") + b"0\r\nx: " + b"y" * 400_000, Stage.BODY),
    "an endless chunk extension": (CHUNKED + b"2;x=" + b"y" * 400_000, Stage.BODY),
    "two lengths": (http(b"{}", "content-length: 3"), Stage.HEADERS),
    "length and chunks": (http(b"{}", "transfer-encoding: chunked"), Stage.HEADERS),
    "HTTP/2": (b"\0\0\x12\4\0\0\0\0\0", Stage.HEADERS),
    "another protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        Stage.HEADERS,
    ),
}


@pytest.mark.parametrize(("answer", "stage"), UNPARSABLE.values(), ids=UNPARSABLE)
async def test_an_invalid_answer_closes_the_connection(answer: bytes, stage: Stage) -> None:
    async with wire(answer, End.HOLD) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
        assert (failure.kind, failure.stage) == (Kind.MALFORMED, stage)
        assert "malformed" in failure.message
        await server.wait_left()
        assert len(server.requests) == 1


async def test_an_answer_over_the_limit() -> None:
    answer = http(b'{"id": "%s"}' % (b"x" * 2000))
    async with (
        wire(answer, End.KEEP) as server,
        client(server.url, max_answer_bytes=1000) as upstream,
    ):
        failure = await failure_of(upstream)
        assert (failure.kind, failure.stage) == (Kind.MALFORMED, Stage.BODY)
        assert "over 1000 bytes" in failure.message


@pytest.mark.parametrize("given", [b"", b'{"error": {"message": "busy", "type": '])
async def test_a_refusal_counts_without_its_body(
    given: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_REASON_S", 0.05)
    answer = http(given, status="503 Service Unavailable", length=len(given) + 1)
    async with wire(answer, End.HOLD) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
        assert (failure.kind, failure.status) == (Kind.HTTP_ERROR, 503)
        await server.wait_left()


@pytest.mark.parametrize("value", ["a\r\nx-more: b", "a\nb", "a\rb", "a\0b", "é"])
async def test_headers_that_cannot_be_sent(value: str) -> None:
    async with wire(OK) as server, client(server.url) as upstream:
        request = upstream.request("GET", "/", {"x-a": value}, ByteStream(b""))
        with pytest.raises(UpstreamFailure) as raised:
            async with upstream.exchange(request, CALL, Limits(QUICK)):
                pass
        assert (raised.value.kind, raised.value.stage) == (Kind.MISCONFIGURED, Stage.REQUEST)
        assert server.requests == []


async def test_slots_are_returned_after_a_timeout(skip: Skipping) -> None:
    async with wire(end=End.HOLD) as server:
        limits = Timeouts(connect=60, first_byte=LIMIT_S)
        async with client(server.url, limits, max_connections=1) as upstream:
            for _ in range(3):
                failing = asyncio.create_task(failure_of(upstream))
                await server.wait_request()
                await skip()
                assert (await failing).kind is Kind.TIMEOUT


async def test_chunk_frames_in_separate_packets_do_not_accumulate() -> None:
    """The buffer stays small however long the stream is."""
    parser, body = ResponseParser(), b""
    parser.expect()
    parser.feed(memoryview(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"))
    for _ in range(40_000):
        for part in (b"5\r\n", b"event", b"\r\n"):
            parser.feed(memoryview(part))
        body = parser.take()
    assert body == b"event"


async def test_a_request_is_not_retried_if_a_kept_connection_closes_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The upstream may have worked on the request until then."""
    monkeypatch.setattr(transport, "_LEFT_S", 0.0)
    server = Leaving()
    async with served(server) as url, client(url) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        assert (await failure_of(upstream)).kind is Kind.CLOSED
    assert server.asked == 2


async def test_requests_for_stored_responses_use_new_connections() -> None:
    server = Leaving()
    async with served(server) as url, client(url) as upstream:
        for _ in range(3):
            assert await upstream.call(NATIVE_RESPONSE, {}, CALL) == {"id": "x"}
    assert server.asked == 3
