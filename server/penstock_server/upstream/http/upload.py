"""A request whose content is sent as it comes, while the answer is listened for.

A long upload may be refused before its end: over a limit, without a key, for a wrong model. A
client that only listens once it has sent everything would send on in vain, or find the
connection closed and never read why.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx

from penstock_server.upstream.http.connection import Connection

_WRITE_SIZE = 256 * 1024


class Upload:
    """One upload, in chunks."""

    def __init__(
        self, content: AsyncIterator[bytes], read_s: float | None, write_s: float | None
    ) -> None:
        """Takes the content, and how long the peer may take to answer or to read on."""
        self._content = content
        self._read_s = read_s
        self._write_s = write_s
        self._first = b""
        self._sending: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    async def begin(self) -> None:
        """Waits for the first of the content: without any, there is nothing to connect for."""
        self._first = await anext(self._content)

    async def send(self, connection: Connection, head: bytes) -> None:
        """Sends until the answer's head is there.

        An answer with an error ends the sending; any other counts only after everything was
        sent.

        Raises:
            httpx.TransportError: there was no answer.
            Exception: whatever the content raises.
        """
        self._connection = connection
        self._sending = sending = asyncio.create_task(self._send(connection, head))
        receiving = asyncio.create_task(connection.head())
        try:
            await self._answered(sending, receiving)
            if connection.status < 300:
                await sending
        except BaseException:
            # At once: a caller who has left must not be taken for one who has ended.
            sending.cancel()
            raise
        finally:
            receiving.cancel()
            await asyncio.wait((receiving,))
        sending.cancel()

    async def read(self) -> bytes:
        """Returns what has arrived of the answer's body, or what comes next.

        Raises:
            httpx.TransportError: the rest will not come, or not in time.
        """
        assert self._connection
        try:
            async with asyncio.timeout(self._read_s):
                return await self._connection.block()
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time") from error

    async def end(self) -> None:
        """Ends the sending, if it still goes on, and the content."""
        if self._sending and self._connection:
            self._sending.cancel()
            await asyncio.wait((self._sending,))
            if self._sending.cancelled() or self._sending.exception():
                self._connection.close()

    async def _answered(
        self, sending: "asyncio.Task[None]", receiving: "asyncio.Task[None]"
    ) -> None:
        await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        error = sending.exception() if sending.done() else None
        if error and not isinstance(error, httpx.WriteError):
            raise error
        try:
            # What the peer said before it closed the connection explains why it did.
            async with asyncio.timeout(self._read_s):
                await receiving
        except TimeoutError as late:
            raise httpx.ReadTimeout("no answer in time") from late
        except (httpx.ReadError, httpx.RemoteProtocolError) as lost:
            if sending.done() and not sending.exception():
                raise
            raise httpx.WriteError("the connection broke") from lost

    async def _send(self, connection: Connection, head: bytes) -> None:
        connection.write(head)
        await self._write(connection, self._first)
        self._first = b""
        async for block in self._content:
            await self._write(connection, block)
        connection.write(b"0\r\n\r\n")

    async def _write(self, connection: Connection, block: bytes) -> None:
        for piece in _pieces(block):
            connection.write(b"%x\r\n" % len(piece), piece, b"\r\n")
            try:
                async with asyncio.timeout(self._write_s):
                    await connection.drain()
            except TimeoutError as error:
                raise httpx.WriteTimeout("the upstream does not read on") from error


def _pieces(block: bytes) -> Iterator[bytes]:
    if len(block) <= _WRITE_SIZE:
        yield block
        return
    view = memoryview(block)
    for start in range(0, len(block), _WRITE_SIZE):
        yield bytes(view[start : start + _WRITE_SIZE])
