"""Stopping under load: no call ends as CANCELLED."""

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack

from cli.process import serving
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import Simulator

from .calls import BOUND_S, chat, stream
from .raw import Frame, begin, connected, message, request

CHAT = "/penstock.v1.ChatCompletionService/CreateChatCompletion"
ALONE = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]


async def streamed(channel: aio.Channel) -> Code:
    return (await stream(channel, chat())).code


async def answered(channel: aio.Channel) -> Code:
    try:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
    except aio.AioRpcError as error:
        return error.code()
    return Code.OK


async def test_callers_that_call_again_at_once(simulator: Simulator) -> None:
    ends = Counter[Code]()
    begun = asyncio.Event()

    async def calling(channel: aio.Channel, number: int) -> None:
        code = Code.OK
        while code is Code.OK:
            code = await (streamed if number % 2 else answered)(channel)
            ends[code] += 1
            if ends[Code.OK] >= 120:
                begun.set()

    async with AsyncExitStack() as opened, asyncio.timeout(5 * BOUND_S):
        process, target = await opened.enter_async_context(serving("--upstream", simulator.url))
        channels = [
            await opened.enter_async_context(aio.insecure_channel(target, options=ALONE))
            for _ in range(4)
        ]
        callers = [asyncio.create_task(calling(channels[n % 4], n)) for n in range(40)]
        await begun.wait()
        process.signal(signal.SIGTERM)
        await asyncio.gather(*callers)
    # Each caller's last call found no server, or was refused before any work.
    assert set(ends) == {Code.OK, Code.UNAVAILABLE}
    assert ends[Code.UNAVAILABLE] == len(callers)


async def test_a_burst_at_the_moment_of_the_stop(simulator: Simulator) -> None:
    streams = range(1, 400, 2)
    data = chat().SerializeToString()
    framed = b"\0" + len(data).to_bytes(4) + data
    burst = b"".join(begin(number, request(CHAT)) + message(number, framed) for number in streams)
    async with serving("--upstream", simulator.url) as (process, target):
        port = int(target.rpartition(":")[2])
        async with connected(port) as caller, asyncio.timeout(BOUND_S):
            await caller.until(Frame.SETTINGS)
            await caller.send(burst)
            process.signal(signal.SIGTERM)
            heard = set[int]()
            while heard != set(streams):
                heard.add(await caller.until(Frame.HEADERS))
    assert b"CANCELLED" not in caller.heard
