"""The status with which the service ended an asynchronous call that writes.

If grpc.aio writes to a call that the service has just ended, it reports INTERNAL: before the status
of the service arrives, or in its place.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import grpc
from grpc import aio

_OF_WRITING = "Internal error from Core"
_PATIENCE_S = 10.0


class FinalStatus:
    """Records the status of a call."""

    def __init__(self, call: Any) -> None:
        """Begins to record, if the call is one that writes.

        Args:
            call: the call, which has just begun.
        """
        self._writes = isinstance(call, aio.StreamUnaryCall | aio.StreamStreamCall)
        self._known = asyncio.Event()
        self._error: aio.AioRpcError | None = None
        if self._writes:
            call.add_done_callback(self._record)

    async def of(self, error: Any) -> Any:
        """Returns an error of the call, with the status of the service, which may be OK."""
        if self._writes and _is_of_writing(error):
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await self._known.wait()
        return self._error or error

    def _record(self, call: Any) -> None:
        """Records the status; gRPC calls this once for each status that it sets."""
        error = aio.AioRpcError(
            _now(call.code()),
            _now(call.initial_metadata()),
            _now(call.trailing_metadata()),
            _now(call.details()),
            _now(call.debug_error_string()),
        )
        if error.code() and not _is_of_writing(error):
            self._known.set()
            self._error = error


def _is_of_writing(error: Any) -> bool:
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == _OF_WRITING


def _now(known: Coroutine[Any, Any, Any]) -> Any:
    """Returns the result of a coroutine, before another status replaces it; None if it waits."""
    try:
        known.send(None)
    except StopIteration as end:
        return end.value
    known.close()
    return None
