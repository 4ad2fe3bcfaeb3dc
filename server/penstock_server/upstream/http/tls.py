"""TLS on a connection, which delivers what arrived before a failure, as one without TLS does.

The event loop closes a connection as soon as sending fails, without reading what has arrived, such
as the refusal of an upload.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

_READ_SIZE = 64 * 1024


async def encrypt(
    transport: asyncio.Transport,
    protocol: asyncio.BufferedProtocol,
    context: ssl.SSLContext,
    name: str,
) -> asyncio.Transport:
    """Begins TLS on an open connection; returns the transport for encrypted data.

    Args:
        transport: the connection.
        protocol: what receives the decrypted data.
        context: how to verify the server.
        name: the name that its certificate must bear.

    Raises:
        OSError: the connection is closed, or an ssl.SSLError.
    """
    if transport.is_closing():
        raise ConnectionResetError("the connection was closed at once")
    loop = asyncio.get_running_loop()
    encrypted = await loop.start_tls(transport, protocol, context, server_hostname=name)
    assert encrypted
    if not transport.is_closing():
        decrypting = cast(asyncio.BufferedProtocol, transport.get_protocol())
        transport.set_protocol(_ToTheEnd(transport, decrypting))
    return encrypted


class _ToTheEnd(asyncio.BufferedProtocol):
    """The protocol that decrypts a connection, which also receives what the event loop left."""

    def __init__(self, transport: asyncio.Transport, decrypting: asyncio.BufferedProtocol) -> None:
        self._transport = transport
        self._decrypting = decrypting
        # The methods themselves: they are called for every part of a stream.
        self.get_buffer = decrypting.get_buffer  # type: ignore[method-assign]
        self.buffer_updated = decrypting.buffer_updated  # type: ignore[method-assign]
        self.eof_received = decrypting.eof_received  # type: ignore[method-assign]
        self.pause_writing = decrypting.pause_writing  # type: ignore[method-assign]
        self.resume_writing = decrypting.resume_writing  # type: ignore[method-assign]

    def connection_lost(self, exc: Exception | None) -> None:
        if exc:
            receive_rest(self._transport, self._next_buffer, self.buffer_updated)
        self._decrypting.connection_lost(exc)

    def _next_buffer(self) -> memoryview:
        return memoryview(self.get_buffer(_READ_SIZE))


def receive_rest(
    transport: asyncio.Transport,
    buffer: Callable[[], memoryview],
    received: Callable[[int], object],
) -> None:
    """Receives what arrived before sending failed, which the event loop does not read any more.

    Args:
        transport: the connection, which is not encrypted.
        buffer: returns where to write the next bytes.
        received: called with their number.
    """
    with suppress(OSError):
        descriptor = os.dup(transport.get_extra_info("socket").fileno())
        with socket.socket(fileno=descriptor) as arrived:
            while size := arrived.recv_into(buffer()):
                received(size)
