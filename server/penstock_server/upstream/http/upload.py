"""A request whose content is sent as it comes, while the answer is listened for.

A long upload may be refused before its end: over a limit, without a key, for a wrong model. A
client that only listens once it has sent everything would send on in vain, or find the
connection closed and never read why.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator

import httpx

from penstock_server.upstream.http.connection import Connection

_WRITE_SIZE = 256 * 1024


class Upload:
    """One upload, in chunks, over one connection."""

    def __init__(
        self,
        connection: Connection,
        content: AsyncGenerator[bytes, None],
        stall_s: float,
        sent: Callable[[], None],
    ) -> None:
        """Creates an upload; sends nothing yet.

        Args:
            connection: what it is sent over.
            content: the content.
            stall_s: the longest pause of the peer in reading, in seconds.
            sent: called when all is sent.
        """
        self._connection = connection
        self._content = content
        self._stall_s = stall_s
        self._sent = sent
        self._whole = False
        self._error: Exception | None = None
        self._sending: asyncio.Task[None] | None = None

    async def send(self, head: bytes, first: bytes) -> None:
        """Sends until the answer's head is there.

        An answer with an error ends the sending; any other counts only after everything was
        sent.

        Raises:
            httpx.TransportError: there was no answer.
            Exception: whatever the content raises.
        """
        self._sending = asyncio.create_task(self._send(head, first))
        try:
            await self._connection.head()
            if self._connection.answer.status >= 300:
                self._sending.cancel()
                return
            await self._sending
            if self._error:
                raise self._error
        except (httpx.ReadError, httpx.RemoteProtocolError) as lost:
            if self._whole:
                raise
            raise httpx.WriteError("the connection broke") from lost
        except httpx.WriteError as broken:
            if not self._connection.answer.headed:
                raise
            # What has answered may have worked on it, though it did not read all.
            raise httpx.ReadError("the connection broke") from broken

    async def end(self) -> None:
        """Ends the sending if it still goes on, and then closes the connection."""
        if self._sending:
            # At once: a caller who has left must not be taken for one who has ended.
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
            self._connection.write(b"0\r\n\r\n")
        except httpx.WriteError as error:
            # An answer may have arrived all the same; the end of the connection says whether.
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
            self._connection.write(b"%x\r\n" % len(piece), piece, b"\r\n")
            await self._connection.drain(self._stall_s)


def _pieces(block: bytes) -> Iterator[bytes]:
    """Yields a block in pieces, none of which is empty: that would be the end of all."""
    if 0 < len(block) <= _WRITE_SIZE:
        yield block
        return
    view = memoryview(block)
    for start in range(0, len(block), _WRITE_SIZE):
        yield bytes(view[start : start + _WRITE_SIZE])
