"""Unary exchanges over real sockets, and every way in which they can fail."""

import asyncio
import socket
from contextlib import suppress
from email.utils import formatdate
from time import time
from traceback import format_exception

import pytest
from httpx import ByteStream
from skipping import LIMIT_S, Skipping

from penstock_server.upstream.base_url import address_of
from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.config import Timeouts, UpstreamConfig
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http import pool
from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.limits import Limits
from penstock_server.upstream.operations import CHAT_COMPLETION

from .wire import QUICK, End, chunk, client, http, read_request, served, wire

pytestmark = pytest.mark.usefixtures("scheme")

CALL = Call("id-1")
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def failure_of(upstream: Upstream) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as raised:
        await upstream.call(CHAT_COMPLETION, {"messages": []}, CALL)
    assert raised.value.path == "/v1/chat/completions"
    assert raised.value.message
    assert upstream.outstanding == 0
    return raised.value


BROKEN = {
    "nothing": (b"", End.CLOSE, Kind.CLOSED, Stage.HEADERS),
    "reset": (b"", End.RESET, Kind.CLOSED, Stage.HEADERS),
    "half a status line": (b"HTTP/1.1 2", End.CLOSE, Kind.CLOSED, Stage.HEADERS),
    "half the headers": (
        b"HTTP/1.1 200 OK\r\nserver: x\r\n",
        End.CLOSE,
        Kind.CLOSED,
        Stage.HEADERS,
    ),
    "no HTTP": (b"220 mail.example ESMTP\r\n\r\n", End.CLOSE, Kind.MALFORMED, Stage.HEADERS),
    "half the body": (http(b'{"a"', length=9), End.CLOSE, Kind.CLOSED, Stage.BODY),
    "cut inside a chunk": (CHUNKED + chunk(b'{"a": 1}')[:6], End.CLOSE, Kind.CLOSED, Stage.BODY),
    "cut between chunks": (CHUNKED + chunk(b'{"a": 1}'), End.CLOSE, Kind.CLOSED, Stage.BODY),
    "no chunk size": (CHUNKED + b"zzz\r\n", End.HOLD, Kind.MALFORMED, Stage.BODY),
    "no gzip": (http(b"{}", "content-encoding: gzip"), End.KEEP, Kind.MALFORMED, Stage.BODY),
    "empty": (http(b""), End.KEEP, Kind.MALFORMED, Stage.BODY),
    "HTML": (http(b"<html>", "content-type: text/html"), End.KEEP, Kind.MALFORMED, Stage.BODY),
    "half JSON": (http(b'{"choices": ['), End.KEEP, Kind.MALFORMED, Stage.BODY),
    "a list": (http(b"[]"), End.KEEP, Kind.MALFORMED, Stage.BODY),
}


@pytest.mark.parametrize(("answer", "end", "kind", "stage"), BROKEN.values(), ids=BROKEN)
async def test_broken_answers(answer: bytes, end: End, kind: Kind, stage: Stage) -> None:
    async with wire(answer, end) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
    assert (failure.kind, failure.stage) == (kind, stage)
    assert failure.upstream == address_of(server.url)
    assert "mail.example" not in failure.message
    assert "<html>" not in failure.message


async def test_refused() -> None:
    async with wire() as server:
        url = server.url
    async with client(url) as upstream:
        failure = await failure_of(upstream)
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)


@pytest.mark.parametrize("host", ["penstock.invalid", "vllm..svc", f"{'a' * 70}.example"])
async def test_unknown_host(host: str) -> None:
    upstream = Upstream(UpstreamConfig(f"http://{host}"))
    failure = await failure_of(upstream)
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)


async def test_no_connection_in_time() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # the kernel's queue is full now; more are not answered
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with client(url, Timeouts(connect=0.2)) as upstream:
            failure = await failure_of(upstream)
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)
    assert "in time" in failure.message


@pytest.mark.parametrize("answer", [b"", http(b'{"half":', length=20)], ids=["headers", "body"])
async def test_silence(answer: bytes, skip: Skipping) -> None:
    async with (
        wire(answer, End.HOLD) as server,
        client(server.url, Timeouts(first_byte=LIMIT_S)) as upstream,
    ):
        failing = asyncio.create_task(failure_of(upstream))
        await server.wait_request()
        await skip()
        assert (await failing).kind is Kind.TIMEOUT
        await server.wait_left()


