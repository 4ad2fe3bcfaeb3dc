"""A gRPC server that continues to serve after a call whose path is not UTF-8.

grpcio 1.84 and later decode paths in the loop that accepts calls. A path that is not UTF-8 raises
there, which ends the loop, and with it the server: one call without a key would stop the service.
Here another loop takes over. The call itself ends as CANCELLED.

The overridden methods are not public. With a grpcio that lacks them, `server` returns grpcio's own.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, cast

from grpc import aio
from grpc._cython import cygrpc
from grpc.aio import _server as grpcio

from penstock_server.rpc.middleware import Quota
from penstock_server.telemetry import events

OVERRIDDEN = ("_request_call", "_serving_task_crash_handler", "_start_shutting_down")
_LINES_PER_MINUTE = 6


def server(
    interceptors: Sequence[aio.ServerInterceptor], options: Sequence[tuple[str, int]]
) -> aio.Server:
    """Returns a server without handlers, as `aio.server` does."""
    if all(hasattr(cygrpc.AioServer, name) for name in OVERRIDDEN):
        lasting: Any = _Server(interceptors, options)
        return cast(aio.Server, lasting)
    return aio.server(interceptors=interceptors, options=options)


class _Server(grpcio.Server):
    """grpcio's own server, with another core."""

    def __init__(self, interceptors: Sequence[Any], options: Sequence[tuple[str, int]]) -> None:
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(self._loop, None, (), interceptors, tuple(options), None)


class _Core(cygrpc.AioServer):  # type: ignore[misc]
    """Owns the ports and the calls; a successor accepts calls after its own loop has ended."""

    def __init__(self, *arguments: Any) -> None:
        self._handlers: list[Any] = []
        super().__init__(*arguments)
        self._arguments = arguments
        self._successor: _Successor | None = None
        self._succeeding: asyncio.Task[None] | None = None
        self._lines = Quota(_LINES_PER_MINUTE)

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Adds handlers, for successors too."""
        self._handlers.extend(handlers)
        super().add_generic_rpc_handlers(handlers)

    def successor(self) -> "_Successor":
        """Returns a server that can accept the calls of this one, not yet started."""
        made = _Successor(*self._arguments)
        made.add_generic_rpc_handlers(self._handlers)
        # This replaces grpcio's own method; the calls belong to the server that requested them.
        made._request_call = self._request_call  # noqa: SLF001
        made.ended = self._serving_task_crash_handler
        return made

    def _serving_task_crash_handler(self, loop: asyncio.Task[None]) -> None:
        """Replaces a loop that met a path that is not UTF-8."""
        if loop.cancelled() or not isinstance(loop.exception(), UnicodeDecodeError):
            super()._serving_task_crash_handler(loop)
        elif self.is_running():
            if not self._lines.take(monotonic()):
                events.PATH_NOT_UTF8.log()
            self._succeeding = asyncio.ensure_future(self._succeed())
            self._succeeding.add_done_callback(super()._serving_task_crash_handler)

    async def _succeed(self) -> None:
        if self._successor:
            await self._successor.shutdown(None)
        self._successor = self.successor()
        await self._successor.start()

    async def _start_shutting_down(self) -> None:
        if self._succeeding:
            await asyncio.wait((self._succeeding,))
        # The successor's loop ends when our shutdown fails the request for the next call.
        ending = self._successor and asyncio.ensure_future(self._successor.shutdown(None))
        with suppress(UnicodeDecodeError):
            await super()._start_shutting_down()
        if ending:
            await ending


class _Successor(cygrpc.AioServer):  # type: ignore[misc]
    """Accepts the calls of another server, without ports or calls of its own.

    Attributes:
        ended: called with its loop when the loop has ended.
    """

    ended: Any

    def _serving_task_crash_handler(self, loop: asyncio.Task[None]) -> None:
        self.ended(loop)

    async def _start_shutting_down(self) -> None:
        with suppress(Exception):  # `ended` was called with it
            await super()._start_shutting_down()
