"""Compressed answers: valid forms are read completely and within bounds, others are refused."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.http.content_coding import Inflated
from penstock_server.upstream.operations import CHAT_COMPLETION

from .test_stream import DONE, WHOLE, opened, read
from .wire import End, chunk, client, http, wire

JSON = b'{"id": "x", "text": "' + bytes(range(65, 91)) * 40 + b'"}'
EVENTS = [f"data: {event}\n\n".encode() for event in (*WHOLE, DONE)]
OFTEN = 200_000


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


CODINGS = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "in capitals": ("GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "none": ("", bytes),
    "identity": ("identity", bytes),
    "gzip of identity": ("identity, gzip", gzip.compress),
    "identity in a separate line": ("gzip\r\ncontent-encoding: identity", gzip.compress),
    "gzip after padding": ("gzip", lambda data: bytes(5) + gzip.compress(data)),
    "gzip with padding": ("gzip", lambda data: gzip.compress(data) + bytes(5)),
}
every_coding = pytest.mark.parametrize(("name", "encode"), CODINGS.values(), ids=CODINGS)


def chunked(body: bytes, size: int, *headers: str, ended: bool = True) -> bytes:
    head = "\r\n".join(("HTTP/1.1 200 OK", "transfer-encoding: chunked", *headers))
    parts = b"".join(chunk(body[at : at + size]) for at in range(0, len(body), size))
    return f"{head}\r\n\r\n".encode() + parts + (b"0\r\n\r\n" if ended else b"")


async def unary(answer: bytes, **settings: Any) -> object:
    async with wire(answer, End.KEEP) as server, client(server.url, **settings) as upstream:
        return await upstream.call(CHAT_COMPLETION, {}, Call("id-1"))


async def refused(answer: bytes, **settings: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as raised:
        await unary(answer, **settings)
    return raised.value


@every_coding
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
async def test_a_whole_answer(name: str, encode: type[bytes], size: int) -> None:
    answer = chunked(encode(JSON), size, f"content-encoding: {name}")
    assert await unary(answer) == {"id": "x", "text": (bytes(range(65, 91)) * 40).decode()}


BEHIND = {
    "bytes": b"more",
    "zeros": bytes(3),
    "bytes after zeros": bytes(3) + b"more",
    "a beginning after bytes": b"more\x1f\x8b",
    "a member after bytes": b"more" + gzip.compress(b"{}"),
}


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("more", BEHIND.values(), ids=BEHIND)
async def test_bytes_after_the_last_member_are_ignored(size: int, more: bytes) -> None:
    body = gzip.compress(JSON) + more
    assert await unary(chunked(body, size, "content-encoding: gzip"))
    assert b"".join([block async for block in pieces_of(body, size)]) == JSON


@every_coding
@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("apart", [True, False], ids=["members", "one"])
async def test_a_stream(name: str, encode: type[bytes], size: int, apart: bool) -> None:
    """Each event may be a separate member, and members are cut anywhere."""
    body = b"".join(map(encode, EVENTS)) if apart else encode(b"".join(EVENTS))
    kind = "content-type: text/event-stream"
    assert await read(chunked(body, size, kind, f"content-encoding: {name}")) == (3, None)


async def test_an_error() -> None:
    body = gzip.compress(b'{"error": {"message": "no such model", "code": 404}}')
    failure = await refused(http(body, "content-encoding: gzip", status="404 Not Found"))
    assert (failure.status, failure.message) == (404, "no such model")
    assert not failure.route_missing


REFUSED = {
    "unknown": ("br", b"{}", "its content coding is br, which was not requested"),
    "unknown and long": ("x" * 500, b"{}", "its content coding is " + "x" * 40 + ","),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), "more than once: gzip, gzip"),
    "twice in two lines": (
        "gzip\r\ncontent-encoding: deflate",
        zlib.compress(gzip.compress(b"{}")),
        "more than once: gzip, deflate",
    ),
    "not encoded": ("gzip", b'{"id": "x"}', "not valid gzip"),
    "not deflated": ("deflate", b'{"id": "x"}', "not valid deflate"),
    "spoiled": ("gzip", gzip.compress(JSON)[:-8] + bytes(8), "not valid gzip"),
    "a faulty second member": ("gzip", gzip.compress(JSON) + b"\x1f{}", "not valid gzip"),
}


@pytest.mark.parametrize(("name", "body", "what"), REFUSED.values(), ids=REFUSED)
async def test_an_unsupported_coding_is_named(name: str, body: bytes, what: str) -> None:
    encoding = f"content-encoding: {name}"
    failure = await refused(http(body, encoding))
    assert failure.kind is Kind.MALFORMED
    assert what in failure.message
    _, broken = await read(http(body, "content-type: text/event-stream", encoding), End.KEEP)
    assert broken
    assert broken.kind is Kind.MALFORMED
    assert what in broken.message


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress, raw_deflate])
async def test_encoded_content_that_ends_early_is_cut(encode: type[bytes]) -> None:
    name = "gzip" if encode is gzip.compress else "deflate"
    body = encode(JSON)
    for size in (len(body) - 1, len(body) // 2, 1):
        failure = await refused(http(body[:size], f"content-encoding: {name}"))
        assert failure.kind is Kind.CLOSED
    body = encode(b"".join(EVENTS[:2]))
    answer = http(body[:-1], "content-type: text/event-stream", f"content-encoding: {name}")
    _, broken = await read(answer)
    assert broken
    assert broken.kind is Kind.INTERRUPTED


async def test_a_compressed_answer_over_the_limit() -> None:
    body = gzip.compress(b" " * 50_000_000)
    failure = await refused(http(body, "content-encoding: gzip"), max_answer_bytes=1_000_000)
    assert failure.kind is Kind.MALFORMED
    assert "over 1000000 bytes" in failure.message


async def pieces_of(body: bytes, size: int) -> AsyncIterator[bytes]:
    """Yields the blocks of a body that is already complete."""
    parts = iter([body[at : at + size] for at in range(0, len(body), size)])

    async def part() -> bytes:
        return next(parts, b"")

    inflated = Inflated("gzip", part)
    while block := await inflated.block():
        yield block


async def test_large_content_is_decompressed_in_pieces_while_other_tasks_run() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    sizes = [len(block) async for block in pieces_of(gzip.compress(bytes(64 * OFTEN)), OFTEN)]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert sum(sizes) == 64 * OFTEN
    assert max(sizes) <= 64 * 1024
    assert turns >= len(sizes) - 1


async def test_a_compressed_stream_keeps_its_connection() -> None:
    body = gzip.compress(b"".join(EVENTS))
    answer = chunked(body, 50, "content-type: text/event-stream", "content-encoding: gzip")
    async with wire(answer, End.KEEP) as server, client(server.url) as upstream:
        for _ in range(3):
            assert await count(upstream) == 3
        assert server.connections == 1


async def count(upstream: Upstream) -> int:
    async with opened(upstream) as events:
        return len([event async for event in events])
