"""Streams over real sockets: complete, or a failure that describes how they ended."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from skipping import LIMIT_S, Skipping

from penstock_server.upstream import limits
from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.operations import CHAT_COMPLETION

from .wire import QUICK, End, chunk, client, http, served, stream, wire

pytestmark = pytest.mark.usefixtures("scheme")

DELTA = '{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}'
FINISH = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
GIVEN_UP = '{"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]}'
USAGE = '{"choices":[],"usage":{"total_tokens":3}}'
DONE = "[DONE]"
WHOLE = (DELTA, FINISH, USAGE)
UNDELIMITED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ERROR = '{"error":{"message":"no","type":"NotFoundError","code":404}}'


@asynccontextmanager
async def opened(upstream: Upstream) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with upstream.stream(
        CHAT_COMPLETION, {}, Call("id-1"), ChoiceStream(choices=1)
    ) as events:
        yield events


async def read_all(upstream: Upstream, seen: asyncio.Event) -> None:
    async with opened(upstream) as events:
        async for _ in events:
            seen.set()


async def read(
    answer: bytes,
    end: End = End.CLOSE,
    timeouts: Timeouts = QUICK,
    came: asyncio.Semaphore | None = None,
) -> tuple[int, UpstreamFailure | None]:
    """Returns the number of events, each of which releases `came`, and the failure, if any."""
    count = 0
    came = came or asyncio.Semaphore(0)
    async with wire(answer, end) as server, client(server.url, timeouts) as upstream:
        failed = None
        try:
            async with opened(upstream) as events:
                async for _ in events:
                    count += 1
                    came.release()
        except UpstreamFailure as failure:
            failed = failure
        assert upstream.outstanding == 0
        if failed:
            assert failed.path == "/v1/chat/completions"
            assert failed.upstream in server.url
    return count, failed


COMPLETE = {
    "as vLLM": (stream(*WHOLE, DONE), End.KEEP),
    "without DONE": (stream(*WHOLE), End.KEEP),
    "closed after the last event": (stream(*WHOLE, ended=False), End.CLOSE),
    "silent after the last event": (stream(*WHOLE, ended=False), End.HOLD),
    "silent after DONE": (stream(*WHOLE, DONE, ended=False), End.HOLD),
    "events after DONE": (stream(*WHOLE, DONE, DELTA, "{"), End.KEEP),
    "no type": (stream(*WHOLE, head="server: x"), End.KEEP),
    "no type, after a comment": (
        stream(ended=False).replace(b"content-type", b"x")
        + chunk(b" \n")
        + chunk(b": hi\n\n")
        + stream(*WHOLE, DONE).partition(b"\r\n\r\n")[2],
        End.KEEP,
    ),
    "type in capitals": (
        stream(*WHOLE, DONE, head="content-type: Text/Event-Stream ; charset=UTF-8"),
        End.KEEP,
    ),
}


@pytest.mark.parametrize(("answer", "end"), COMPLETE.values(), ids=COMPLETE)
async def test_complete(answer: bytes, end: End, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_END_S", 0.1)
    assert await read(answer, end) == (3, None)


@pytest.mark.parametrize("size", [1, 7])
async def test_bytes_split_anywhere(size: int) -> None:
    data = "".join(f": x\r\ndata: {event}\r\n\r\n" for event in (*WHOLE, DONE)).encode()
    cuts = b"".join(chunk(data[i : i + size]) for i in range(0, len(data), size))
    assert await read(stream(ended=False) + cuts + b"0\r\n\r\n") == (3, None)


# answer, end, events received, kind, stage
BROKEN = {
    "no answer": (b"", End.CLOSE, 0, Kind.CLOSED, Stage.HEADERS),
    "cut before the first event": (stream(ended=False), End.CLOSE, 0, Kind.CLOSED, Stage.STREAM),
    "no events": (stream(), End.KEEP, 0, Kind.CLOSED, Stage.STREAM),
    "only comments": (
        stream(ended=False) + chunk(b": x\n\n") + b"0\r\n\r\n",
        End.KEEP,
        0,
        Kind.CLOSED,
        Stage.STREAM,
    ),
    "cut between events": (
        stream(DELTA, ended=False),
        End.CLOSE,
        1,
        Kind.INTERRUPTED,
        Stage.STREAM,
    ),
    "cut inside a chunk": (
        stream(DELTA, FINISH, ended=False)[:-9],
        End.CLOSE,
        1,
        Kind.INTERRUPTED,
        Stage.STREAM,
    ),
    "cut inside the last event": (
        stream(*WHOLE, ended=False)[:-9],
        End.CLOSE,
        2,
        Kind.INTERRUPTED,
        Stage.STREAM,
    ),
    "ended without finish": (stream(DELTA), End.KEEP, 1, Kind.INTERRUPTED, Stage.STREAM),
    "ended without usage": (stream(DELTA, FINISH), End.KEEP, 2, Kind.INTERRUPTED, Stage.STREAM),
    "given up": (stream(DELTA, GIVEN_UP, USAGE, DONE), End.KEEP, 2, Kind.ABORTED, Stage.STREAM),
    "DONE only": (stream(DONE), End.KEEP, 0, Kind.MALFORMED, Stage.STREAM),
    "DONE without finish": (stream(DELTA, USAGE, DONE), End.KEEP, 2, Kind.MALFORMED, Stage.STREAM),
    "DONE without usage": (stream(DELTA, FINISH, DONE), End.KEEP, 2, Kind.MALFORMED, Stage.STREAM),
    "text after the finish": (
        stream(*WHOLE, DELTA, USAGE, DONE),
        End.KEEP,
        3,
        Kind.MALFORMED,
        Stage.STREAM,
    ),
    "cut before the end of the last line": (
        stream(DELTA, FINISH, ended=False) + chunk(f"data: {USAGE}".encode()),
        End.CLOSE,
        2,
        Kind.INTERRUPTED,
        Stage.STREAM,
    ),
    "the connection closes after half an event": (
        UNDELIMITED + f"data: {DELTA}\n\ndata: {FINISH}\n\ndata: {USAGE}\n".encode(),
        End.CLOSE,
        2,
        Kind.INTERRUPTED,
        Stage.STREAM,
    ),
    "an event that lacks more than its end": (
        stream(DELTA, FINISH, ended=False) + chunk(f"data: {USAGE[:-1]}".encode()) + b"0\r\n\r\n",
        End.KEEP,
        2,
        Kind.INTERRUPTED,
        Stage.STREAM,
    ),
    "no JSON": (stream(DELTA, "{"), End.KEEP, 1, Kind.MALFORMED, Stage.STREAM),
    "no object": (stream(DELTA, "[1]"), End.KEEP, 1, Kind.MALFORMED, Stage.STREAM),
    "choices not a list": (stream('{"choices":7}'), End.KEEP, 0, Kind.MALFORMED, Stage.STREAM),
    "choices of text": (stream('{"choices":["a"]}'), End.KEEP, 0, Kind.MALFORMED, Stage.STREAM),
    "index a list": (
        stream('{"choices":[{"index":[1]}]}'),
        End.KEEP,
        0,
        Kind.MALFORMED,
        Stage.STREAM,
    ),
    "plain text": (
        stream(*WHOLE, head="content-type: text/plain"),
        End.KEEP,
        0,
        Kind.MALFORMED,
        Stage.BODY,
    ),
    "JSON of no type": (http(b'{"choices": []}'), End.KEEP, 0, Kind.MALFORMED, Stage.BODY),
    "HTML": (http(b"<html>", "content-type: text/html"), End.KEEP, 0, Kind.MALFORMED, Stage.BODY),
    "empty": (http(b"", "content-type: application/json"), End.KEEP, 0, Kind.MALFORMED, Stage.BODY),
    "a unary answer": (
        http(b'{"choices": []}', "content-type: application/json"),
        End.KEEP,
        0,
        Kind.MALFORMED,
        Stage.BODY,
    ),
    "no gzip": (
        http(b"data: {}", "content-type: text/event-stream", "content-encoding: gzip"),
        End.KEEP,
        0,
        Kind.MALFORMED,
        Stage.STREAM,
    ),
}


@pytest.mark.parametrize(("answer", "end", "events", "kind", "stage"), BROKEN.values(), ids=BROKEN)
async def test_broken(answer: bytes, end: End, events: int, kind: Kind, stage: Stage) -> None:
    count, failure = await read(answer, end)
    assert failure is not None
    assert (failure.kind, failure.stage) == (kind, stage)
    assert count == events


UNEXPECTED = {
    "text/html": http(b"<html>", "content-type: text/html; charset=utf-8"),
    "text/plain": stream(*WHOLE, head="content-type: text/plain"),
    "application/json": http(b'{"choices": []}', "content-type: application/json"),
    "no content type": http(b'{"choices": []}'),
    "an unreadable content type": http(b"<html>", "content-type: <script>"),
}


@pytest.mark.parametrize(("named", "answer"), UNEXPECTED.items())
async def test_another_content_type_is_named(named: str, answer: bytes) -> None:
    _, failure = await read(answer, End.KEEP)
    assert failure
    assert failure.message == (f"malformed upstream answer: {named} instead of an event stream")


async def test_a_reset_after_the_first_event() -> None:
    seen = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stream(DELTA, ended=False))
        await seen.wait()
        linger_zero = struct.pack("ii", 1, 0)
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        writer.transport.abort()

    async with served(serve) as url, client(url) as upstream:
        with pytest.raises(UpstreamFailure) as raised:
            await read_all(upstream, seen)
    assert raised.value.kind is Kind.INTERRUPTED


# answer, status, events before it
STATED = {
    "status": (http(b"{}", status="503 Service Unavailable"), 503, 0),
    "JSON error in a 200": (
        http(ERROR.encode(), "content-type: application/json"),
        404,
        0,
    ),
    "first event": (stream(ERROR, DONE), 404, 0),
    "later event": (stream(DELTA, ERROR, DONE), 404, 1),
    "after the finish": (stream(DELTA, FINISH, ERROR), 404, 2),
    "a string": (stream('{"error":"went wrong"}'), 500, 0),
    "flat": (stream('{"object":"error","message":"no","code":400}'), 400, 0),
}


@pytest.mark.parametrize(("answer", "status", "events"), STATED.values(), ids=STATED)
async def test_errors_that_the_upstream_reports(answer: bytes, status: int, events: int) -> None:
    count, failure = await read(answer, End.KEEP)
    assert failure is not None
    assert (failure.kind, failure.status) == (Kind.HTTP_ERROR, status)
    assert count == events


SILENT = {
    "no headers": (b"", Kind.TIMEOUT, 0),
    "no first event": (stream(ended=False), Kind.TIMEOUT, 0),
    "no second event": (stream(DELTA, ended=False), Kind.INTERRUPTED, 1),
    "no usage": (stream(DELTA, FINISH, ended=False), Kind.INTERRUPTED, 2),
}


@pytest.mark.parametrize(("answer", "kind", "events"), SILENT.values(), ids=SILENT)
async def test_silence(answer: bytes, kind: Kind, events: int, skip: Skipping) -> None:
    limits, came = Timeouts(first_byte=LIMIT_S, idle=LIMIT_S), asyncio.Semaphore(0)
    reading = asyncio.create_task(read(answer, End.HOLD, limits, came))
    for _ in range(events):
        await came.acquire()
    await skip()
    count, failure = await reading
    assert failure is not None
    assert (failure.kind, count) == (kind, events)


@pytest.mark.parametrize("sign", [b": ping\n\n", b'data: {"choices": []}\n\n'])
async def test_keep_alive_events_do_not_extend_a_timeout(sign: bytes, skip: Skipping) -> None:
    signs = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal signs
        writer.write(stream(DELTA, ended=False))
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(chunk(sign))
                await writer.drain()
                signs += 1
                await asyncio.sleep(0.01)
        writer.close()

    async with served(serve) as url, client(url, Timeouts(idle=LIMIT_S)) as upstream:
        seen = asyncio.Event()
        reading = asyncio.create_task(read_all(upstream, seen))
        await seen.wait()
        while signs < 5:  # noqa: ASYNC110  nothing announces them
            await asyncio.sleep(0)
        await skip()
        with pytest.raises(UpstreamFailure) as raised:
            await reading
    assert raised.value.kind is Kind.INTERRUPTED


async def test_leaving_closes_the_connection() -> None:
    answer = stream(DELTA, ended=False)
    async with wire(answer, End.HOLD) as server, client(server.url) as upstream:
        async with opened(upstream) as events:
            await anext(events)
        await server.wait_left()
        assert upstream.outstanding == 0


async def test_a_complete_stream_keeps_its_connection() -> None:
    async with wire(stream(*WHOLE, DONE), End.KEEP) as server, client(server.url) as upstream:
        for _ in range(3):
            async with opened(upstream) as events:
                assert [event async for event in events]
        assert server.connections == 1


async def test_the_request_accepts_events() -> None:
    async with (
        wire(stream(*WHOLE)) as server,
        client(server.url) as upstream,
        opened(upstream) as events,
    ):
        assert [event async for event in events]
    assert b"accept: text/event-stream\r\n" in server.requests[0].lower()


NOTHING = [
    "data:",
    "data: ",
    "data: null",
    'data: ""',
    "data: {}",
    "data: { }",
    "data: []",
    "data:\ndata:",
    "event: ping",
    "id: 7",
    "retry: 5",
    ": comment",
    "",
    "data",
    "x",
]


def written(*events: str, before: str = "", newline: str = "\n", tail: str = "") -> bytes:
    """Returns a body of events, with the same text before each."""
    text = "".join(f"{before}data: {event}\n\n" for event in events)
    return (text + tail).replace("\n", newline).encode()


@pytest.mark.parametrize("nothing", [*NOTHING, "\n\n".join(NOTHING)])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
async def test_events_that_carry_nothing(nothing: str, newline: str) -> None:
    body = written(*WHOLE, DONE, before=f"{nothing}\n\n", newline=newline)
    assert await read(http(body, "content-type: text/event-stream")) == (3, None)


ENDS = {
    "a blank after DONE": written(*WHOLE, f"{DONE} \t"),
    "blanks before DONE": written(*WHOLE, f"   {DONE}"),
    "DONE twice": written(*WHOLE, DONE, DONE),
    "no blank line": written(*WHOLE)[:-1],
    "no line end": written(*WHOLE)[:-2],
    "DONE without a blank line": written(*WHOLE, DONE)[:-1],
    "DONE in the next line": written(*WHOLE)[:-1] + written(DONE),
    "DONE in the next line without a blank line": written(*WHOLE)[:-1] + written(DONE)[:-1],
    "no blank line anywhere": written(*WHOLE, DONE).replace(b"\n\n", b"\n"),
    "half an event after it": written(*WHOLE, tail='data: {"choices'),
    "usage again": written(*WHOLE, "{}", "null"),
    "an empty delta": written(*WHOLE, '{"choices":[{"index":0,"delta":{}}]}', DONE),
    "a second finish": written(DELTA, FINISH, '{"choices":[null]}', USAGE, FINISH, DONE),
    "an error": written(*WHOLE, ERROR, DONE),
    "garbage": written(*WHOLE, "{", "[1]", "ping", '{"choices":7}', '{"choices":["a"]}', DONE),
    "an endless event": written(*WHOLE) + b"data: " + b"x" * 40_000_000,
    "a byte order mark": b"\xef\xbb\xbf" + written(*WHOLE, DONE),
}


@pytest.mark.parametrize("body", ENDS.values(), ids=ENDS)
async def test_ends_in_unusual_forms(body: bytes) -> None:
    assert await read(http(body, "content-type: text/event-stream")) == (3, None)


async def test_new_keys_after_usage_are_passed_on() -> None:
    assert await read(stream(*WHOLE, '{"choices":[],"x-cost":"0.1"}', DONE)) == (4, None)


async def test_events_after_a_complete_stream_do_not_keep_it_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_END_S", 0.1)
    answer = stream(*WHOLE, ended=False)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(chunk(f"data: {USAGE}\n\n".encode()))
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        await read_all(upstream, asyncio.Event())