async def test_all_connections_in_use(skip: Skipping) -> None:
    async with (
        wire(end=End.HOLD) as server,
        client(server.url, Timeouts(connect=LIMIT_S), max_connections=1) as upstream,
    ):
        waiting = asyncio.create_task(upstream.call(CHAT_COMPLETION, {}, CALL))
        await server.wait_request()
        failing = asyncio.create_task(upstream.call(CHAT_COMPLETION, {}, CALL))
        await skip()
        with pytest.raises(UpstreamFailure) as raised:
            await failing
        assert raised.value.kind is Kind.OVERLOADED
        waiting.cancel()


async def test_a_busy_upstream_is_healthy() -> None:
    async with (
        wire(http(b""), End.HOLD) as server,
        client(server.url, Timeouts(connect=60), max_connections=1) as upstream,
        upstream.exchange(upstream.request("GET", "/", {}, ByteStream(b"")), CALL, Limits(QUICK)),
    ):
        await upstream.require_health(CALL, timeout_s=60)


async def test_the_caller_leaves() -> None:
    async with wire(end=End.HOLD) as server, client(server.url) as upstream:
        waiting = asyncio.create_task(upstream.call(CHAT_COMPLETION, {}, CALL))
        await server.wait_request()
        waiting.cancel()
        await server.wait_left()
        assert upstream.outstanding == 0


async def test_an_endless_error_is_abandoned() -> None:
    answer = http(b"x" * 2_000_000, status="500 No", length=9_000_000)
    async with wire(answer, End.HOLD) as server, client(server.url) as upstream:
        assert (await failure_of(upstream)).status == 500
        await server.wait_left()


async def test_redirects_are_not_followed() -> None:
    async with wire() as other:
        answer = http(b"", f"location: {other.url}", status="307 Temporary Redirect")
        async with wire(answer, End.KEEP) as server, client(server.url) as upstream:
            failure = await failure_of(upstream)
        assert (failure.kind, failure.status) == (Kind.HTTP_ERROR, 307)
        assert other.connections == 0


TYPES = ["application/json", "text/plain", "application/problem+json", "text/html", "x", ""]


@pytest.mark.parametrize("kind", TYPES)
async def test_json_is_read_with_any_content_type(kind: str) -> None:
    answer = http(b'{"id": "x"}', *([f"content-type: {kind}"] if kind else []))
    async with wire(answer) as server, client(server.url) as upstream:
        assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x"}


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("text/html; charset=utf-8", "text/html"),
        ("text/event-stream", "text/event-stream"),
        ("", "no content type"),
        ("<script>", "an unreadable content type"),
    ],
)
async def test_an_answer_without_json_is_named_by_its_type(kind: str, named: str) -> None:
    answer = http(b"<html>", *([f"content-type: {kind}"] if kind else []))
    async with wire(answer) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
    assert failure.message == f"malformed upstream answer: invalid JSON at offset 0 ({named})"


RETRY_AFTER = {
    "seconds": ("7", 7.0),
    "zero": ("0", 0.0),
    "a date long past": ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    "a number too large": ("9" * 400, 86400.0),
    "a year too large": ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    "words": ("soon", None),
    "empty": ("", None),
    "negative": ("-3", None),
    "a fraction": ("1.5", 1.5),
    "a fraction of one": (".25", 0.25),
    "a date without a zone, long past": ("Wed Oct 21 07:28:00 2015", 0.0),
    "with a unit": ("7s", None),
    "hexadecimal": ("0x10", None),
    "with an exponent": ("1e3", None),
    "not a number": ("nan", None),
    "infinite": ("inf", None),
    "digits of another script": ("٣", None),
    "a blank after it": ("2 \t", 2.0),
    "milliseconds": ("9\r\nretry-after-ms: 700", 0.7),
    "milliseconds alone": ("\r\nRetry-After-Ms: 12.5", 0.0125),
    "too many milliseconds": ("\r\nretry-after-ms: " + "9" * 400, 86400.0),
    "invalid milliseconds": ("9\r\nretry-after-ms: soon", 9.0),
    "negative milliseconds": ("9\r\nretry-after-ms: -700", 9.0),
}


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
async def test_retry_after(value: str, seconds: float | None) -> None:
    answer = http(b"", f"retry-after: {value}", status="503 Service Unavailable")
    async with wire(answer) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
    assert failure.status == 503
    assert failure.retry_after_s == seconds


@pytest.mark.parametrize("zone", [" GMT", ""])
async def test_retry_after_a_date(zone: str) -> None:
    date = formatdate(time() + 3600, usegmt=True).replace(" GMT", zone)
    answer = http(b"", f"retry-after: {date}", status="503 No")
    async with wire(answer) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
    assert failure.retry_after_s == pytest.approx(3600, abs=30)


