"""The body of a response: an httpx stream that can also be read up to a deadline."""

from collections.abc import AsyncIterator

import httpx

from penstock_server.upstream.http.connection import Connection
from penstock_server.upstream.http.deadline import Extensions, deadline
from penstock_server.upstream.http.pool import Pool
from penstock_server.upstream.http.upload import Upload


class Body(httpx.AsyncByteStream):
    """The body of the response on a connection, as it was sent, without decoding.

    Attributes:
        block: returns the bytes that have arrived, or the next ones; empty at the end.
        wait_until: limits every wait from now on, by the monotonic clock.
        discard: closes the connection, which could otherwise be used again.
    """

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        extensions: Extensions,
        upload: Upload | None = None,
        *,
        unread: bool = False,
    ) -> None:
        """Creates the body of a response whose head has arrived.

        Args:
            pool: the connection's pool.
            connection: the connection.
            extensions: those of the request.
            upload: the body of the request, if it may still be in progress.
            unread: whether the server may not have read the whole request.
        """
        # The methods themselves: these are called for every part of a stream.
        self.block = connection.block
        self.wait_until = connection.wait_until
        self.discard = connection.close
        self._pool = pool
        self._connection: Connection | None = connection
        self._extensions = extensions
        self._upload = upload
        self._unread = unread

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.wait_until(deadline(self._extensions))
        while block := await self.block():
            yield block
            self.wait_until(deadline(self._extensions))

    async def aclose(self) -> None:
        """Ends the exchange; the connection is kept if the body was read to its end."""
        try:
            if self._upload:
                await self._upload.end()
        finally:
            self._release()

    def gather(self, most_bytes: int) -> None:
        """Makes `block` return the whole body at once, or more bytes of it than this."""
        if self._connection:
            self._connection.gather(most_bytes)

    @property
    def has_waiting(self) -> bool:
        """Whether a part of the body has arrived that was not read yet."""
        return bool(self._connection and self._connection.answer.waiting_bytes)

    def _release(self) -> None:
        if self._connection:
            if self._unread:
                self._connection.close()
            self._pool.release(self._connection)
            self._connection = None
