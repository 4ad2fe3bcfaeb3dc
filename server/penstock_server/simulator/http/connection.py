"""One HTTP connection: reads requests, writes answers, notices that the caller disconnects."""

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from email.utils import formatdate

import h11

from penstock_server.simulator.http import websocket
from penstock_server.simulator.http.activity import Activity
from penstock_server.simulator.http.answers import Answer, Hangup, Pause, Raw
from penstock_server.simulator.http.requests import Request

_READ_SIZE = 65536
_MOST_HEADER_BYTES = 4 << 20

Handler = Callable[[Request], Awaitable[Answer]]
"""Function that answers a request."""


class _Gone(Exception):
    """The connection is closed, and nothing can be written any more."""


class Connection:
    """Serves the requests of one client, one after the other, until either side disconnects."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Handler,
        activity: Activity,
        keep_alive_timeout: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._activity = activity
        self._keep_alive_timeout = keep_alive_timeout
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEADER_BYTES)

    async def serve(self) -> None:
        """Serves until the connection ends."""
        with self._activity.connection():
            try:
                await self._serve_requests()
            except (_Gone, ConnectionError, TimeoutError):
                pass
            finally:
                await self._close()

    async def _serve_requests(self) -> None:
        while True:
            try:
                request = await self._read_request()
            except h11.RemoteProtocolError:
                return await self._refuse()
            self._activity.count_request()
            if websocket.is_opened_by(request):
                return await self._converse(request)
            await self._respond(request)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return None
            self._http.start_next_cycle()

    async def _refuse(self) -> None:
        text = b"Invalid HTTP request received."
        with suppress(h11.LocalProtocolError):
            await self._write(Answer.of_bytes(text, "text/plain; charset=utf-8", 400))

    # Reading

    async def _read_request(self) -> Request:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._read_more(idle=head is None)
            elif isinstance(event, h11.Request):
                head = event
                await self._continue()
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head:
                return _request(head, bytes(body))
            else:
                raise _Gone

    async def _read_more(self, idle: bool) -> None:
        timeout = self._keep_alive_timeout if idle else None
        async with asyncio.timeout(timeout):
            data = await self._reader.read(_READ_SIZE)
        if not data:
            raise _Gone
        self._http.receive_data(data)

    async def _continue(self) -> None:
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))

    async def _watch(self) -> None:
        """Returns when the client has disconnected; buffers the data that it sends meanwhile."""
        with suppress(ConnectionError):
            while data := await self._reader.read(_READ_SIZE):
                self._http.receive_data(data)

    # Answering

    async def _respond(self, request: Request) -> None:
        """Writes the answer; drops it as soon as the client disconnects."""
        work = asyncio.ensure_future(self._answer(request))
        watch = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.wait((work, watch))
        if work.cancelled():
            raise _Gone
        work.result()

    async def _converse(self, request: Request) -> None:
        """Answers a request that opens a websocket, or refuses it."""
        socket = websocket.Websocket(self._reader, self._writer)
        answer = await self._handler(replace(request, messages=socket.messages()))
        if not answer.websocket:
            await self._write(answer)
            return
        with self._activity.generation():
            await socket.while_open(pause(answer.header_delay))
            self._send(websocket.acceptance(request))
            async for piece in answer.encoded():
                if isinstance(piece, Raw):
                    await socket.send(piece.data)
                elif isinstance(piece, Pause):
                    await socket.while_open(pause(piece.seconds))
                elif isinstance(piece, Hangup):
                    await self._hang_up(b"", piece.reset)
            await socket.close()

    async def _answer(self, request: Request) -> None:
        answer = await self._handler(request)
        with self._activity.generation() if answer.generates else nullcontext():
            await self._write(answer)

    async def _write(self, answer: Answer) -> None:
        await pause(answer.header_delay)
        if answer.length_error is not None:
            await self._write_wrong(answer, answer.length_error)
        elif answer.streamed:
            await self._write_stream(answer)
        else:
            await self._write_whole(answer)

    async def _write_stream(self, answer: Answer) -> None:
        self._send_head(answer)
        async for piece in answer.encoded():
            if isinstance(piece, Raw):
                await self._flush(self._framed(piece.data))
            elif isinstance(piece, Pause):
                await pause(piece.seconds)
            elif isinstance(piece, Hangup):
                cut = self._framed(piece.within.data) if isinstance(piece.within, Raw) else b""
                await self._hang_up(cut[: len(cut) // 2], piece.reset)
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    async def _write_whole(self, answer: Answer) -> None:
        parts: list[bytes] = []
        hangup: Hangup | None = None
        async for piece in answer.encoded():
            if isinstance(piece, Raw):
                parts.append(piece.data)
            elif isinstance(piece, Pause):
                await pause(piece.seconds)
            elif isinstance(piece, Hangup):
                hangup = piece
                parts += [piece.within.data] if isinstance(piece.within, Raw) else []
        body = b"".join(parts)
        await asyncio.sleep(0)  # as in `_flush`; head and body leave together, as uvicorn's do
        self._send_head(answer, length=len(body))
        if hangup:
            await self._hang_up(body[: len(body) // 2], hangup.reset)
        self._writer.write(self._framed(body))
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    async def _write_wrong(self, answer: Answer, length_error: int) -> None:
        parts = [piece.data async for piece in answer.encoded() if isinstance(piece, Raw)]
        body = b"".join(parts)
        length = max(0, len(body) + length_error)
        self._send_head(answer, length)
        announced, beyond = body[:length], body[length:]
        await self._flush(self._framed(announced) + beyond)
        if length > len(body):
            raise _Gone
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    def _send_head(self, answer: Answer, length: int | None = None) -> None:
        headers = [("date", formatdate(usegmt=True)), ("server", "uvicorn"), *answer.headers]
        if length is not None:
            headers.append(("content-length", str(length)))
        if answer.content_type:
            headers.append(("content-type", answer.content_type))
        headers.append(("vary", "Origin"))
        self._send(h11.Response(status_code=answer.status, headers=headers))

    def _framed(self, data: bytes) -> bytes:
        return self._http.send(h11.Data(data=data)) or b""

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _flush(self, data: bytes) -> None:
        # Without this turn of the loop, a fast answer would hide that the client has disconnected.
        await asyncio.sleep(0)
        self._writer.write(data)
        await self._writer.drain()

    # Ending

    async def _hang_up(self, last_words: bytes, reset: bool) -> None:
        await self._flush(last_words)
        if reset:
            linger_zero = struct.pack("ii", 1, 0)
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
            self._writer.transport.abort()
        raise _Gone

    async def _close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError, TimeoutError):
            await self._writer.wait_closed()


async def pause(seconds: float | None) -> None:
    """Sleeps; None and infinity mean forever."""
    if seconds is None or math.isinf(seconds):
        await asyncio.Event().wait()
    elif seconds > 0:
        await asyncio.sleep(seconds)


def _request(head: h11.Request, body: bytes) -> Request:
    path, _, query = head.target.decode("latin-1").partition("?")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    return Request(head.method.decode("latin-1"), path, query, headers, body)
