"""Streams of items: each item that is sent has a key, and gets one result with that key."""

import asyncio
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

import grpc

from penstock import errors
from penstock._base.call_log import CallLog
from penstock._base.caller import AsyncCaller, BaseCaller, Caller, Options
from penstock._base.final_status import FinalStatus
from penstock._base.stream import is_cancelled

R = TypeVar("R")
V = TypeVar("V")

Requests: TypeAlias = Iterable[Any]
"""Request messages, each with a `key`."""
AsyncRequests: TypeAlias = AsyncIterable[Any]
"""Request messages, each with a `key`."""

_LONGEST_WAIT_S = 30.0
_FIRST_WAIT_S = 0.25
_MOST_CALLS_WITHOUT_RESULT = 8


class BaseItemStream(Generic[R]):
    """Base of both kinds of item stream.

    Args:
        caller: makes the calls.
        method: method of a generated stub.
        options: options of the call.
        result: builds the result from a message.
    """

    def __init__(
        self,
        caller: BaseCaller[Any],
        method: Any,
        options: Options,
        result: Callable[[Any], R],
    ) -> None:
        self._caller = caller
        self._method = method
        self._options = options
        self._result = result
        self._call: Any = None
        self._request_id = ""
        # Unlike other calls, a stream of items has no timeout by default: it may take hours.
        timeout = options.get("timeout")
        self._until = None if timeout is None else time.monotonic() + timeout
        # Items that have been sent and have no result yet, by key.
        self._waiting: dict[str, Any] = {}
        self._fault: BaseException | None = None
        self._error: errors.PenstockError | None = None
        self._received = False
        self._ended = False
        self._closed = False
        self._fruitless = 0

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs; the last one if the stream was continued."""
        return self._request_id

    def _open(self, *requests: Any) -> None:
        """Begins the call, or another one that continues the stream."""
        left = None if self._until is None else max(self._until - time.monotonic(), 0.0)
        arguments, self._request_id = self._caller.prepare({**self._options, "timeout": left})
        self._log = CallLog(self, arguments)
        self._call = self._method(*requests, **arguments)

    def _send(self, request: Any) -> Any:
        """Records that an item is being sent, and returns it.

        Raises:
            ValueError: another item with the same key has no result yet.
        """
        if request.key in self._waiting:
            raise ValueError(f"two items have the key {request.key!r}")
        self._waiting[request.key] = request
        return request

    def _receive(self, message: Any) -> R:
        self._received, self._fruitless = True, 0
        self._waiting.pop(message.key, None)
        return self._result(message)

    def _check(self) -> None:
        if self._error:
            raise self._error

    def _finish(self, trailers: Any) -> None:
        """Records that the call ended with OK.

        Raises:
            IncompleteStreamError: items have no result.
        """
        self._ended = True
        self._log.ended(trailers)
        if missing := len(self._waiting):
            self._error = errors.IncompleteStreamError(f"{missing} items have no result", self)
            raise self._error

    def _delay(self, error: grpc.RpcError) -> float:
        """Returns the delay until another call continues the stream.

        Raises:
            CallError: the error, if no other call is to continue it.
        """
        self._log.failed(error)
        if self._fault:
            raise self._fault
        failure = errors.from_rpc(error, self._request_id)
        lost = isinstance(failure, errors.UnavailableError) and self._received
        if not lost or self._closed or self._fruitless >= _MOST_CALLS_WITHOUT_RESULT:
            self._error = failure
            raise failure from error
        self._fruitless += 1
        return float(min(_FIRST_WAIT_S * 2.0**self._fruitless, _LONGEST_WAIT_S))

    def _cancel(self) -> None:
        self._closed = True
        self._call.cancel()


class ItemStream(BaseItemStream[R]):
    """The results of items, in the order in which they are ready: an iterator of results.

    The call starts immediately, and reads further items while results are read. Leaving the `with`
    block cancels it. If the connection is lost, or the service shuts down, another call continues
    with the items that have no result. Iteration raises the errors of `Client` methods for the
    call as a whole, and `IncompleteStreamError`; the error of an item is a part of its result. If
    it ends without an error, every item has its result.
    """

    def __init__(
        self,
        caller: Caller,
        method: Any,
        options: Options,
        result: Callable[[Any], R],
        items: Requests,
    ) -> None:
        super().__init__(caller, method, options, result)
        self._items = iter(items)
        self._lock = threading.Lock()
        self._number = 0
        self._continue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        self._check()
        while not self._ended:
            try:
                return self._receive(next(self._call))
            except StopIteration:
                self._finish(self._call.trailing_metadata())
            except grpc.RpcError as error:
                time.sleep(self._delay(error))
                self._continue()
        raise StopIteration

    def close(self) -> None:
        """Cancels the call and its items; does nothing after the end."""
        self._cancel()

    def _continue(self) -> None:
        with self._lock:
            self._number += 1
            repeated = list(self._waiting.values())
        self._open(self._requests(self._number, repeated))

    def _requests(self, number: int, repeated: list[Any]) -> Iterator[Any]:
        """Yields the requests of a call in gRPC's thread, until another call continues it."""
        yield from repeated
        while (request := self._next(number)) is not None:
            yield request

    def _next(self, number: int) -> Any:
        # The thread of an earlier call may still be reading an item.
        with self._lock:
            if number != self._number:
                return None
            try:
                request = next(self._items, None)
                return request and self._send(request)
            except BaseException as error:
                self._fault = error
                # gRPC ends the call only for an Exception.
                raise RuntimeError("the items cannot be read") from error


