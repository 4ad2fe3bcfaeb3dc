"""An upstream that sends given bytes and then ends the connection in a given way."""

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from penstock_server.upstream.base_url import address_of
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.config import Timeouts, Tls, UpstreamConfig

from .certificates import HOST, Certificates

LOCAL = "127.0.0.1"
secured: Certificates | None = None
"""Certificates for TLS between upstreams and clients; None for plain HTTP."""

QUICK = Timeouts(connect=60, first_byte=60, idle=60)


class End(enum.Enum):
    """How the connection continues after the last byte."""

    CLOSE = enum.auto()
    RESET = enum.auto()
    HOLD = enum.auto()
    """It stays open until the client closes it."""
    KEEP = enum.auto()
    """It accepts the next request."""


class Wire:
    """A server that answers every request with the same bytes.

    Attributes:
        url: its URL.
        requests: the requests received.
        connections: number of connections accepted.
    """

    def __init__(self, answer: bytes, end: End) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.connections = 0
        self._answer = answer
        self._end = end
        self._came = asyncio.Semaphore(0)
        self._left = asyncio.Semaphore(0)

    async def wait_request(self) -> None:
        """Waits for the next request that no call of this method has awaited yet."""
        async with asyncio.timeout(60):
            await self._came.acquire()

    async def wait_left(self) -> None:
        """Waits until a client has closed a connection."""
        async with asyncio.timeout(60):
            await self._left.acquire()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer_requests(reader, writer)
        writer.close()
        self._left.release()

    async def _answer_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            self.requests.append(await read_request(reader))
            self._came.release()
            writer.write(self._answer)
            await writer.drain()
            if self._end is not End.KEEP:
                break
        if self._end is End.HOLD:
            await reader.read()
        if self._end is End.RESET:
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@contextlib.asynccontextmanager
async def wire(
    answer: bytes = b"",
    end: End = End.CLOSE,
    *,
    tls: ssl.SSLContext | None = None,
    path: Path | None = None,
) -> AsyncIterator[Wire]:
    """Runs a `Wire` on a free port or a Unix socket."""
    running = Wire(answer, end)
    async with served(running.serve, tls=tls, path=path) as running.url:
        yield running


@contextlib.asynccontextmanager
async def served(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
    path: Path | None = None,
) -> AsyncIterator[str]:
    """Runs a custom server on a free port or a Unix socket; yields its URL.

    Leaving the context waits until all connections are closed: a client that keeps one has a leak.
    """
    tasks: list[asyncio.Task[None]] = []

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.append(task)
        await serve(reader, writer)
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    if path:
        server = await asyncio.start_unix_server(tracked, path)
        url = f"unix://{path}"
    else:
        tls = tls or (secured.server_context() if secured else None)
        server = await asyncio.start_server(tracked, LOCAL, 0, ssl=tls)
        scheme = "https" if tls else "http"
        url = f"{scheme}://{LOCAL}:{server.sockets[0].getsockname()[1]}"
    try:
        yield url
    finally:
        server.close()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def client(url: str, timeouts: Timeouts = QUICK, **settings: Any) -> AsyncIterator[Upstream]:
    """Opens the upstream under test for an address."""
    config = UpstreamConfig(
        url.replace(LOCAL, HOST),
        name=address_of(url),
        timeouts=timeouts,
        tls=Tls(secured.ca) if secured else Tls(),
        **settings,
    )
    upstream = Upstream(config, LOCAL)
    try:
        yield upstream
    finally:
        upstream.close()


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Returns an answer with a length."""
    size = f"content-length: {len(body) if length is None else length}"
    head = "\r\n".join((f"HTTP/1.1 {status}", size, *headers))
    return f"{head}\r\n\r\n".encode() + body


def stream(
    *events: str, head: str = "content-type: text/event-stream", ended: bool = True
) -> bytes:
    """Returns an answer of events, each in a separate chunk."""
    chunks = b"".join(chunk(f"data: {event}\n\n".encode()) for event in events)
    first = f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{head}\r\n\r\n"
    return first.encode() + chunks + (b"0\r\n\r\n" if ended else b"")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"),
        0,
    )
    return head + await reader.readexactly(length)
