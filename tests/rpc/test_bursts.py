"""Many simultaneous calls: each ends with an answer, or with a status that advises a retry."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from cli.process import serving
from grpc import aio

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import Simulator

from .calls import chat, ended

CALLS = 2500
AT_ONCE = 200


@asynccontextmanager
async def channels(target: str, count: int) -> AsyncIterator[list[aio.Channel]]:
    settings = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
    async with AsyncExitStack() as opened:
        found = []
        for _ in range(count):
            channel = aio.insecure_channel(target, options=settings)
            found.append(await opened.enter_async_context(channel))
            await channel.channel_ready()
        yield found


async def how_it_ends(channel: aio.Channel) -> tuple[str, str, float | None]:
    try:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
    except aio.AioRpcError as error:
        result = ended(error)
        return result.code.name, result.reason, result.retry_s
    return "OK", "", None


BURSTS = {
    "on one connection": (1, ()),
    "on twenty connections": (20, ()),
    "to two workers": (20, ("--workers", "2")),
}


# So many calls take long on a slow machine.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("connections", "options"), BURSTS.values(), ids=BURSTS)
async def test_a_burst(options: Any, connections: int, simulator: Simulator) -> None:
    limit = ("--max-concurrent-calls", str(AT_ONCE), "--connect-timeout", "600")
    upstream = ("--upstream", simulator.url)
    async with (
        serving(*upstream, *limit, *options) as (process, target),
        channels(target, connections) as opened,
    ):
        log = asyncio.create_task(process.err.read())
        calls = [how_it_ends(opened[number % connections]) for number in range(CALLS)]
        ends = Counter(await asyncio.gather(*calls))
        log.cancel()
    assert set(ends) <= {("OK", "", None), ("UNAVAILABLE", "OVERLOADED", 1.0)}, ends
    assert ends["OK", "", None] >= AT_ONCE
