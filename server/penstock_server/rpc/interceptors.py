"""What happens around every RPC, in one written order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from time import monotonic
from traceback import walk_tb
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, UnsupportedRequest
from penstock_server.rpc import status
from penstock_server.rpc.rpc import Rpc, current
from penstock_server.rpc.trailers import trailers
from penstock_server.telemetry import log
from penstock_server.upstream.failure import UpstreamFailure

PACKAGE = "/penstock.v1."

# Generic for type checkers only.
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Proceed: TypeAlias = "Callable[[Rpc, Context], Awaitable[Any]]"
Around: TypeAlias = "Callable[[Proceed, Rpc, Context], Awaitable[Any]]"

_LONGEST_LOGGED_NAME = 256

_log = logging.getLogger("penstock.rpc")


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
    Single requests are parsed here, so that one that is no message at all ends in a status of
    ours, too; and replies are serialized here, for one that is too large.
    """

    def __init__(self, concerns: Sequence[Around], max_message_bytes: int) -> None:
        """Takes the concerns in order and the size of the largest reply."""
        self._concerns = concerns
        self._max_message_bytes = max_message_bytes
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Returns the handler of a method, wrapped."""
        method = handler_call_details.method
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

    def _unary(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.stream_unary or handler.unary_unary
        read = _reader(handler)

        async def answer(rpc: Rpc, context: Context) -> bytes:
            return self._serialized(await behavior(read(rpc), context), handler)

        serve = self._inside(method, answer)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(serve, _decoder(handler))
        return grpc.unary_unary_rpc_method_handler(serve)

    def _streaming(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.stream_stream or handler.unary_stream
        read = _reader(handler)

        async def answer(rpc: Rpc, context: Context) -> None:
            async with aclosing(behavior(read(rpc), context)) as messages:
                async for message in messages:
                    reply = self._serialized(message, handler)
                    if not rpc.messages_sent:
                        await context.send_initial_metadata(_initial_metadata(rpc))
                    await context.write(reply)
                    rpc.messages_sent += 1

        made: Any = self._inside(method, answer)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(made, _decoder(handler))
        return grpc.unary_stream_rpc_method_handler(made)

    def _serialized(self, message: Any, handler: Handler) -> bytes:
        serialize = handler.response_serializer
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


def _reader(handler: Handler) -> Callable[[Rpc], Any]:
    """Returns what parses a single request; a stream of requests is left as it is."""
    if handler.request_streaming or handler.request_deserializer is None:
        return lambda rpc: rpc.request
    decode = _decoder(handler)

    def read(rpc: Rpc) -> Any:
        message = decode(rpc.request)
        rpc.model = getattr(message, "model", "")
        return message

    return read


def _decoder(handler: Handler) -> Callable[[bytes], Any]:
    """Returns what reads a message of a request, and refuses what is none.

    Only here does a `DecodeError` tell of the caller: copying an answer can raise one, too.
    """
    read: Any = handler.request_deserializer

    def decode(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            raise status.Refusal(status.of_undecodable()) from None

    return decode


def _initial_metadata(rpc: Rpc) -> tuple[tuple[str, str], ...]:
    # Only once there is an answer: after initial metadata, gRPC does not retry. Not for a single
    # answer, whose trailing metadata is there at once: it costs as much as half an empty call.
    return (("x-request-id", rpc.request_id),)


async def request_id_and_log(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Returns the request id to the caller and writes one line when the RPC is over.

    The line never holds contents or secrets.
    """
    try:
        answer = await proceed(rpc, context)
        context.set_trailing_metadata(rpc.trailing_metadata)
        return answer
    except asyncio.CancelledError:
        remaining = context.time_remaining()
        expired = remaining is not None and remaining <= 0
        row = status.DEADLINE if expired else status.CANCELLED
        rpc.code, rpc.reason = row.code, row.reason
        raise
    finally:
        log.info(_log, "rpc", _line(rpc))


def _line(rpc: Rpc) -> dict[str, Any]:
    return {
        "method": rpc.method,
        "code": rpc.code.name,
        "reason": rpc.reason,
        "ms": round((monotonic() - rpc.started) * 1000, 1),
        "caller": rpc.caller,
        "model": rpc.model[:_LONGEST_LOGGED_NAME],
        "request_id": rpc.request_id,
        "messages": rpc.messages_sent,
        "upstream": rpc.attempts.upstream,
        "attempts": rpc.attempts.count if rpc.attempts.count > 1 else None,
    }


async def failure_to_status(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Ends the RPC with the status that the table has for what was raised."""
    try:
        return await proceed(rpc, context)
    except UpstreamFailure as failure:
        ended = status.of_failure(failure, rpc.model)
    except InvalidRequest as error:
        ended = status.of_invalid(error)
    except UnsupportedRequest as error:
        ended = status.of_unsupported(error)
    except MalformedAnswer as error:
        _log.warning("malformed answer", extra={"fields": _cause(error, rpc)})
        ended = status.of_malformed(error, rpc.attempts)
    except ReplyTooLarge as error:
        ended = status.of_too_large(error.size, error.limit)
    except status.Refusal as refusal:
        ended = refusal.status
    except aio.BaseError:
        raise
    except Exception as error:
        _log.exception("bug", extra={"fields": {"request_id": rpc.request_id}})
        ended = status.of_bug(error if rpc.debug else None)
    return await abort(rpc, context, ended)


def _cause(error: MalformedAnswer, rpc: Rpc) -> dict[str, Any]:
    """Returns what tells the upstream's fault from one of ours: where the answer was not read."""
    *_, innermost = walk_tb((error.__cause__ or error).__traceback__)
    frame, line = innermost
    return {
        "request_id": rpc.request_id,
        "upstream": rpc.attempts.upstream,
        "cause": type(error.__cause__ or error).__name__,
        "at": f"{frame.f_globals.get('__name__')}:{line}",
    }


async def abort(rpc: Rpc, context: Context, ended: status.Status) -> NoReturn:
    """Ends the RPC with a status.

    Raises:
        grpc.aio.AbortError: always; it is how grpc ends an RPC.
    """
    rpc.code, rpc.reason = ended.row.code, ended.row.reason
    ended = ended.in_call(
        model=rpc.model, attempts=rpc.attempts.count, messages_sent=rpc.messages_sent
    )
    message, metadata = trailers(ended, rpc.request_id)
    await context.abort(rpc.code, message, (*rpc.trailing_metadata, *metadata))


async def debug_info(proceed: Proceed, rpc: Rpc, context: Context) -> Any:
    """Lets the caller know the stack of a bug, if there will be one."""
    rpc.debug = True
    return await proceed(rpc, context)


CONCERNS: Sequence[Around] = (request_id_and_log, failure_to_status)
"""Outermost first. The others follow, as each server has them. The whole order is: request id and
log, metrics, trace, failure to status, authentication, admission, deadline."""