UNREADABLE = {
    "lone surrogate": b'{"error": {"message": "no \\ud83d", "code": 404}}',
    "no UTF-8": b'{"error": {"message": "no \xff", "code": 404}}',
    "NaN": b'{"error": {"message": "no", "code": 404, "x": NaN}}',
    "byte order mark": b'\xef\xbb\xbf{"error": {"message": "no", "code": 404}}',
    "cut": b'{"error": {"message": "no',
    "too long": b'{"error": {"message": "' + b"x" * 2_000_000 + b'"}}',
    "flat": b'{"message": "no", "code": 404}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_unreadable_404_does_not_mean_that_the_route_is_missing(
    body: bytes,
) -> None:
    async with wire(http(body, status="404 No")) as server, client(server.url) as upstream:
        failure = await failure_of(upstream)
    assert (failure.kind, failure.status) == (Kind.HTTP_ERROR, 404)
    assert not failure.route_missing
    assert failure.message.encode()


async def test_an_echoed_key_is_hidden() -> None:
    body = b'{"error": {"message": "bad key sk-123", "type": "sk-123", "code": "sk-123"}}'
    answer = http(body, status="400 Bad Request")
    async with wire(answer) as server, client(server.url, api_key="sk-123") as upstream:
        failure = await failure_of(upstream)
    assert b"authorization: bearer sk-123" in server.requests[0].lower()
    assert failure.message == "bad key (hidden)"
    assert "sk-123" not in repr(failure)
    assert "sk-123" not in "".join(format_exception(failure))


async def test_the_request_on_the_wire() -> None:
    async with wire(http(b'{"id": "x"}')) as server, client(f"{server.url}/prefix") as upstream:
        await upstream.call(CHAT_COMPLETION, {"a": 1.5, "b": None}, Call("id-1", priority=2))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.lower().decode().split("\r\n")
    assert first == "post /prefix/v1/chat/completions http/1.1"
    assert {"x-vllm-priority: 2", "accept-encoding: identity"} <= set(headers)
    assert "content-type: application/json" in headers
    assert any(line.startswith("x-request-id: id-1-") for line in headers)
    assert not any(line.startswith(("authorization", "traceparent")) for line in headers)
    assert body == b'{"a":1.5,"b":null}'


async def test_connections_are_reused() -> None:
    async with wire(http(b"{}"), End.KEEP) as server, client(server.url) as upstream:
        for _ in range(3):
            await upstream.call(CHAT_COMPLETION, {}, CALL)
        assert (len(server.requests), server.connections) == (3, 1)


async def test_a_large_answer_wakes_its_reader_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = 0
    arrival = Connection._arrival

    def counted(connection: Connection) -> asyncio.Future[None]:
        nonlocal waits
        waits += 1
        return arrival(connection)

    monkeypatch.setattr(Connection, "_arrival", counted)
    body = b'{"id": "%b"}' % (b"x" * 4_000_000)
    async with wire(http(body), End.KEEP) as server, client(server.url) as upstream:
        for calls in (1, 2):
            assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x" * 4_000_000}
            assert waits <= 2 * calls  # for the head and for the body
        assert server.connections == 1


async def test_an_endless_answer_is_read_up_to_the_limit() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED)
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(chunk(b" " * 100_000))
                await writer.drain()
        writer.close()

    async with served(serve) as url, client(url, max_answer_bytes=1_000_000) as upstream:
        failure = await failure_of(upstream)
    assert (failure.kind, failure.stage) == (Kind.MALFORMED, Stage.BODY)
    assert "over 1000000 bytes" in failure.message


async def test_idle_connections_are_closed_before_the_upstream_does(skip: Skipping) -> None:
    assert pool._KEEPALIVE_EXPIRY_S < 5  # what vLLM's server waits for another request
    async with wire(http(b"{}"), End.KEEP) as server, client(server.url) as upstream:
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        skip.jump(5)
        await upstream.call(CHAT_COMPLETION, {}, CALL)
        assert server.connections == 2


async def test_a_failed_connection_is_not_reused(skip: Skipping) -> None:
    async with wire(http(b'{"a"', length=9), End.HOLD) as server:
        async with client(server.url, Timeouts(first_byte=LIMIT_S)) as upstream:
            for _ in range(2):
                failing = asyncio.create_task(failure_of(upstream))
                await server.wait_request()
                await skip()
                await failing
        assert server.connections == 2
