"""Many calls whose callers leave or do not read: no resources accumulate."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from cli.process import serving
from grpc import aio

from .calls import Serve, plain_channel, until
from .every_rpc import EVERY_RPC, STREAM_HEAD, Upstream, event, running

CALLS = 4_000
AT_ONCE = 50
READERS = 200
EVENTS = 50
WORDS = "word " * 6000  # in each event: 30 kB, so that a stream has 1.5 MB
MEBIBYTE = 2**20

STREAM = next(rpc for rpc in EVERY_RPC if rpc.name.endswith("StreamChatCompletion"))
UNARY = next(rpc for rpc in EVERY_RPC if rpc.name.endswith("CreateChatCompletion"))


@pytest.mark.timeout(600)  # so many calls take long on a slow machine
async def test_nothing_is_left_of_thousands_of_cancelled_calls(serve: Serve) -> None:
    async with running(Upstream(STREAM_HEAD, event(STREAM.event), hold=True)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600)
        async with plain_channel(service) as channel:
            # Objects that are created once and kept are created before the measurement.
            await _cancel(channel, upstream, CALLS // 5)
            before = await _left_over()
            await _cancel(channel, upstream, CALLS)
            after = await _left_over()
    assert upstream.requests > CALLS
    assert service._fleet.replicas[0].upstream.outstanding == 0
    assert after["tasks"] <= before["tasks"]
    assert after["descriptors"] <= before["descriptors"]
    assert after["objects"] < before["objects"] + CALLS // 5, (before, after)
    assert after["bytes"] < before["bytes"] + 12 * MEBIBYTE, (before, after)


@pytest.mark.parametrize("name", ["ChatCompletion", "Completion", "Generate"])
async def test_a_stream_does_not_keep_its_prompt(name: str, serve: Serve) -> None:
    rpc = next(rpc for rpc in EVERY_RPC if rpc.name.endswith(f"/Stream{name}"))
    async with running(Upstream(STREAM_HEAD, event(rpc.event), hold=True)) as upstream:
        service = await serve(upstream=(upstream.url,), probe_interval=3600)
        async with plain_channel(service) as channel:
            call = rpc.start(channel)
            await call.read()
            gc.collect()
            kept = [
                one for one in gc.get_objects() if type(one).__name__.endswith(f"{name}Request")
            ]
            assert len(kept) == 1  # the caller's
            bodies = [one for one in gc.get_objects() if type(one) is dict and "stream" in one]
            assert not [body for body in bodies if body.get("model") == "m"]
            call.cancel()


class _LongAnswer(Upstream):
    """An upstream that streams a long answer as fast as it is read."""

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said, index = {"content": WORDS}, {"index": 0}
        writer.write(STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        for _ in range(EVENTS):
            writer.write(event({"id": "i", "choices": [index | {"delta": said}]}))
            await writer.drain()
        last = index | {"delta": {}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        writer.write(event({"id": "i", "choices": [last]}))
        writer.write(event({"id": "i", "choices": [], "usage": usage}))
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.mark.timeout(600)
async def test_memory_while_two_hundred_callers_do_not_read() -> None:
    async with (
        running(_LongAnswer()) as upstream,
        serving("--upstream", upstream.url, "--probe-interval", "3600") as (process, target),
        aio.insecure_channel(target) as channel,
    ):
        assert await _read_on(aiter(STREAM.start(channel))) == EVENTS
        before = await _settled_bytes(process.pid)
        calls = [STREAM.start(channel) for _ in range(READERS)]
        streams = [aiter(call) for call in calls]
        for stream in streams:
            assert (await anext(stream)).choices
        unread = await _settled_bytes(process.pid)
        # The rest of the streams is 300 MB.
        assert unread - before < 96 * MEBIBYTE, (before, unread)
        # The first message of each is read.
        assert await asyncio.gather(*map(_read_on, streams)) == [EVENTS - 1] * READERS
        assert [await call.code() for call in calls] == [grpc.StatusCode.OK] * READERS
        after = await _settled_bytes(process.pid)
        assert after - before < 64 * MEBIBYTE, (before, unread, after)


async def _read_on(stream: AsyncIterator[Any]) -> int:
    """Reads a stream to its end; returns the number of texts."""
    texts = [c.delta.content async for message in stream for c in message.choices]
    assert set(texts) <= {WORDS, ""}
    return texts.count(WORDS)


async def _settled_bytes(pid: int) -> int:
    """Returns the memory of a process once it has stopped changing."""
    before, now = 0, _resident_bytes(pid)
    while abs(now - before) > MEBIBYTE:
        await asyncio.sleep(0.5)
        before, now = now, _resident_bytes(pid)
    return now


async def _cancel(channel: aio.Channel, upstream: Upstream, count: int) -> None:
    """Makes many unary and streaming calls at once and cancels each at an arbitrary point."""
    numbers = iter(range(count))

    async def cancel_one_by_one() -> None:
        for number in numbers:
            name = f"{count}-{number}"
            call = (STREAM if number % 2 else UNARY).start(
                channel, metadata=(("x-request-id", name),)
            )
            if number % 8:  # the others leave at once
                await upstream.named[name].wait()
            if number % 4 == 1:
                await call.read()
            call.cancel()
            upstream.named.pop(name, None)

    async with asyncio.TaskGroup() as callers:
        for _ in range(AT_ONCE):
            callers.create_task(cancel_one_by_one())
    await until(lambda: upstream.open == 0)


async def _left_over() -> Mapping[str, int]:
    """Returns tasks, sockets and memory of the process, which is client, service and upstream."""
    previous = -1
    while previous != len(asyncio.all_tasks()):
        previous = len(asyncio.all_tasks())
        await asyncio.sleep(0.3)
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
        "bytes": _resident_bytes(os.getpid()),
    }


def _resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
