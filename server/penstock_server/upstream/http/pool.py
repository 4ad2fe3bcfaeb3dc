"""Reusable connections to one address."""

import asyncio
import math
import ssl
from collections import deque
from collections.abc import Mapping
from time import monotonic

import httpx

from penstock_server.upstream.http.address import Address, tls_context
from penstock_server.upstream.http.connection import READ_SIZE, Connection

# uvicorn, vLLM's HTTP server, closes idle connections after 5 s. We close them earlier, so that no
# request is sent on a connection that is just being closed.
_KEEPALIVE_EXPIRY_S = 4.0


class Pool:
    """Connections to one address.

    Attributes:
        in_use: the number of connections that are acquired or being opened.
    """

    def __init__(self, address: Address, most: int) -> None:
        """Creates a pool; opens no connection yet.

        Args:
            address: the address.
            most: the most connections at once.
        """
        self.in_use = 0
        self._address = address
        self._free = most
        # Requests that find none free wait until one is handed over. A semaphore for all requests
        # would cost each of them more.
        self._waiting = 0
        self._handed_over = asyncio.Semaphore(0)
        self._idle: deque[Connection] = deque()
        self._buffer = bytearray(READ_SIZE)
        self._tls: ssl.SSLContext | None = None
        self._closed = False

    def close(self) -> None:
        """Closes idle connections now, and those in use when they are released."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def acquire(
        self, timeouts: Mapping[str, float | None], until: float, *, fresh: bool = False
    ) -> Connection:
        """Returns a connection that is ready for a request; pass it to `release` afterwards.

        Args:
            timeouts: the longest waits in seconds, by httpx's names: `pool`, until another may be
                in use, and `connect`, until a new one is open; None for no limit.
            until: the end of all waiting, also for the answer, by the monotonic clock.
            fresh: whether it must be a new one.

        Raises:
            httpx.PoolTimeout: the most connections are in use.
            httpx.TransportError: none could be opened.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait_for_slot(_shorter(timeouts.get("pool"), until))
        self.in_use += 1
        try:
            connection = self._take_idle()
            if connection and fresh:
                connection.close()
            if fresh or not connection:
                connection = await self._connect(_shorter(timeouts.get("connect"), until))
            connection.begin(until)
            return connection
        except BaseException:
            self._release_slot()
            raise

    def release(self, connection: Connection) -> None:
        """Keeps a connection if it can be used again, or else closes it."""
        self._release_slot()
        if connection.reusable and not self._closed:
            connection.used = True
            connection.idle_since = monotonic()
            self._idle.append(connection)
        else:
            connection.close()

    async def _wait_for_slot(self, timeout_s: float | None) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._handed_over.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are in use") from None
        finally:
            self._waiting -= 1

    def _release_slot(self) -> None:
        self.in_use -= 1
        if self._waiting:
            self._handed_over.release()
        else:
            self._free += 1

    def _take_idle(self) -> Connection | None:
        """Returns the connection that was used last."""
        latest = monotonic() - _KEEPALIVE_EXPIRY_S
        while self._idle and self._idle[0].idle_since < latest:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _connect(self, timeout_s: float | None) -> Connection:
        try:
            async with asyncio.timeout(timeout_s):
                if self._address.tls and not self._tls:
                    # Reading the system's certificates takes a tenth of a second.
                    self._tls = await asyncio.to_thread(tls_context, self._address.tls)
                return await self._address.connect(lambda: Connection(self._buffer), self._tls)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("could not connect in time") from error
        except ssl.SSLCertVerificationError as error:
            raise httpx.ConnectError(f"TLS: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise httpx.ConnectError(f"TLS: {error.reason or error}") from error
        except OSError as error:
            raise httpx.ConnectError(error.strerror or str(error)) from error
        except UnicodeError as error:
            # The resolver refuses the name itself, such as one with an empty label.
            raise httpx.ConnectError(f"no host can have this name: {error}") from error


def _shorter(timeout_s: float | None, until: float) -> float | None:
    """Returns the shorter of two limits in seconds; None if there is none."""
    left_s = until - monotonic()
    shortest = left_s if timeout_s is None else min(timeout_s, left_s)
    return None if shortest == math.inf else shortest
