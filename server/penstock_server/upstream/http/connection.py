"""One HTTP/1.1 connection, on which one request at a time is answered."""

import asyncio
import math
import ssl
from collections import deque

import httptools
import httpx

_MOST_HEADER_BYTES = 100 * 1024
# Of an answer that is read more slowly than it comes; the upstream waits beyond it.
_MOST_WAITING_BYTES = 64 * 1024
READ_SIZE = 64 * 1024

Headers = list[tuple[bytes, bytes]]


class Connection(asyncio.BufferedProtocol):
    """An open connection.

    The answer is received while the request is still being sent. What arrived before a failure
    is delivered before the failure.

    Attributes:
        status: the answer's status, once it is there.
        headers: the answer's headers.
        used: whether it has already carried a request.
        idle_since: when it was last in use, by the event loop's clock.
        read_until: when waiting for the answer is over, by the event loop's clock.
    """

    transport: asyncio.Transport

    def __init__(self, buffer: bytearray) -> None:
        """Takes where to receive into; connections that take turns may share it."""
        self.status = 0
        self.headers: Headers = []
        self.used = False
        self.idle_since = 0.0
        self.read_until = math.inf
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(buffer)
        self._parser = httptools.HttpResponseParser(self)
        self._blocks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._head_bytes = 0
        self._expecting = False  # an answer, whose end has not come
        self._headed = False
        self._interim = False
        self._failure: Exception | None = None
        self._fit = True
        self._reading = True
        self._writable = True
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._write_waiter: asyncio.Future[None] | None = None

    # For one exchange: begin, write, head, then blocks until there are no more.

    def begin(self) -> None:
        """Makes ready for a request."""
        self.status = 0
        self.headers = []
        self._head_bytes = 0
        self._expecting = True
        self._headed = False
        self.read_until = math.inf

    def write(self, *data: bytes) -> None:
        """Sends, or keeps to be sent, without waiting.

        Raises:
            httpx.WriteError: the connection is closed.
        """
        if self.transport.is_closing():
            raise httpx.WriteError("the connection is closed")
        self.transport.write(b"".join(data))

    async def drain(self) -> None:
        """Waits until the peer has taken most of what was written.

        Raises:
            httpx.WriteError: the connection is closed.
        """
        if not self._writable and not self.transport.is_closing():
            self._write_waiter = self._loop.create_future()
            await self._write_waiter
        if self.transport.is_closing():
            raise httpx.WriteError("the connection broke")

    async def head(self) -> None:
        """Waits for status and headers of the answer.

        Raises:
            httpx.TransportError: they will not come.
        """
        while not self._headed:
            if self._failure:
                raise self._failure
            await self._wait()

    async def block(self) -> bytes:
        """Returns what has arrived of the body, or what comes next; nothing at its end.

        Raises:
            httpx.TransportError: the rest will not come, or not in time.
        """
        if self._loop.time() >= self.read_until:
            raise httpx.ReadTimeout("no answer in time")
        while not self._blocks:
            if not self._expecting:
                return b""
            if self._failure:
                raise self._failure
            await self._wait()
        block = self._blocks.popleft() if len(self._blocks) == 1 else b"".join(self._blocks)
        self._blocks.clear()
        self._waiting_bytes = 0
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        return block

    @property
    def fit(self) -> bool:
        """Whether it can take another request: the last answer is complete and nothing follows."""
        idle = not self._expecting and not self._blocks
        return idle and self._fit and not self.transport.is_closing()

    def close(self) -> None:
        """Closes it at once; what is not yet sent is dropped."""
        self._fit = False
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # For the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the open transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Returns where to receive into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parses what was received."""
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(f"no HTTP/1.1: {error}"))
        if self._expecting and not self._headed:
            self._head_bytes += nbytes
            if self._head_bytes > _MOST_HEADER_BYTES:
                self._fail(httpx.RemoteProtocolError("the headers are too long"))

    def pause_writing(self) -> None:
        """Notes that the peer does not keep up."""
        self._writable = False

    def resume_writing(self) -> None:
        """Notes that the peer has kept up."""
        self._writable = True
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the answer, or fails it."""
        if self._expecting and not self._failure:
            if exc is None and self._headed and not self._delimited:
                self._expecting = False
            else:
                self._failure = self._loss(exc)
        self._fit = False
        if self._alarm:
            self._alarm.cancel()
        self._wake()
        self._wake_writer()

    # For the parser

    def on_message_begin(self) -> None:
        """Begins an answer, or notes that one came that was not asked for."""
        if not self._expecting:
            self._fit = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; trailers are passed over."""
        if self._expecting and not self._headed:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Takes the status."""
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            self.headers.clear()
        elif self._expecting:
            self.status = status
            self._headed = True
            self._wake()

    def on_body(self, data: bytes) -> None:
        """Takes a part of the body."""
        if not self._expecting:
            return
        self._blocks.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > _MOST_WAITING_BYTES and self._reading:
            self._reading = False
            self.transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        """Ends the answer."""
        if self._interim or not self._expecting:
            return
        self._expecting = False
        self._fit = self._fit and self._parser.should_keep_alive()
        self._wake()

    @property
    def _delimited(self) -> bool:
        """Whether the answer's end is told by its headers, not by the end of the connection."""
        return any(
            name.lower() == b"content-length"
            or (name.lower() == b"transfer-encoding" and b"chunked" in value.lower())
            for name, value in self.headers
        )

    def _loss(self, error: Exception | None) -> Exception:
        if isinstance(error, ssl.SSLError) and not self._headed and not self.used:
            # A server that refuses our certificate says so after the handshake, in TLS 1.3.
            return httpx.ConnectError(f"TLS: {error.reason or error}")
        if not self._headed and not self._writable:
            # What is still to be sent is the end of a request that the peer never had whole.
            return httpx.WriteError(f"the request was not sent whole: {error}")
        if error:
            return httpx.ReadError(str(error))
        return httpx.RemoteProtocolError("the connection was closed")

    def _fail(self, failure: Exception) -> None:
        if self._expecting:
            self._failure = self._failure or failure
        self.close()
        self._wake()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        self._set_alarm()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _set_alarm(self) -> None:
        # One timer serves many waits, most of which end long before their time.
        if self._alarm and self._alarm.when() > self.read_until:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None and self.read_until < math.inf:
            self._alarm = self._loop.call_at(self.read_until, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        if not self._waiter or self._waiter.done():
            return
        if self._loop.time() < self.read_until:
            self._set_alarm()
        else:
            self._waiter.set_exception(httpx.ReadTimeout("no answer in time"))

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._write_waiter and not self._write_waiter.done():
            self._write_waiter.set_result(None)
