"""An HTTP/1.1 exchange that listens while it sends.

A long upload may be refused before its end: over a limit, without a key, for a wrong model. A
client that only listens once it has sent everything would send on in vain, or find the
connection closed and never read why.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass

import h11

_READ_SIZE = 64 * 1024
_WRITE_SIZE = 256 * 1024
_MOST_HEADER_BYTES = 100 * 1024


class ExchangeError(Exception):
    """The exchange broke off."""


class Unreachable(ExchangeError):
    """There is no connection."""


class Unsent(ExchangeError):
    """The connection broke, or the peer closed it, before everything was sent."""


class Lost(ExchangeError):
    """The connection broke, or the peer closed it, before the answer was complete."""


class Stalled(ExchangeError):
    """The peer neither read nor wrote for too long."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to connect to, and the limits, in seconds.

    Attributes:
        host: the host.
        port: the port.
        tls: the TLS context; None for none.
        connect_timeout: until the connection stands.
        answer_timeout: for each wait: until the peer reads on, until it answers, until it
            sends on.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout: float
    answer_timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, and its body in the blocks in which it arrives."""

    status: int
    headers: list[tuple[bytes, bytes]]
    blocks: AsyncGenerator[bytes, None]


@contextlib.asynccontextmanager
async def exchange(
    peer: Peer, head: h11.Request, body: AsyncGenerator[bytes, None]
) -> AsyncIterator[Answer]:
    """Sends a request over a connection of its own; yields the answer. Leaving closes both.

    The connection is opened when the first block of the body is there. An answer with an error
    ends the sending; any other counts only after everything was sent.

    Raises:
        ExchangeError: there was no answer; the answer's blocks raise it as well.
        Exception: whatever the body raises.
    """
    async with contextlib.aclosing(body):
        first = await anext(body)
        connection = await _connect(peer)
        try:
            sending = asyncio.ensure_future(connection.send(head, first, body))
            receiving = asyncio.ensure_future(connection.receive_head())
            try:
                yield await _answer(connection, sending, receiving)
            finally:
                await _end(sending, receiving)
        finally:
            connection.close()


async def _answer(
    connection: "_Connection",
    sending: "asyncio.Future[None]",
    receiving: "asyncio.Future[h11.Response]",
) -> Answer:
    await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
    if sending.done() and (error := sending.exception()) and not isinstance(error, Unsent):
        raise error
    try:
        # What the peer said before it closed the connection explains why it did.
        async with connection.limit():
            head = await receiving
    except Lost as error:
        everything_sent = sending.done() and not sending.exception()
        raise error if everything_sent else Unsent from error
    if head.status_code < 300:
        await sending
    else:
        sending.cancel()
    return Answer(head.status_code, list(head.headers.raw_items()), connection.receive_body())


async def _end(*tasks: "asyncio.Future[None] | asyncio.Future[h11.Response]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _connect(peer: Peer) -> "_Connection":
    try:
        async with asyncio.timeout(peer.connect_timeout):
            reader, writer = await asyncio.open_connection(peer.host, peer.port, ssl=peer.tls)
    except OSError as error:  # a timeout is one
        raise Unreachable from error
    return _Connection(reader, writer, peer.answer_timeout)


class _Connection:
    """A connection for one exchange; sending and receiving may happen at the same time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout_s = timeout_s
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEADER_BYTES)

    def close(self) -> None:
        """Closes the connection at once; what is not yet sent is dropped."""
        self._writer.transport.abort()

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Bounds a wait for the peer."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError as error:
            raise Stalled from error

    async def send(
        self, head: h11.Request, first: bytes, rest: AsyncGenerator[bytes, None]
    ) -> None:
        """Sends a request, no faster than the peer reads."""
        await self._write(self._http.send(head))
        await self._send_block(first)
        async for block in rest:
            await self._send_block(block)
        await self._write(self._http.send(h11.EndOfMessage()))

    async def receive_head(self) -> h11.Response:
        """Returns the head of the answer."""
        while True:
            event = await self._receive()
            if isinstance(event, h11.Response):
                return event

    async def receive_body(self) -> AsyncGenerator[bytes, None]:
        """Yields the body of the answer."""
        while True:
            async with self.limit():
                event = await self._receive()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    async def _send_block(self, block: bytes) -> None:
        for piece in _pieces(block):
            await self._write(self._http.send(h11.Data(data=piece)))

    async def _write(self, data: bytes | None) -> None:
        try:
            async with self.limit():
                self._writer.write(data or b"")
                await self._writer.drain()
        except OSError as error:
            raise Unsent from error

    async def _receive(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ_SIZE))
        except (OSError, h11.RemoteProtocolError) as error:
            raise Lost from error
        return event


def _pieces(block: bytes) -> Iterator[bytes]:
    if len(block) <= _WRITE_SIZE:
        yield block
        return
    view = memoryview(block)
    for start in range(0, len(block), _WRITE_SIZE):
        yield bytes(view[start : start + _WRITE_SIZE])
