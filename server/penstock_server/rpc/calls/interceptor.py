"""How every RPC is driven: its request read, its replies written, and concerns around it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio

from penstock_server.rpc import status
from penstock_server.rpc.calls.arrival import Arrivals
from penstock_server.rpc.calls.context import Rpc, current
from penstock_server.rpc.calls.parsing import Parser

PACKAGE = "/penstock.v1."

_METADATUM_BYTES = 32

# Generic for type checkers only.
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Proceed: TypeAlias = Callable[[Rpc, "Context"], Awaitable[Any]]
Around: TypeAlias = Callable[[Proceed, Rpc, "Context"], Awaitable[Any]]


class ReplyTooLarge(Exception):
    """A reply is over the limit of one message.

    Attributes:
        size: its size in bytes.
        limit: the limit in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        """Takes both."""
        super().__init__(size, limit)
        self.size = size
        self.limit = limit


class Interceptors(aio.ServerInterceptor):
    """Runs every RPC of our package inside the given concerns, the first outermost.

    A concern is a coroutine function around the whole RPC: it awaits what proceeds with the RPC,
    and returns what that returns. Streams are driven here with `context.write`, so that a stream
    that ends early, by cancellation too, closes its servicer's generator before the RPC is over.
    Single requests are read and parsed here, inside the concerns: gRPC itself would leave a call
    without a message alone for ever, and wait for one that is slow to come without any limit. One
    that is no message at all ends in a status of ours, too; and replies are serialized here, for
    one that is too large.
    """

    def __init__(
        self,
        concerns: Sequence[Around],
        arrivals: Arrivals,
        *,
        max_message_bytes: int,
        max_metadata_bytes: int,
        max_request_entries: int,
    ) -> None:
        """Prepares the handlers' surroundings.

        Args:
            concerns: what stands around every RPC, in order.
            arrivals: what waits for the messages of requests.
            max_message_bytes: the size of the largest reply.
            max_metadata_bytes: the size of the largest metadata of a call.
            max_request_entries: how many entries one message of a request may have.
        """
        self._concerns = concerns
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
        # gRPC itself holds only those callers to the limit who acknowledge its settings.
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
            # A servicer's. Of methods that are not there, callers can name any number.
            self._wrapped[method] = wrapped
        return wrapped

    def _refusal(self, method: str) -> Handler:
        """Returns what refuses a call for its metadata."""
        limit = self._max_metadata_bytes

        async def refuse(rpc: Rpc, context: Context) -> NoReturn:
            raise status.Refusal(status.of_large_metadata(limit))

        made: Any = self._inside(method, refuse)
        return grpc.stream_stream_rpc_method_handler(made)

    def _unary(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.stream_unary or handler.unary_unary
        read, serialize = self._reader(handler), handler.response_serializer

        async def answer(rpc: Rpc, context: Context) -> bytes:
            return self._serialized(await behavior(await read(rpc, context), context), serialize)

        serve = self._inside(method, answer)
        return grpc.stream_unary_rpc_method_handler(serve)

    def _streaming(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.stream_stream or handler.unary_stream
        read, serialize = self._reader(handler), handler.response_serializer

        async def answer(rpc: Rpc, context: Context) -> None:
            request = await read(rpc, context)
            async with aclosing(behavior(request, context)) as messages:
                async for message in messages:
                    reply = self._serialized(message, serialize)
                    if not rpc.messages_sent:
                        await context.send_initial_metadata(_initial_metadata(rpc))
                    # It arrives even if the call ends before this returns.
                    rpc.messages_sent += 1
                    await context.write(reply)

        made: Any = self._inside(method, answer)
        return grpc.stream_stream_rpc_method_handler(made)

    def _reader(self, handler: Handler) -> Callable[[Rpc, Context], Awaitable[Any]]:
        """Returns what reads a single request, or the iterator over a stream of them."""
        deserialize: Any = handler.request_deserializer
        if not deserialize:
            return _as_it_is
        # The generated code names `FromString` of the type.
        parser = Parser(deserialize.__self__, self._max_request_entries)
        return partial(_each if handler.request_streaming else _single, parser, self._arrivals)

    def _serialized(self, message: Any, serialize: Any) -> bytes:
        answer: bytes = serialize(message) if serialize else message
        if len(answer) > self._max_message_bytes:
            raise ReplyTooLarge(len(answer), self._max_message_bytes)
        return answer

    def _inside(self, method: str, answer: Proceed) -> Callable[[Any, Context], Awaitable[Any]]:
        """Returns what serves a method: the concerns, and what answers inside them."""
        proceed = answer
        for concern in reversed(self._concerns):
            proceed = partial(concern, proceed)

        async def serve(request: Any, context: Context) -> Any:
            rpc = Rpc(method, dict(context.invocation_metadata() or ()), request)
            current.set(rpc)
            return await proceed(rpc, context)

        return serve


async def _as_it_is(rpc: Rpc, context: Context) -> Any:
    return rpc.request


async def _each(parser: Parser, arrivals: Arrivals, rpc: Rpc, context: Context) -> Any:
    return parser.each(rpc, _arriving(arrivals, rpc))


async def _arriving(arrivals: Arrivals, rpc: Rpc) -> AsyncIterator[bytes]:
    """Yields the messages of a stream of requests as they arrive."""
    first, requests = True, aiter(rpc.request)
    while (data := await arrivals.awaited(anext(requests, None), first=first)) is not None:
        rpc.arrived()
        rpc.admitted, first = True, False
        yield data


async def _single(parser: Parser, arrivals: Arrivals, rpc: Rpc, context: Context) -> Any:
    data: Any = await arrivals.awaited(context.read(), first=True)
    if data is aio.EOF:
        await require_end(context)
        raise status.Refusal(status.of_no_request())
    rpc.arrived()
    rpc.admitted = True
    message = await parser.parsed(rpc, data)
    rpc.model = getattr(message, "model", "")
    return message


def metadata_size(metadata: Any) -> int:
    """Returns the size of metadata as HTTP/2 counts it."""
    every = tuple(metadata or ())
    return sum(map(len, chain.from_iterable(every))) + len(every) * _METADATUM_BYTES


async def require_end(context: Any) -> None:
    """Returns if the caller has ended the requests of an RPC; half of them is not the whole.

    gRPC ends the messages of a call that was cancelled, or whose deadline passed, as if they were
    all, and cancels the handler just after. Another read comes back when it has. The handler may
    be another task than this one; it is given a turn to end this one.

    Raises:
        asyncio.CancelledError: the call is over.
    """
    await context.read()
    await asyncio.sleep(0)
    remaining = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise asyncio.CancelledError


def _initial_metadata(rpc: Rpc) -> tuple[tuple[str, str], ...]:
    # Only once there is an answer: after initial metadata, gRPC does not retry. Not for a single
    # answer, whose trailing metadata is there at once: it costs as much as half an empty call.
    return (("x-request-id", rpc.request_id),)
