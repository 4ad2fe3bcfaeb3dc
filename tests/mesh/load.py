"""Steady load through Envoy."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio
from rpc.calls import chat

from mesh.calls import answered
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub

LONG = "word " * 150
"""Echoed, it takes longer than a service that stops accepts calls."""
OK = "OK"

Call = Callable[[aio.Channel], Awaitable[str]]


async def unary(channel: aio.Channel) -> str:
    """Makes a call; returns how it ended."""
    try:
        await answered(channel)
    except aio.AioRpcError as error:
        return described(error)
    return OK


async def streamed(channel: aio.Channel, text: str = "Hi") -> str:
    """Reads a stream; returns how it ended."""
    stub = ChatCompletionServiceStub(channel)
    try:
        messages = [message async for message in stub.StreamChatCompletion(chat(text))]
    except aio.AioRpcError as error:
        return described(error)
    return OK if messages[-1].HasField("usage") else "cut"


async def long(channel: aio.Channel) -> str:
    """Reads a long stream; returns how it ended."""
    return await streamed(channel, LONG)


def described(error: aio.AioRpcError) -> str:
    code: grpc.StatusCode = error.code()
    return f"{code.name}: {error.details()}"


class Load:
    """Callers that call again as soon as they are answered.

    Attributes:
        ends: the number of calls by how they ended.
    """

    def __init__(self, channel: aio.Channel) -> None:
        self.ends = Counter[str]()
        self._channel, self._over = channel, False
        self._callers = asyncio.TaskGroup()

    async def __aenter__(self) -> "Load":
        await self._callers.__aenter__()
        for call in (unary, streamed, long):
            for _ in range(4):
                self._callers.create_task(self._repeat(call))
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._over = True
        await self._callers.__aexit__(*error)

    async def more(self, count: int) -> None:
        """Returns once so many more calls have ended."""
        goal = self.ends.total() + count
        while self.ends.total() < goal:  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.01)

    async def _repeat(self, call: Call) -> None:
        while not self._over:
            self.ends[await call(self._channel)] += 1
