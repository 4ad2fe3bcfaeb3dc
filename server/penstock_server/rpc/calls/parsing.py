"""Parsing and conversion of messages; large ones run on a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from google.protobuf.message import DecodeError, Message

from penstock_server.rpc import status
from penstock_server.rpc.calls import entries
from penstock_server.rpc.calls.context import Rpc

P = ParamSpec("P")
R = TypeVar("R")

# Messages below both limits stay on the event loop: a thread would cost more than it saves.
_SMALL_BYTES = 16 * 1024
_SMALL_ENTRIES = 2_000
_LARGE_BYTES = 1024 * 1024
# The same for answers that are only copied.
_LARGE_COPIED_BYTES = 16 * 1024 * 1024

# One is enough: more threads would only take turns, and use more memory.
_thread = ThreadPoolExecutor(1, "large")


async def converted(rpc: Rpc, convert: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Runs a conversion, in a thread if request or answer are large, so that others continue."""
    if not (rpc.large or rpc.attempts.body_bytes > _LARGE_BYTES):
        return convert(*arguments, **named)
    return await _on_thread(convert, *arguments, **named)


async def copied(rpc: Rpc, convert: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Runs a conversion that only copies the answer, in a thread if the answer is very large."""
    if rpc.attempts.body_bytes <= _LARGE_COPIED_BYTES:
        return convert(*arguments, **named)
    return await _on_thread(convert, *arguments, **named)


async def _on_thread(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    work = partial(function, *arguments, **named)
    return await asyncio.get_running_loop().run_in_executor(_thread, work)


class Parser:
    """Parses the messages of one method's requests.

    gRPC would parse them on the event loop, whatever their size.
    """

    def __init__(self, message: type[Message], most_entries: int) -> None:
        """Creates the parser of one type of message.

        Args:
            message: the type.
            most_entries: the largest number of entries in a message.
        """
        self._message = message
        self._most_entries = most_entries
        self._plan = entries.plan(message)
        # An entry takes at least one byte, so fewer bytes need no counting.
        self._small_bytes = min(_SMALL_BYTES, most_entries)

    async def parsed(self, rpc: Rpc, data: bytes) -> Any:
        """Returns the message that was serialized.

        Raises:
            status.Refusal: the bytes do not parse as the type, or have too many entries.
        """
        if len(data) <= self._small_bytes or self._is_small(data):
            return self._parsed(data)
        rpc.large = True
        return await _on_thread(self._counted, data)

    async def each(self, rpc: Rpc, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yields the messages of a stream; raises the same as `parsed`."""
        async for data in requests:
            yield await self.parsed(rpc, data)

    def _is_small(self, data: bytes) -> bool:
        if len(data) > _LARGE_BYTES:
            return False
        try:
            entries.count(data, self._plan, min(_SMALL_ENTRIES, self._most_entries))
        except entries.TooManyEntries:
            return False
        return True

    def _counted(self, data: bytes) -> Message:
        try:
            entries.count(data, self._plan, self._most_entries)
        except entries.TooManyEntries:
            raise status.Refusal(status.of_many_entries(self._most_entries)) from None
        return self._parsed(data)

    def _parsed(self, data: bytes) -> Message:
        """Parses a message.

        Only here is a `DecodeError` the caller's fault: copying an answer can raise one, too.
        """
        try:
            return self._message.FromString(data)
        except DecodeError:
            raise status.Refusal(status.of_undecodable()) from None