class AsyncItemStream(BaseItemStream[R]):
    """Asynchronous counterpart of `ItemStream`, for `async with` and `async for`."""

    def __init__(
        self,
        caller: AsyncCaller,
        method: Any,
        options: Options,
        result: Callable[[Any], R],
        items: AsyncRequests,
    ) -> None:
        super().__init__(caller, method, options, result)
        # Cancelling the writer of a call that has ended must not cancel the caller's iterator.
        self._queue: asyncio.Queue[Any] = asyncio.Queue(1)
        self._exhausted = False
        self._reading = asyncio.create_task(self._read(items))
        self._continue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        self._check()
        while not self._ended:
            try:
                return self._receive(await anext(self._results))
            except StopAsyncIteration:
                self._finish(await self._call.trailing_metadata())
            except grpc.RpcError as error:
                final = await self._final.of(error)
                if final.code() is grpc.StatusCode.OK:
                    self._finish(final.trailing_metadata())
                    break
                await asyncio.sleep(self._delay(final))
                await _end(self._writing)
                self._continue()
            except asyncio.CancelledError as error:
                # Cancellation of the call looks the same as cancellation of the task that reads it.
                if is_cancelled():
                    raise
                self._error = errors.cancelled(
                    "the stream or its client was closed", self.request_id
                )
                raise self._fault or self._error from error
        raise StopAsyncIteration

    async def close(self) -> None:
        """See `ItemStream.close`."""
        self._cancel()
        await _end(self._reading, self._writing)

    def _continue(self) -> None:
        repeated = list(self._waiting.values())
        self._open()
        self._results = aiter(self._call)
        self._final = FinalStatus(self._call)
        self._writing = asyncio.create_task(self._write(self._call, repeated))

    async def _read(self, items: AsyncRequests) -> None:
        try:
            async for item in items:
                await self._queue.put(item)
        except Exception as error:
            self._fault = error
        await self._queue.put(None)

    async def _write(self, call: Any, repeated: list[Any]) -> None:
        """Writes the requests of a call."""
        try:
            for request in repeated:
                await call.write(request)
            while (request := await self._next()) is not None:
                await call.write(self._send(request))
            if self._fault:
                raise self._fault
            await call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # The call has ended, which reading its results reports.
        except Exception as error:
            self._fault = error
            call.cancel()

    async def _next(self) -> Any:
        request = None if self._exhausted else await self._queue.get()
        self._exhausted = request is None
        return request


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def pairs(
    items: Mapping[str, V] | Iterable[tuple[str, V]] | AsyncIterable[tuple[str, V]],
) -> AsyncIterator[tuple[str, V]]:
    """Yields items, whatever holds them, with their keys."""
    if isinstance(items, AsyncIterable):
        async for pair in items:
            yield pair
        return
    for pair in items.items() if isinstance(items, Mapping) else items:
        yield pair
