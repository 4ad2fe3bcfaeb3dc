"""Connections to one address, kept and used again.

httpx's own pool and parser cost several times the CPU of all else that a call needs, it reads an
answer only once the whole request is sent, and its pool cannot tell a connection that is used
again from a new one. What goes wrong is told by httpx's exceptions.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.http.address import Address, tls_context
from penstock_server.upstream.http.connection import READ_SIZE, Connection
from penstock_server.upstream.http.upload import Upload


class Pool:
    """Connections to one address."""

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

    async def take_slot(self, timeout_s: float | None) -> None:
        """Waits until another connection may be in use.

        Raises:
            httpx.PoolTimeout: it may not, in that time.
        """
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


class Carrier(httpx.AsyncByteStream):
    """Carries one request, and then the body of its answer, over a connection of the pool.

    Attributes:
        connection: the connection; it has the answer's status and headers.
        reused: whether the connection had been used before.
    """

    connection: Connection

    def __init__(self, pool: Pool, timeouts: Timeouts) -> None:
        """Takes where connections come from, and how long to wait for one.

        For an upload, the wait for its answer and each write are bounded as well.
        """
        self._pool = pool
        self._timeouts = timeouts
        self._over = False
        self._taken: Connection | None = None
        self._upload: Upload | None = None
        self.reused = False

    async def send(self, head: bytes, content: bytes | AsyncIterator[bytes]) -> None:
        """Sends a request; returns when the head of the answer is there.

        Raises:
            httpx.TransportError: there was no answer.
            Exception: whatever the content of an upload raises.
        """
        await self._pool.take_slot(self._timeouts.connect)
        try:
            if isinstance(content, bytes):
                await self._take(fresh=False)
                self.connection.write(head, content)
                await self.connection.head()
            else:
                await self._send_upload(head, content)
        except BaseException:
            await self.aclose()
            raise

    @property
    def read(self) -> Callable[[], Awaitable[bytes]]:
        """What returns the next block of the answer's body, and nothing at its end."""
        return self._upload.read if self._upload else self.connection.block

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while block := await self.read():
            yield block

    async def aclose(self) -> None:
        """Ends the exchange; gives the connection back."""
        if self._upload:
            await self._upload.end()
        if not self._over:
            self._over = True
            self._pool.give_back(self._taken)

    async def _send_upload(self, head: bytes, content: AsyncIterator[bytes]) -> None:
        limit = self._timeouts.first_byte
        self._upload = upload = Upload(content, limit, limit)
        await upload.begin()
        # What can be sent only once is not sent to where the peer may just be leaving.
        await self._take(fresh=True)
        await upload.send(self.connection, head)

    async def _take(self, *, fresh: bool) -> None:
        self.connection = self._taken = await self._pool.take(self._timeouts.connect, fresh=fresh)
        self.reused = self.connection.used
        self.connection.begin()
