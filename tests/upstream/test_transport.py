"""Our transport as an httpx transport that a plain client can use."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from rpc.calls import until

from penstock_server.upstream.http.messages import LazyRequest, LazyResponse
from penstock_server.upstream.http.transport import Transport

from .wire import End, http, served, stream, wire

DONE = http(b'{"id": "x"}', "Content-Type: application/json", "X-Two: a", "X-Two: b")


@contextlib.asynccontextmanager
async def plain(
    url: str, limits: httpx.Timeout | None = None, connections: int = 2
) -> AsyncIterator[httpx.AsyncClient]:
    transport = Transport(httpx.URL(url), max_connections=connections)
    async with httpx.AsyncClient(transport=transport, base_url=url, timeout=limits) as opened:
        yield opened
    assert transport.pool.in_use == 0


async def test_get() -> None:
    async with wire(DONE, End.KEEP) as server, plain(server.url) as client:
        for _ in range(2):
            response = await client.get("/v1/models", params={"a": "b c"}, headers={"x-a": "1"})
            assert (response.status_code, response.json()) == (200, {"id": "x"})
            assert response.headers["content-type"] == "application/json"
            assert response.headers.get_list("x-two") == ["a", "b"]
        assert server.connections == 1
        head = server.requests[0].lower()
        assert head.startswith(b"get /v1/models?a=b+c http/1.1\r\n")
        assert b"\r\nx-a: 1\r\n" in head
        assert head.count(b"\r\nhost: ") == 1


async def test_post() -> None:
    async with wire(DONE, End.KEEP) as server, plain(server.url) as client:
        assert (await client.post("/", json={"a": 1})).json() == {"id": "x"}
        assert server.requests[0].endswith(b'\r\n\r\n{"a":1}')


def _chunks() -> AsyncIterator[bytes]:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"", b"two"):
            yield part

    return parts()


SENT: dict[str, tuple[Callable[[httpx.AsyncClient], httpx.Request], bytes]] = {
    "chunked": (
        lambda client: client.build_request("POST", "/", content=_chunks()),
        b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
    ),
    "multipart": (
        lambda client: client.build_request("POST", "/", files={"a": b""}),
        b"--\r\n",
    ),
    "with a length": (
        lambda client: client.build_request(
            "POST", "/", content=_chunks(), headers={"content-length": "6"}
        ),
        b"\r\n\r\nonetwo",
    ),
}


@pytest.mark.parametrize("form", SENT)
async def test_content_is_sent_as_it_arrives(form: str) -> None:
    build, end = SENT[form]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = await reader.readuntil(end)
        assert sent.endswith(end)
        writer.write(DONE)
        await reader.read()
        writer.close()

    async with served(serve) as url, plain(url) as client:
        response = await client.send(build(client))
        assert response.json() == {"id": "x"}


async def test_an_upload_is_refused_before_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024
            await asyncio.sleep(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"too much", status="413 Too Large"))
        await reader.read()
        writer.close()

    async with served(serve) as url, plain(url) as client:
        response = await client.post("/", content=endless())
        assert (response.status_code, response.text) == (413, "too much")


async def test_stream() -> None:
    answer = stream('{"a": 1}', '{"a": 2}')
    async with wire(answer, End.KEEP) as server, plain(server.url) as client:
        async with client.stream("GET", "/") as response:
            lines = [line async for line in response.aiter_lines() if line]
        assert lines == ['data: {"a": 1}', 'data: {"a": 2}']


async def test_leaving_a_stream_closes_its_connection() -> None:
    answer = stream('{"a": 1}', ended=False)
    async with wire(answer, End.HOLD) as server, plain(server.url) as client:
        async with client.stream("GET", "/") as response:
            assert await anext(response.aiter_bytes())
        await server.wait_left()


async def test_decoding_is_left_to_httpx() -> None:
    answer = http(gzip.compress(b"plain"), "content-encoding: gzip")
    async with wire(answer, End.KEEP) as server, plain(server.url) as client:
        assert (await client.get("/")).text == "plain"


FAILURES: dict[str, tuple[bytes, End, type[Exception]]] = {
    "closed": (b"", End.CLOSE, httpx.RemoteProtocolError),
    "cut": (http(b"x", length=9), End.CLOSE, httpx.RemoteProtocolError),
    "reset": (http(b"x", length=9), End.RESET, httpx.ReadError),
    "not HTTP": (b"SSH-2.0\r\n\r\n", End.HOLD, httpx.DecodingError),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_failures_are_httpx_exceptions(kind: str) -> None:
    answer, end, expected = FAILURES[kind]
    async with wire(answer, end) as server, plain(server.url) as client:
        with pytest.raises(expected) as raised:
            await client.get("/")
        assert isinstance(raised.value, httpx.RequestError)
        assert raised.value.request.url == f"{server.url}/"


async def test_no_connection() -> None:
    async with wire() as server:
        url = server.url
    async with plain(url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


@pytest.mark.parametrize("given", [b"", http(b"x", length=9)])
async def test_read_timeout(given: bytes) -> None:
    timeout = httpx.Timeout(None, read=0.05)
    async with wire(given, End.HOLD) as server, plain(server.url, timeout) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")


async def test_pool_timeout() -> None:
    timeout = httpx.Timeout(None, pool=0.05)
    async with wire(end=End.HOLD) as server, plain(server.url, timeout, connections=1) as client:
        waiting = asyncio.create_task(client.get("/"))
        await server.wait_request()
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/")
        waiting.cancel()
        await asyncio.wait((waiting,))


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_connection_is_handed_over_even_if_the_one_who_waits_for_it_leaves(
    leaves: bool,
) -> None:
    async with wire(DONE, End.KEEP) as server, plain(server.url, connections=1) as client:
        held = await client.send(client.build_request("GET", "/"), stream=True)
        waiting = [asyncio.create_task(client.get("/")) for _ in range(2)]
        transport: Any = client._transport
        await until(lambda: transport.pool._waiting == len(waiting))
        await held.aclose()
        if leaves:
            waiting[0].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        answered = [one.status_code for one in done if isinstance(one, httpx.Response)]
        assert answered == [200] * (2 - leaves)
        for _ in range(2):
            assert (await client.get("/")).status_code == 200


async def test_headers_are_built_when_they_are_read() -> None:
    lazy = LazyRequest(
        "GET", httpx.URL("http://a/"), {"host": "a", "x-a": "1"}, httpx.ByteStream(b""), {}
    )
    given = httpx.Request("GET", "http://a/", headers={"host": "a", "x-a": "1"})
    assert vars(lazy).keys() >= vars(given).keys() - {"headers", "_content"}
    assert lazy.headers == given.headers
    assert lazy.fields is None, "from here on, the headers count"
    answer = LazyResponse(204, [(b"x-a", b"1")], httpx.ByteStream(b""))
    assert answer.headers == {"x-a": "1"}


async def test_changed_headers_are_sent() -> None:
    async with wire(DONE, End.KEEP) as server, plain(server.url) as client:
        request = LazyRequest(
            "GET", httpx.URL(server.url), {"host": "a", "x-a": "1"}, httpx.ByteStream(b""), {}
        )
        request.headers["x-a"] = "2"
        await client.send(request)
        assert b"\r\nx-a: 2\r\n" in server.requests[0]
