"""Limits of calls of health and reflection, and the end of these calls when the server stops.

They need no key, and their streams last as long as the caller wants.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from os import urandom
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from penstock_server.rpc import status
from penstock_server.rpc.calls import PACKAGE, GrpcContext, Handler
from penstock_server.rpc.status import trailers


class Watches(aio.ServerInterceptor):
    """Limits calls of health and reflection, in total and on each connection.

    It parses their requests: in gRPC, one that does not parse ends as UNKNOWN.
    """

    def __init__(self, most: int, most_per_connection: int) -> None:
        """Limits the calls; 0 for no limit."""
        self._most = most
        self._most_per_connection = most_per_connection
        self._tasks: set[asyncio.Task[Any]] = set()
        self._peers = Counter[str]()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Returns the handler of a method, wrapped unless the method is of our package."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(PACKAGE):
            return handler
        return self._streaming(handler) if handler.response_streaming else self._unary(handler)

    def end_all(self) -> None:
        """Ends all calls, so that none delays the server's stop."""
        running, self._tasks = self._tasks, set()
        for task in running:
            task.cancel()

    def _unary(self, handler: Handler) -> Handler:
        behavior: Any = handler.unary_unary
        parse: Any = handler.request_deserializer

        async def serve(requests: Any, context: GrpcContext) -> Any:
            async with self._place(context):
                return await behavior(await _single(parse, context), context)

        made: Any = serve
        return grpc.stream_unary_rpc_method_handler(
            made, response_serializer=handler.response_serializer
        )

    def _streaming(self, handler: Handler) -> Handler:
        behavior: Any = handler.stream_stream or handler.unary_stream
        parse: Any = handler.request_deserializer

        async def serve(requests: Any, context: GrpcContext) -> None:
            async with self._place(context):
                if handler.request_streaming:
                    request: Any = _each(parse, requests, context)
                else:
                    request = await _single(parse, context)
                async with aclosing(behavior(request, context)) as messages:
                    async for message in messages:
                        await context.write(message)

        made: Any = serve
        return grpc.stream_stream_rpc_method_handler(
            made, response_serializer=handler.response_serializer
        )

    @asynccontextmanager
    async def _place(self, context: GrpcContext) -> AsyncIterator[None]:
        """Counts a call while it runs, or ends it if there are too many."""
        task, peer = asyncio.current_task(), context.peer()
        assert task
        if self._most and len(self._tasks) >= self._most:
            await _abort(context, status.of_watches(self._most, "max_watches"))
        # All callers at a Unix socket look the same.
        limit = 0 if peer.startswith("unix:") else self._most_per_connection
        if limit and self._peers[peer] >= limit:
            await _abort(context, status.of_watches(limit, "max_watches_per_connection"))
        self._tasks.add(task)
        self._peers[peer] += 1
        try:
            yield
        except asyncio.CancelledError:
            # Ended by `end_all`, unless the caller also cancelled the call.
            if task in self._tasks or task.uncancel():
                raise
            await _abort(context, status.of_draining())
        finally:
            self._tasks.discard(task)
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]


async def _single(parse: Any, context: GrpcContext) -> Any:
    data: Any = await context.read()
    if data is aio.EOF:
        await _abort(context, status.of_no_request())
    return await _parsed(parse, data, context)


async def _each(parse: Any, requests: AsyncIterator[bytes], context: GrpcContext) -> Any:
    async for data in requests:
        yield await _parsed(parse, data, context)


async def _parsed(parse: Any, data: bytes, context: GrpcContext) -> Any:
    try:
        return parse(data)
    except DecodeError:
        await _abort(context, status.of_undecodable())


async def _abort(context: GrpcContext, ended: status.Status) -> NoReturn:
    message, metadata = trailers(ended, urandom(16).hex())
    await context.abort(ended.row.code, message, metadata)
