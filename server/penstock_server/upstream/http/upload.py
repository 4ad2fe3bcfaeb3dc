"""A request whose content is sent as it arrives, while the answer is awaited.

A server may refuse a long upload before its end: over a limit, without a key, for a wrong model. A
client that reads only after sending everything would continue to send in vain, or find the
connection closed without reading the reason.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import httpx

from penstock_server.upstream.http.connection import Connection

_WRITE_SIZE = 256 * 1024


class Upload:
    """One upload over one connection."""

    def __init__(
        self,
        connection: Connection,
        content: AsyncIterator[bytes],
        stall_s: float | None,
        sent: Callable[[], None],
        *,
        chunked: bool = True,
    ) -> None:
        """Creates an upload; sends nothing yet.

        Args:
            connection: the connection.
            content: the content.
            stall_s: the longest pause of the peer in reading, in seconds; None for no limit.
            sent: called when everything is sent.
            chunked: whether each part is sent as a chunk; otherwise a header states the length.
        """
        self._connection = connection
        self._content = content
        self._stall_s = stall_s
        self._sent = sent
        self._chunked = chunked
        self._whole = False
        self._error: Exception | None = None
        self._sending: asyncio.Task[None] | None = None

    async def send(self, head: bytes, first: bytes) -> None:
        """Sends until the answer's head has arrived; an answer other than 2xx stops it.

        Raises:
            httpx.TransportError: there was no answer.
            Exception: whatever the content raises.
        """
        self._sending = asyncio.create_task(self._send(head, first))
        try:
            await self._connection.head()
            if self._connection.answer.status >= 300:
                self._sending.cancel()
        except (httpx.ReadError, httpx.RemoteProtocolError) as lost:
            if self._whole:
                raise
            raise httpx.WriteError("the connection broke") from lost

    async def finish(self) -> None:
        """Waits until everything is sent, or the answer has stopped the sending.

        Raises:
            httpx.TransportError: the connection broke, or the peer stopped reading.
            Exception: whatever the content raises.
        """
        if not self._sending or self._connection.answer.status >= 300:
            return
        await self._sending
        if isinstance(self._error, httpx.WriteError):
            # A peer that has answered may have processed it, although it did not read everything.
            raise httpx.ReadError("the connection broke") from self._error
        if self._error:
            raise self._error

    async def end(self) -> None:
        """Stops sending if it is still in progress, and then closes the connection."""
        if self._sending:
            # At once: a caller that cancelled must not be mistaken for one that has finished.
            self._sending.cancel()
            await asyncio.wait((self._sending,))
        if not self._whole:
            self._connection.close()

    async def _send(self, head: bytes, first: bytes) -> None:
        try:
            self._connection.write(head)
            await self._write(first)
            async for block in self._content:
                await self._write(block)
            if self._chunked:
                self._connection.write(b"0\r\n\r\n")
        except httpx.WriteError as error:
            # An answer may have arrived nevertheless; the end of the connection shows whether.
            self._error = error
            self._connection.close()
        except Exception as error:
            self._error = error
            self._connection.fail(error)
        else:
            self._whole = True
            self._sent()

    async def _write(self, block: bytes) -> None:
        for piece in _pieces(block):
            if self._chunked:
                self._connection.write(b"%x\r\n" % len(piece), piece, b"\r\n")
            else:
                self._connection.write(piece)
            await self._connection.drain(self._stall_s)


def _pieces(block: bytes) -> Iterator[bytes]:
    """Yields a block in pieces; omits an empty one, which would end the request."""
    if 0 < len(block) <= _WRITE_SIZE:
        yield block
        return
    view = memoryview(block)
    for start in range(0, len(block), _WRITE_SIZE):
        yield bytes(view[start : start + _WRITE_SIZE])
