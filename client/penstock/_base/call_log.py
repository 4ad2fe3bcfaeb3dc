"""The debug log of calls: `logging.getLogger("penstock.client").setLevel(logging.DEBUG)`.

It contains metadata, without credentials, and no contents of messages.
"""

import logging
import re
import time
from collections.abc import Iterable
from typing import Any

import grpc

LOGGER = logging.getLogger("penstock.client")

# Names of metadata with credentials, of this service and of gateways in front of it.
_SECRET = re.compile("auth|cookie|credential|key|passw|secret|signature|token", re.IGNORECASE)


class CallLog:
    """The log of one call.

    Args:
        request: the request, or the requests.
        arguments: the arguments of gRPC.
    """

    __slots__ = ("_enabled", "_name", "_started")

    def __init__(self, request: Any, arguments: dict[str, Any]) -> None:
        self._enabled = LOGGER.isEnabledFor(logging.DEBUG)
        if self._enabled:
            self._started = time.monotonic()
            self._name = type(request).__name__
            timeout, sent = arguments["timeout"], _shown(arguments["metadata"])
            LOGGER.debug("%s: call with timeout %s, metadata %s", self._name, timeout, sent)

    def received(self, metadata: Any) -> None:
        """Records the metadata that precedes the answer."""
        if self._enabled:
            LOGGER.debug("%s: received metadata %s", self._name, _shown(metadata))

    def ended(self, trailers: Any) -> None:
        """Records the end with OK."""
        if self._enabled:
            self._end("OK", trailers)

    def failed(self, error: BaseException) -> None:
        """Records the end with an error, in gRPC's own words."""
        if self._enabled:
            call: Any = error
            if isinstance(error, grpc.RpcError):
                self._end(f"{call.code().name} ({call.details()})", call.trailing_metadata())
            else:
                self._end(repr(error), ())

    def _end(self, how: str, trailers: Any) -> None:
        took = time.monotonic() - self._started
        LOGGER.debug("%s: %s after %.3f s, trailers %s", self._name, how, took, _shown(trailers))


def _shown(metadata: Iterable[tuple[str, Any]] | None) -> str:
    return ", ".join(f"{key}: {_value(key, value)}" for key, value in metadata or ()) or "none"


def _value(key: str, value: str | bytes) -> str:
    if _SECRET.search(key):
        return "(hidden)"
    return value if isinstance(value, str) else f"({len(value)} bytes)"
