"""How the messages of requests are parsed, and what is done with large ones beside other calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from google.protobuf.message import DecodeError, Message

from penstock_server.rpc import status
from penstock_server.rpc.calls import entries
from penstock_server.rpc.calls.context import Rpc, current

P = ParamSpec("P")
R = TypeVar("R")

# What is below both, the event loop does itself: a thread costs more than it spares others.
_SMALL_BYTES = 16 * 1024
_SMALL_ENTRIES = 2_000
_LARGE_BYTES = 1024 * 1024

# One is enough: more would only take turns with each other, and hold more in memory.
_thread = ThreadPoolExecutor(1, "large")


async def converted(convert: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Returns what a conversion returns; that of a large message gives way to other calls."""
    if not current.get().large:
        return convert(*arguments, **named)
    return await _beside(convert, *arguments, **named)


async def _beside(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    work = partial(function, *arguments, **named)
    return await asyncio.get_running_loop().run_in_executor(_thread, work)


class Parser:
    """Parses the messages of one method's requests.

    gRPC would parse them on the event loop, whatever they hold.
    """

    def __init__(self, message: type[Message], most_entries: int) -> None:
        """Takes their type, and how many entries one may have."""
        self._message = message
        self._most_entries = most_entries
        self._plan = entries.plan(message)
        # An entry takes a byte at least, so less bytes need no counting.
        self._small_bytes = min(_SMALL_BYTES, most_entries)

    async def parsed(self, rpc: Rpc, data: bytes) -> Any:
        """Returns the message that was serialized.

        Raises:
            status.Refusal: it is no message of the type, or has too many entries.
        """
        if len(data) <= self._small_bytes or self._is_small(data):
            return self._parsed(data)
        rpc.large = True
        return await _beside(self._counted, data)

    async def each(self, rpc: Rpc, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yields the messages of a stream; raises as `parsed`."""
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

        Only here does a `DecodeError` tell of the caller: copying an answer can raise one, too.
        """
        try:
            return self._message.FromString(data)
        except DecodeError:
            raise status.Refusal(status.of_undecodable()) from None
