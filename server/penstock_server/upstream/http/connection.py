"""One connection: sends and receives bytes, and bounds every wait."""

import asyncio
import math
import ssl
from time import monotonic
from typing import cast

import httpx

from penstock_server.upstream.http.response_parser import ResponseParser, UnparsableAnswer
from penstock_server.upstream.http.tls import receive_rest

# Size of an answer that waits for a slow reader; the upstream waits beyond it.
_MOST_WAITING_BYTES = 64 * 1024
READ_SIZE = 64 * 1024
# More data is not joined: other calls would wait while it is copied.
_MOST_JOINED_BYTES = 1024 * 1024


class Connection(asyncio.BufferedProtocol):
    """An open connection, on which one request at a time is answered.

    The answer is received while the request is still being sent. What arrived before a failure
    is delivered before the failure.

    Attributes:
        answer: the answer, as received so far.
        used: whether it has already carried a request.
        idle_since: when it was last in use, by the monotonic clock.
    """

    transport: asyncio.Transport

    def __init__(self, buffer: bytearray) -> None:
        """Creates a connection that is not open yet.

        Args:
            buffer: receives the bytes; connections that take turns may share it.
        """
        self.answer = ResponseParser()
        self.used = False
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(buffer)
        self._deadline = math.inf
        self._failure: Exception | None = None
        self._reading = True
        self._awaited_bytes = 0
        self._most_waiting_bytes = _MOST_WAITING_BYTES
        self._writable = True
        self._waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    # For one exchange, call begin, write, head, then block until it returns nothing.

    def begin(self, deadline: float) -> None:
        """Prepares for a request; see `wait_until` for the deadline."""
        self.answer.expect()
        self._deadline = deadline
        self._awaited_bytes, self._most_waiting_bytes = 0, _MOST_WAITING_BYTES

    def wait_until(self, deadline: float) -> None:
        """Limits all waiting for the answer from now on, by the monotonic clock."""
        self._deadline = deadline
        if self._waiter and not self._waiter.done():
            self._set_alarm()

    def write(self, *data: bytes) -> None:
        """Sends or buffers data without waiting.

        Raises:
            httpx.WriteError: the connection is closed.
        """
        if self.transport.is_closing():
            raise httpx.WriteError("the connection is closed")
        if sum(map(len, data)) <= _MOST_JOINED_BYTES:
            data = (b"".join(data),)
        for block in data:
            self.transport.write(block)

    async def drain(self, timeout_s: float | None) -> None:
        """Waits until the peer has accepted most of the written bytes.

        Raises:
            httpx.WriteError: the connection is closed.
            httpx.WriteTimeout: the peer does not accept them in that time.
        """
        if not self._writable and not self.transport.is_closing():
            self._write_waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._write_waiter
            except TimeoutError as error:
                raise httpx.WriteTimeout("the upstream stopped reading") from error
        if self.transport.is_closing():
            raise httpx.WriteError("the connection broke")

    async def head(self) -> None:
        """Waits for status and headers of the answer.

        Raises:
            httpx.TransportError: they did not arrive, or not in time.
            Exception: the argument of `fail`.
        """
        while not self.answer.headed:
            if self._failure:
                raise self._failure
            await self._arrival()

    def gather(self, most_bytes: int) -> None:
        """Makes `block` wait for the whole body, or for more bytes of it than this.

        Its reader is then woken once, and the parts are joined once.
        """
        self._awaited_bytes = self._most_waiting_bytes = most_bytes
        self._resume_reading()

    async def block(self) -> bytes:
        """Returns the bytes of the body that have arrived, or the next ones; empty at its end.

        Raises:
            httpx.TransportError: the rest did not arrive, or not in time.
        """
        answer = self.answer
        if monotonic() >= self._deadline:
            raise httpx.ReadTimeout("no answer in time")
        while answer.waiting_bytes <= self._awaited_bytes and not answer.complete:
            if self._failure:
                raise self._failure
            await self._arrival()
        if not self._reading:
            self._resume_reading()
        return answer.take()

    @property
    def reusable(self) -> bool:
        """Whether it can take another request: nothing of the last exchange is left."""
        if self._failure or self.transport.is_closing():
            return False
        return self.answer.reusable and not self.transport.get_write_buffer_size()

    def fail(self, failure: Exception) -> None:
        """Ends the exchange, if the answer is not complete, and the connection."""
        if not self.answer.complete:
            self._failure = self._failure or failure
        self.close()
        self._wake()

    def close(self) -> None:
        """Closes it at once, and drops everything that is not sent yet."""
        # Over TLS, querying the send buffer of a closing transport may fail.
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # For the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the open transport."""
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Returns the buffer to receive into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parses received bytes; those that arrive while no answer is due end the connection."""
        if self.answer.complete:
            self.close()
            return
        try:
            self.answer.feed(self._buffer[:nbytes])
        except UnparsableAnswer as error:
            self.fail(error)
        if self.answer.waiting_bytes > self._most_waiting_bytes:
            self._pause_reading()
        elif self._awaited_bytes and not self.answer.complete:
            return
        self._wake()

    def eof_received(self) -> None:
        """Ends the connection, without waiting until everything is sent."""
        self.transport.abort()

    def pause_writing(self) -> None:
        """Records that the peer does not keep up."""
        self._writable = False

    def resume_writing(self) -> None:
        """Records that the peer keeps up again."""
        self._writable = True
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the answer, or fails it."""
        if not self.answer.complete and not self._failure:
            try:
                if exc:
                    self._receive_rest()
                if not self.answer.complete:
                    self._end(exc)
            except (httpx.TransportError, UnparsableAnswer) as failure:
                self._failure = failure
        if self._alarm:
            self._alarm.cancel()
        self._wake()
        self._wake_writer()

    def _receive_rest(self) -> None:
        """Parses what arrived before sending failed; `tls.encrypt` does this for encrypted data.

        Raises:
            UnparsableAnswer: it is not HTTP.
        """
        if not self.transport.get_extra_info("sslcontext"):
            receive_rest(
                self.transport,
                lambda: self._buffer,
                lambda size: self.answer.feed(self._buffer[:size]),
            )

    def _end(self, error: Exception | None) -> None:
        """Ends the answer.

        Raises:
            httpx.TransportError: a part of it is missing.
        """
        headed = self.answer.headed
        if isinstance(error, ssl.SSLError) and not headed and not self.used:
            # In TLS 1.3, a server refuses our certificate only after the handshake.
            raise httpx.ConnectError(f"TLS: {error.reason or error}")
        if not headed and not self._writable:
            # Some of the request is still to be sent, so the peer never received all of it.
            raise httpx.WriteError(f"the request was not sent completely: {error}")
        if error:
            raise httpx.ReadError(str(error))
        self.answer.feed_end()

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()

    def _arrival(self) -> asyncio.Future[None]:
        """Returns a future that ends when something arrives, or at the deadline."""
        waiter = self._waiter = self._loop.create_future()
        self._set_alarm()
        return waiter

    def _set_alarm(self) -> None:
        # One timer serves many waits, most of which end long before the timer.
        if self._alarm and self._alarm_at > self._deadline:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None and self._deadline < math.inf:
            self._alarm_at = self._deadline
            self._alarm = self._loop.call_later(self._deadline - monotonic(), self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        if not self._waiter or self._waiter.done():
            return
        if monotonic() < self._deadline:
            self._set_alarm()
        else:
            self._waiter.set_exception(httpx.ReadTimeout("no answer in time"))

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._write_waiter and not self._write_waiter.done():
            self._write_waiter.set_result(None)
