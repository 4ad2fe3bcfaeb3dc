"""The interceptor that runs every call: reads its request, writes its replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain
from time import monotonic
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio

from penstock_server.rpc import status
from penstock_server.rpc.calls.arrival import Arrivals
from penstock_server.rpc.calls.context import CallNext, GrpcContext, Middleware, Rpc
from penstock_server.rpc.calls.endings import ReplyTooLarge
from penstock_server.rpc.calls.parsing import Parser
from penstock_server.rpc.calls.reports import reader

PACKAGE = "/penstock.v1."

_METADATUM_BYTES = 32

# Generic for type checkers only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallInterceptor(aio.ServerInterceptor):
    """Runs every call of our package inside the middleware, the first outermost.

    It reads and parses single requests inside the middleware: gRPC itself would wait forever for
    a call's message, and a message that cannot be parsed would end with gRPC's own status. It
    serializes replies to check their size. It drives streams with `context.write`, so that a
    stream that ends early, also by cancellation, closes its servicer's generator before the call
    is over.
    """

    def __init__(
        self,
        middleware: Sequence[Middleware],
        arrivals: Arrivals,
        *,
        max_message_bytes: int,
        max_metadata_bytes: int,
        max_request_entries: int,
    ) -> None:
        """Creates the interceptor.

        Args:
            middleware: surrounds every call, in order.
            arrivals: waits for request messages.
            max_message_bytes: the size of the largest reply.
            max_metadata_bytes: the size of the largest metadata of a call.
            max_request_entries: the largest number of entries in one request message.
        """
        self._middleware = middleware
        self._arrivals = arrivals
        self._max_message_bytes = max_message_bytes
        self._max_metadata_bytes = max_metadata_bytes
        self._max_request_entries = max_request_entries
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Returns the handler of a method, wrapped."""
        method = handler_call_details.method
        # gRPC enforces the limit only against callers that acknowledge its settings.
        if metadata_size(handler_call_details.invocation_metadata) > self._max_metadata_bytes:
            return self._refusal(method)
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(PACKAGE):
            return handler
        wrap = self._streaming if handler.response_streaming else self._unary
        wrapped = wrap(handler, method)
        if handler.request_deserializer:
            # Only methods that exist are kept: callers can name any number of others.
            self._wrapped[method] = wrapped
        return wrapped

    def _refusal(self, method: str) -> Handler:
        """Returns a handler that refuses a call for its metadata."""
        limit = self._max_metadata_bytes

        async def refuse(rpc: Rpc) -> NoReturn:
            raise status.Refusal(status.of_large_metadata(limit))

        made: Any = self._surrounded(method, refuse)
        return grpc.stream_stream_rpc_method_handler(made)

    def _unary(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.stream_unary or handler.unary_unary
        read, serialize = self._reader(handler), handler.response_serializer
        record = reader(method)

        async def answer(rpc: Rpc) -> bytes:
            message = await behavior(await read(rpc), rpc)
            record(rpc, message)
            reply = self._serialized(message, serialize)
            rpc.bytes_sent = len(reply)
            return reply

        serve = self._surrounded(method, answer)
        return grpc.stream_unary_rpc_method_handler(serve)

    def _streaming(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.stream_stream or handler.unary_stream
        read, serialize = self._reader(handler), handler.response_serializer
        record, serialized = reader(method), self._serialized

        async def answer(rpc: Rpc) -> None:
            write = rpc.context.write
            async with aclosing(behavior(await read(rpc), rpc)) as messages:
                async for message in messages:
                    record(rpc, message)
                    reply = serialized(message, serialize)
                    if not rpc.messages_sent:
                        await rpc.context.send_initial_metadata(_initial_metadata(rpc))
                        rpc.first_message = monotonic()
                    # Counted first: it arrives even if the call ends before `write` returns.
                    rpc.messages_sent += 1
                    rpc.bytes_sent += len(reply)
                    await write(reply)

        made: Any = self._surrounded(method, answer)
        return grpc.stream_stream_rpc_method_handler(made)

    def _reader(self, handler: Handler) -> CallNext:
        """Returns a reader of a single request, or the iterator over a stream of them."""
        deserialize: Any = handler.request_deserializer
        if not deserialize:
            return _unparsed
        # Generated code passes `FromString` of the message type.
        parser = Parser(deserialize.__self__, self._max_request_entries)
        return partial(_each if handler.request_streaming else _single, parser, self._arrivals)

    def _serialized(self, message: Any, serialize: Any) -> bytes:
        # Not `serialize` itself, because a message may be extended by fields in wire form.
        answer: bytes = message.SerializeToString() if serialize else message
        if len(answer) > self._max_message_bytes:
            raise ReplyTooLarge(len(answer), self._max_message_bytes)
        return answer

    def _surrounded(
        self, method: str, answer: CallNext
    ) -> Callable[[Any, GrpcContext], Awaitable[Any]]:
        """Returns the function that serves a method: the middleware around the handler."""
        call_next = answer
        for middleware in reversed(self._middleware):
            call_next = partial(middleware, call_next)

        max_reply_bytes = self._max_message_bytes

        async def serve(request: Any, context: GrpcContext) -> Any:
            rpc = Rpc(method, context, request)
            rpc.max_reply_bytes = max_reply_bytes
            return await call_next(rpc)

        return serve


async def _unparsed(rpc: Rpc) -> Any:
    return rpc.request


async def _each(parser: Parser, arrivals: Arrivals, rpc: Rpc) -> Any:
    return parser.each(rpc, _arriving(arrivals, rpc))


async def _arriving(arrivals: Arrivals, rpc: Rpc) -> AsyncIterator[bytes]:
    """Yields the messages of a request stream as they arrive."""
    first, requests = True, aiter(rpc.request)
    while (data := await arrivals.arrived(rpc, anext(requests, None), first=first)) is not None:
        rpc.on_arrival()
        if first:
            rpc.admitted, rpc.requested, first = True, monotonic(), False
        rpc.messages_received += 1
        rpc.bytes_received += len(data)
        yield data


async def _single(parser: Parser, arrivals: Arrivals, rpc: Rpc) -> Any:
    data: Any = await arrivals.arrived(rpc, rpc.context.read(), first=True)
    if data is aio.EOF:
        await require_end(rpc)
        raise status.Refusal(status.of_no_request())
    rpc.on_arrival()
    rpc.admitted, rpc.requested = True, monotonic()
    rpc.messages_received, rpc.bytes_received = 1, len(data)
    return await parser.parsed(rpc, data)


def metadata_size(metadata: Any) -> int:
    """Returns the size of metadata as HTTP/2 counts it."""
    every = tuple(metadata or ())
    return sum(map(len, chain.from_iterable(every))) + len(every) * _METADATUM_BYTES


async def require_end(rpc: Rpc) -> None:
    """Waits for the end of the caller's request, because a part of a request must not count.

    When a call is cancelled, or its deadline passes, gRPC ends its messages as if they were
    complete, and cancels the handler just after. Another read returns only once it has done so. The
    handler may run in another task than this one; it gets a turn to cancel this one.

    Raises:
        asyncio.CancelledError: the call is over.
    """
    await rpc.context.read()
    await asyncio.sleep(0)
    remaining = rpc.context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise asyncio.CancelledError


def _initial_metadata(rpc: Rpc) -> tuple[tuple[str, str], ...]:
    # It is sent only once there is an answer: after initial metadata, gRPC does not retry. A single
    # answer has none, as trailing metadata follows at once, and it costs half an empty call.
    # A stream has it even if the caller chose the id: the API promises it, interceptors or gateways
    # that did not choose the id may read it, and grpcio has no call that sends it with a message.
    return (("x-request-id", rpc.request_id),)
