"""Callers that leave: the upstream stops generating at once."""

import asyncio

import grpc
import pytest
from grpc import aio

from .chats import Chats, story
from .conftest import Target

pytestmark = pytest.mark.upstream("slow")

# A minute of work for a small model, so that it is far from the end when the caller leaves.
TOKENS = 16000
ENDLESS = story(TOKENS)


async def test_stream_is_cancelled(chats: Chats, target: Target) -> None:
    call = chats.open(ENDLESS)
    await anext(aiter(call))
    await target.upstream.wait_running()
    call.cancel()
    await target.upstream.wait_stopped(TOKENS)
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_unary_call_is_cancelled(chats: Chats, target: Target) -> None:
    call = chats.call(ENDLESS)
    await target.upstream.wait_running()
    call.cancel()
    await target.upstream.wait_stopped(TOKENS)
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_connection_is_lost(chats: Chats, target: Target) -> None:
    call = chats.open(ENDLESS)
    await anext(aiter(call))
    await target.upstream.wait_running()
    await target.channel.close(None)
    await target.upstream.wait_stopped(TOKENS)


async def test_deadline_of_a_stream(chats: Chats, target: Target) -> None:
    call = chats.open(ENDLESS, timeout_s=3.0)
    waiting = asyncio.ensure_future(target.upstream.wait_running())
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in call:
            pass
    await waiting
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await target.upstream.wait_stopped(TOKENS)


async def test_deadline_of_a_unary_call(chats: Chats, target: Target) -> None:
    waiting = asyncio.ensure_future(target.upstream.wait_running())
    with pytest.raises(aio.AioRpcError) as caught:
        await chats.call(ENDLESS, timeout_s=3.0)
    await waiting
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await target.upstream.wait_stopped(TOKENS)
