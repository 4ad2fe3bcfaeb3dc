"""Opening of a websocket: what goes wrong becomes the failure that HTTP would have."""

import asyncio
import socket
from time import monotonic
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from penstock_server.upstream.answer import malformed, refusal
from penstock_server.upstream.call import Attempts
from penstock_server.upstream.exchange import ID
from penstock_server.upstream.failure import Stage, UpstreamFailure
from penstock_server.upstream.http.address import Address, tls_context
from penstock_server.upstream.limits import Limits
from penstock_server.upstream.response import Response
from penstock_server.upstream.transport_failures import failure_of

_CLOSE_S = 1.0
_MOST_WAITING_FRAMES = 256
"""The number of frames that wait for a slow reader; the upstream waits beyond it.

It is large, because an upstream whose pings have no answer closes the websocket.
"""
_SET_BY_LIBRARY = ("host", "accept", "accept-encoding")


class _Connect(connect):
    """Opens a websocket, but follows no redirect: the server there may be another one."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def connected(
    address: Address, request: httpx.Request, limits: Limits, attempts: Attempts, most_bytes: int
) -> ClientConnection:
    """Returns an open websocket.

    Args:
        address: where to connect to.
        request: the request that a websocket begins with, to a URL of HTTP.
        limits: the time limits.
        attempts: the record of the call's requests.
        most_bytes: the largest message to receive.

    Raises:
        UpstreamFailure: the upstream cannot be reached or has refused.
    """
    opened = await _reached(address, limits)
    try:
        left_s = limits.answered_by() - monotonic()
        async with asyncio.timeout(left_s if left_s != float("inf") else None):
            return await _upgraded(opened, address, request, most_bytes)
    except InvalidStatus as error:
        attempts.status = error.response.status_code
        raise await _refusal(error, request, limits, attempts) from error
    except InvalidHandshake as error:
        if isinstance(error.__cause__, EOFError | OSError):
            raise _failure(httpx.RemoteProtocolError(str(error)), limits) from error
        raise malformed("it is not an answer to a websocket", Stage.HEADERS) from error
    except TimeoutError as error:
        raise _failure(httpx.ReadTimeout("no answer in time"), limits) from error
    except ConnectionError as error:
        raise _failure(httpx.ReadError(str(error)), limits) from error
    except OSError as error:
        raise _failure(httpx.ConnectError(str(error)), limits) from error


async def _reached(address: Address, limits: Limits) -> socket.socket:
    try:
        async with asyncio.timeout(limits.timeouts["connect"]):
            return await address.open_socket()
    except TimeoutError as error:
        raise _failure(httpx.ConnectTimeout("could not connect in time"), limits) from error
    except (OSError, UnicodeError) as error:
        raise _failure(httpx.ConnectError(str(error)), limits) from error


async def _upgraded(
    opened: socket.socket, address: Address, request: httpx.Request, most_bytes: int
) -> ClientConnection:
    scheme = "wss" if address.tls else "ws"
    tls: dict[str, Any] = {"ssl": tls_context(address.tls)} if address.tls else {}
    headers = [pair for pair in request.headers.items() if pair[0] not in _SET_BY_LIBRARY]
    return await _Connect(
        str(request.url.copy_with(scheme=scheme)),
        sock=opened,
        additional_headers=headers,
        user_agent_header=None,
        compression=None,
        open_timeout=None,
        close_timeout=_CLOSE_S,
        # The idle limit detects an upstream that says nothing; a slow reader delays answers.
        ping_interval=None,
        max_size=most_bytes,
        max_queue=_MOST_WAITING_FRAMES,
        **tls,
    )


async def _refusal(
    error: InvalidStatus, request: httpx.Request, limits: Limits, attempts: Attempts
) -> UpstreamFailure:
    refused = error.response
    answer = httpx.Response(
        refused.status_code,
        headers=list(refused.headers.raw_items()),
        stream=httpx.ByteStream(bytes(refused.body or b"")),
    )
    response = Response(answer, request.extensions[ID], attempts, limits, len(refused.body or b""))
    return await refusal(response)


def _failure(error: Exception, limits: Limits) -> UpstreamFailure:
    return failure_of(error, Stage.HEADERS, limits.answer())
