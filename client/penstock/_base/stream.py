"""Streams: events one by one, and the answer that they add up to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, NoReturn, Protocol, Self, TypeVar

import grpc

from penstock import errors
from penstock._base.call_info import CallInfo


def do_nothing() -> None:
    """Raises nothing."""


def is_cancelled() -> bool:
    """Tells whether the running task is cancelled, or only the call that it awaits."""
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
    """Puts an answer together."""

    def add(self, message: Any) -> E_co:
        """Takes the next message; returns it as an event."""

    def result(self, call: CallInfo) -> R_co:
        """Returns the answer as far as it came; a copy, which later messages do not change."""

    def missing(self) -> str:
        """Says what a complete answer still needs; empty if nothing."""


class BaseStream(Generic[E, R]):
    """What both kinds of stream share."""

    def __init__(
        self,
        call: Any,
        accumulator: Accumulator[E, R],
        request_id: str,
        check: Callable[[], None] = do_nothing,
    ) -> None:
        """Takes the running call, and what raises the reason for an error of gRPC, if known."""
        self._explain = check
        self._call = call
        self._accumulator = accumulator
        self._ended = False
        self._error: errors.PenstockError | None = None
        self._started = False
        self._info = CallInfo(request_id=request_id)

    @property
    def request_id(self) -> str:
        """Names the call in the service's logs."""
        return self._info.request_id

    @property
    def snapshot(self) -> R:
        """The answer as far as it came; after an error, what came before it."""
        return self._accumulator.result(self._info)

    def _read(self, metadata: Any) -> CallInfo:
        return CallInfo.read(metadata, self.request_id)

    def _end(self, info: CallInfo) -> None:
        """Takes the end with OK.

        Raises:
            IncompleteStreamError: it came too early.
        """
        self._ended = True
        self._info = info
        if missing := self._accumulator.missing():
            self._error = errors.IncompleteStreamError(missing, self.snapshot)
            raise self._error

    def _fail(self, error: BaseException) -> NoReturn:
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
    """An answer that comes piece by piece: an iterator of events, and a context manager.

    The call begins at once. Leaving the `with` block ends it, and with it the model's work:

        >>> with client.chat.stream("Say hello.") as stream:
        ...     for text in stream.text_stream:
        ...         print(text, end="")
        Hello! How can I help you today?
        >>> stream.final().finish_reason
        'stop'

    Iterating raises what `Client` methods raise, and `IncompleteStreamError`. Without an error,
    the answer is complete.
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
            message = next(self._call)
            if not self._started:
                self._started = True
                self._info = self._read(self._call.initial_metadata())
        except StopIteration:
            self._end(self._read(self._call.trailing_metadata()))
            raise
        except grpc.RpcError as error:
            self._fail(error)
        return self._accumulator.add(message)

    @property
    def text_stream(self) -> Iterator[str]:
        """The pieces of the text, of the first choice if there are several."""
        return (event.text for event in self if event.text)

    def final(self) -> R:
        """Reads what is left and returns the whole answer.

            >>> client.chat.stream("Say hello.").final().usage.completion_tokens
            10

        Raises:
            PenstockError: the answer did not come whole, or the stream was closed before.
        """
        for _ in self:
            pass
        return self.snapshot

    def close(self) -> None:
        """Ends the call and the model's work; does nothing after the end."""
        self._call.cancel()


class AsyncStream(BaseStream[E, R]):
    """As `Stream`, with `async with` and `async for`."""

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
            message = await anext(self._open())
            if not self._started:
                self._started = True
                self._info = self._read(await self._call.initial_metadata())
        except StopAsyncIteration:
            self._end(self._read(await self._call.trailing_metadata()))
            raise
        except grpc.RpcError as error:
            self._fail(error)
        except asyncio.CancelledError as error:
            # The call's own cancellation looks like that of the task that reads it.
            self._explain()
            if is_cancelled():
                raise
            self._fail(error)
        return self._accumulator.add(message)

    def _open(self) -> AsyncIterator[Any]:
        if self._messages is None:
            self._messages = aiter(self._call)
        return self._messages

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """As `Stream.text_stream`."""
        return (event.text async for event in self if event.text)

    async def final(self) -> R:
        """As `Stream.final`."""
        async for _ in self:
            pass
        return self.snapshot

    async def close(self) -> None:
        """As `Stream.close`."""
        self._call.cancel()
