"""The transport under httpx: connections to one address, kept and used again.

httpx's own pool and parser cost several times the CPU of all else that a call needs, it reads an
answer only once the whole request is sent, and its pool cannot tell a connection that is used
again from a new one. The interface is httpx's, so that another transport can take its place.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import httpx

from penstock_server.upstream.http.address import Address, tls_context
from penstock_server.upstream.http.connection import READ_SIZE, Connection
from penstock_server.upstream.http.upload import Upload


class Pool(httpx.AsyncBaseTransport):
    """Connections to one address.

    A request's `timeout` extension holds the limits `pool`, `connect`, `read` and `write`, as
    httpx has them; only uploads keep the last two. Whether its connection had been used before
    is written into the request's extension `reused`. The answer's extension `network_stream` is
    the connection, for one that must not be used again to be closed.
    """

    def __init__(self, address: Address, most: int, keepalive_s: float) -> None:
        """Takes the address, the most connections at once, and how long an idle one is kept."""
        self._address = address
        self._keepalive_s = keepalive_s
        self._slots = asyncio.Semaphore(most)
        self._idle: deque[Connection] = deque()
        self._buffer = bytearray(READ_SIZE)
        self._tls: ssl.SSLContext | None = None

    async def aclose(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request; returns the answer, whose body is still to be read.

        Raises:
            httpx.TransportError: there was no answer.
            Exception: whatever the content of an upload raises.
        """
        timeouts: dict[str, float | None] = request.extensions["timeout"]
        await self._take_slot(timeouts["pool"])
        exchange = _Exchange(self)
        try:
            await exchange.send(request)
        except BaseException:
            await exchange.aclose()
            raise
        connection = exchange.connection
        return httpx.Response(
            connection.status,
            headers=connection.headers,
            stream=exchange,
            extensions={"network_stream": connection},
        )

    async def _take_slot(self, timeout_s: float | None) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are in use") from None

    async def take(self, timeout_s: float | None, *, fresh: bool = False) -> Connection:
        """Returns a connection that is ready for a request; a new one, if need be.

        Raises:
            httpx.TransportError: none could be opened.
        """
        latest = asyncio.get_running_loop().time() - self._keepalive_s
        while self._idle and self._idle[0].idle_since < latest:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.fit and not fresh:
                return connection
            connection.close()
            if fresh:
                break
        return await self._connect(timeout_s)

    def give_back(self, connection: Connection | None) -> None:
        """Takes back a connection, to be kept if it can be used again."""
        self._slots.release()
        if connection is None:
            return
        if connection.fit:
            connection.used = True
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self, timeout_s: float | None) -> Connection:
        try:
            if self._address.tls and self._tls is None:
                self._tls = tls_context(self._address.tls)
            async with asyncio.timeout(timeout_s):
                return await self._address.connect(lambda: Connection(self._buffer), self._tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("could not connect in time") from error
        except ssl.SSLCertVerificationError as error:
            raise httpx.ConnectError(f"TLS: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise httpx.ConnectError(f"TLS: {error.reason or error}") from error
        except OSError as error:
            raise httpx.ConnectError(error.strerror or str(error)) from error


class _Exchange(httpx.AsyncByteStream):
    """A request on its way, and then the body of its answer."""

    connection: Connection

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._over = False
        self._taken: Connection | None = None
        self._upload: Upload | None = None

    async def send(self, request: httpx.Request) -> None:
        timeouts: dict[str, Any] = request.extensions["timeout"]
        head = _head(request)
        stream = request.stream
        if isinstance(stream, httpx.ByteStream):
            await self._take(request, fresh=False)
            self.connection.write(head, *stream)
            await self.connection.head()
            return
        assert isinstance(stream, httpx.AsyncByteStream)
        self._upload = upload = Upload(aiter(stream), timeouts["read"], timeouts["write"])
        await upload.begin()
        # What can be sent only once is not sent to where the peer may just be leaving.
        await self._take(request, fresh=True)
        await upload.send(self.connection, head)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = self._upload.read if self._upload else self.connection.block
        while block := await read():
            yield block

    async def aclose(self) -> None:
        if self._upload:
            await self._upload.end()
        if not self._over:
            self._over = True
            self._pool.give_back(self._taken)

    async def _take(self, request: httpx.Request, *, fresh: bool) -> None:
        timeout_s = request.extensions["timeout"]["connect"]
        self.connection = self._taken = await self._pool.take(timeout_s, fresh=fresh)
        request.extensions["reused"] = self.connection.used
        self.connection.begin()


_UNSENDABLE = re.compile(rb"[\0\r\n]")


def _head(request: httpx.Request) -> bytes:
    target = request.url.raw_path
    headers = request.headers.raw
    if _UNSENDABLE.search(b"".join((target, *(part for header in headers for part in header)))):
        raise httpx.LocalProtocolError("a header holds the end of a line")
    lines = (b"%s: %s\r\n" % header for header in headers)
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method.encode(), target, b"".join(lines))
