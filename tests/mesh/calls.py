"""Calls through Envoy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from grpc import aio
from rpc.calls import BOUND_S, chat

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub

STALL = "stall after=1"
"""The fault of an answer that begins and never ends."""


@asynccontextmanager
async def held(channel: aio.Channel, count: int = 1, **options: Any) -> AsyncIterator[list[Any]]:
    """Holds streams open that have begun, one after another."""
    streams = []
    for _ in range(count):
        streams.append(await begun(channel, **options))
    try:
        yield streams
    finally:
        for stream in streams:
            stream.cancel()


async def begun(channel: aio.Channel, **options: Any) -> Any:
    """Returns a stream that has begun and does not end."""
    stream = ChatCompletionServiceStub(channel).StreamChatCompletion(
        chat(fault=STALL), wait_for_ready=True, **options
    )
    async with asyncio.timeout(BOUND_S):
        assert await stream.read() is not aio.EOF
    return stream


async def answered(
    channel: aio.Channel, text: str = "Say hello.", fault: str = "", **options: Any
) -> Any:
    """Returns the answer of a unary chat."""
    stub = ChatCompletionServiceStub(channel)
    return await stub.CreateChatCompletion(chat(text, fault), **options)
