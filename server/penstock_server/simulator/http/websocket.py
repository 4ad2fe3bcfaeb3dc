"""The simulator's side of a websocket, over a connection that began with HTTP."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import h11
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.utils import accept_key

from penstock_server.simulator.http.requests import Request

_READ_SIZE = 65536


def is_opened_by(request: Request) -> bool:
    """Returns whether a request opens a websocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


def acceptance(request: Request) -> h11.InformationalResponse:
    """Returns the answer that opens the websocket."""
    accepted = accept_key(request.headers["sec-websocket-key"])
    headers = [("upgrade", "websocket"), ("connection", "Upgrade")]
    return h11.InformationalResponse(
        status_code=101, headers=[*headers, ("sec-websocket-accept", accepted)]
    )


class Websocket:
    """A websocket whose messages fit into one frame each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = Protocol(SERVER, state=OPEN)
        self._received = deque[bytes]()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yields what the client sends.

        Raises:
            ConnectionError: the client has disconnected.
        """
        while True:
            while self._received:
                yield self._received.popleft()
            await self._read()

    async def send(self, message: bytes) -> None:
        """Sends a message of text."""
        # Without this turn of the loop, a fast answer would hide that the client has disconnected.
        await asyncio.sleep(0)
        self._protocol.send_text(message)
        await self._flush()

    async def close(self) -> None:
        """Begins to close the websocket."""
        self._protocol.send_close(1000)
        await self._flush()

    async def while_open(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Waits, and receives what the client sends meanwhile.

        Raises:
            ConnectionError: the client has disconnected.
        """
        wait, gone = asyncio.ensure_future(waiting), asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait((wait, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()
            gone.cancel()
        if gone.done() and not gone.cancelled():
            gone.result()

    async def _gone(self) -> None:
        while True:
            await self._read()

    async def _read(self) -> None:
        """Receives more from the client.

        Raises:
            ConnectionError: the client has disconnected.
        """
        closed = self._protocol.close_expected()
        if closed or not (data := await self._reader.read(_READ_SIZE)):
            raise ConnectionResetError("the client closed the websocket")
        self._protocol.receive_data(data)
        self._received.extend(
            bytes(event.data)
            for event in self._protocol.events_received()
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY)
        )
        await self._flush()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
        await self._writer.drain()
