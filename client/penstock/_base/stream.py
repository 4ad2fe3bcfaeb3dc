"""Streams of events, and the answer that the events add up to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, NoReturn, Protocol, Self, TypeVar

import grpc

from penstock import errors
from penstock._base.call_info import CallInfo
from penstock._base.call_log import CallLog
from penstock._base.final_status import FinalStatus


def do_nothing() -> None:
    """Does nothing."""


def is_cancelled() -> bool:
    """Returns whether the running task itself is cancelled, not only the call it awaits."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class Event(Protocol):
    """One message of a stream."""

    @property
    def text(self) -> str:
        """The next piece of the text."""


E = TypeVar("E", bound=Event)
R = TypeVar("R")
E_co = TypeVar("E_co", bound=Event, covariant=True)
R_co = TypeVar("R_co", covariant=True)


class Accumulator(Protocol[E_co, R_co]):
    """Assembles an answer from the messages of a stream."""

    def add(self, message: Any) -> E_co:
        """Adds the next message and returns it as an event."""

    def result(self, call: CallInfo) -> R_co:
        """Returns a copy of the answer as received so far; later messages do not change it."""

    def missing(self) -> str:
        """Describes what a complete answer still lacks; empty if nothing."""


class BaseStream(Generic[E, R]):
    """Base of both kinds of stream.

    Args:
        call: the running call.
        accumulator: adds up its messages.
        request_id: request id that was sent with the call.
        log: the log of the call.
        check: raises the cause of a gRPC error, if it knows one.
    """

    def __init__(
        self,
        call: Any,
        accumulator: Accumulator[E, R],
        request_id: str,
        log: CallLog,
        check: Callable[[], None] = do_nothing,
    ) -> None:
        self._explain = check
        self._log = log
        self._call = call
        self._final = FinalStatus(call)
        self._accumulator = accumulator
        self._ended = False
        self._error: errors.PenstockError | None = None
        self._started = False
        self._info = CallInfo(request_id=request_id)

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs."""
        return self._info.request_id

    @property
    def snapshot(self) -> R:
        """The answer as received so far; after an error, the part that preceded it."""
        return self._accumulator.result(self._info)

    def _read(self, metadata: Any) -> CallInfo:
        return CallInfo.read(metadata, self.request_id)

    def _begin(self, metadata: Any) -> None:
        """Records the metadata that precedes the first message."""
        self._started = True
        self._log.received(metadata)
        self._info = self._read(metadata)

    def _end(self, trailers: Any) -> None:
        """Records that the stream ended with OK.

        Raises:
            IncompleteStreamError: the answer is not complete.
        """
        self._ended = True
        self._log.ended(trailers)
        self._info = self._read(trailers)
        if missing := self._accumulator.missing():
            self._error = errors.IncompleteStreamError(missing, self.snapshot)
            raise self._error

    def _fail(self, error: BaseException) -> NoReturn:
        self._log.failed(error)
        self._call.cancel()  # It may be running, if it continued another one.
        self._explain()
        if isinstance(error, grpc.RpcError):
            self._error = errors.from_rpc(error, self.request_id)
        else:
            self._error = errors.cancelled("the stream or its client was closed", self.request_id)
        raise self._error from error

    def _check(self) -> None:
        if self._error:
            raise self._error


class Stream(BaseStream[E, R]):
    """An answer that arrives piece by piece: an iterator of events, and a context manager.

    The call starts immediately. Leaving the `with` block cancels it and stops generation:

        >>> with client.chat.stream("Say hello.") as stream:
        ...     for text in stream.text_stream:
        ...         print(text, end="")
        Hello! How can I help you today?
        >>> stream.final().finish_reason
        'stop'

    Iteration raises the errors of `Client` methods, and `IncompleteStreamError`. If it ends
    without an error, the answer is complete.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        self._check()
        if self._ended:
            raise StopIteration
        try:
            message = self._receive()
            if not self._started:
                self._begin(self._call.initial_metadata())
        except StopIteration:
            self._end(self._call.trailing_metadata())
            raise
        except grpc.RpcError as error:
            self._fail(error)
        return self._accumulator.add(message)

    def _receive(self) -> Any:
        """Returns the next message; raises StopIteration after the last."""
        return next(self._call)

    @property
    def text_stream(self) -> Iterator[str]:
        """The pieces of the text; those of the first choice if there are several."""
        return (event.text for event in self if event.text)

    def final(self) -> R:
        """Reads the rest of the stream and returns the whole answer.

            >>> client.chat.stream("Say hello.").final().usage.completion_tokens
            10

        Raises:
            PenstockError: the answer is not complete, or the stream was closed early.
        """
        for _ in self:
            pass
        return self.snapshot

    def close(self) -> None:
        """Cancels the call and stops generation; does nothing after the end."""
        self._call.cancel()


class AsyncStream(BaseStream[E, R]):
    """Asynchronous counterpart of `Stream`, for `async with` and `async for`."""

    _messages: AsyncIterator[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        self._check()
        if self._ended:
            raise StopAsyncIteration
        try:
            message = await self._receive()
            if not self._started:
                self._begin(await self._call.initial_metadata())
        except StopAsyncIteration:
            self._end(await self._call.trailing_metadata())
            raise
        except grpc.RpcError as error:
            final = await self._final.of(error)
            if final.code() is not grpc.StatusCode.OK:
                self._fail(final)
            self._end(final.trailing_metadata())
            raise StopAsyncIteration from None
        except asyncio.CancelledError as error:
            # Cancellation of the call looks the same as cancellation of the task that reads it.
            self._explain()
            if is_cancelled():
                raise
            self._fail(error)
        return self._accumulator.add(message)

    async def _receive(self) -> Any:
        """Returns the next message; raises StopAsyncIteration after the last."""
        if self._messages is None:
            self._messages = aiter(self._call)
        return await anext(self._messages)

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """See `Stream.text_stream`."""
        return (event.text async for event in self if event.text)

    async def final(self) -> R:
        """See `Stream.final`."""
        async for _ in self:
            pass
        return self.snapshot

    async def close(self) -> None:
        """See `Stream.close`."""
        self._call.cancel()
