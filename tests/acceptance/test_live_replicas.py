"""Two real replicas: their prefix caches, and steady load while one dies and returns."""

import asyncio
import os
import signal
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import grpc
import pytest
from conftest import Serve, unlimited
from grpc import aio
from servers import FLEET, VllmServers

from penstock.channel import open_async_channel
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.common_pb2 import SamplingParams
from penstock_server.fleet import Affinity
from penstock_server.upstream.base_url import address_of

from .chats import Chats, asking, said, story
from .conftest import CASE_LIMIT_S, serving
from .refusals import Refusal, read

ROUND = 20
WINDOW = 2 * ROUND
FAIR_SHARE = 0.3
"""Of the calls, what each of two replicas serves at least; a half on average."""

TURNS = 6
CONVERSATIONS = 12

STORY = story(tokens=100)
LONG_STORY = story(tokens=400)
"""Its stream is not over soon after its first message."""


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest, vllm: VllmServers) -> Iterator[VllmServers]:
    """Two replicas of one model, whose prefix caches keep short prefixes."""
    vllm.stop()
    flags = (*FLEET["chat"].flags, "--block-size", "32")
    with unlimited(request.config):
        vllm.start(replace(FLEET["chat"], name=name, flags=flags) for name in ("first", "second"))
    yield vllm
    vllm.stop()


def at_home(
    session: str, asked: CreateChatCompletionRequest = STORY
) -> CreateChatCompletionRequest:
    """Returns a request as part of a session, which stays on its replica."""
    request = CreateChatCompletionRequest()
    request.CopyFrom(asked)
    request.engine.session_id = session
    return request


@dataclass
class Load:
    """Callers that call one after the other, and their outcomes.

    Attributes:
        pause_s: the pause between two calls of each caller.
        served: the upstreams that answered the latest calls.
        failed: unary calls that failed, and streams that failed before their first message.
        broken: streams that failed after it.
        midway: set once a stream of the session has received its first message.
    """

    chats: Chats
    pause_s: float = 0.0
    served: deque[str] = field(default_factory=lambda: deque(maxlen=WINDOW))
    failed: list[Refusal] = field(default_factory=list)
    broken: list[Refusal] = field(default_factory=list)
    midway: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def call(self) -> None:
        call = self.chats.call(STORY)
        try:
            await call
        except aio.AioRpcError as error:
            self.failed.append(read(error))
        else:
            await self._note(await upstream_of(call))

    async def stream(self, request: CreateChatCompletionRequest = STORY) -> None:
        call = self.chats.open(request)
        received = 0
        try:
            async for _ in call:
                received += 1
                if received == 1 and request.engine.session_id:
                    self.midway.set()
        except aio.AioRpcError as error:
            (self.broken if received else self.failed).append(read(error))
        else:
            await self._note(await upstream_of(call))

    async def shared_evenly(self, limit_s: float) -> None:
        """Returns once each upstream has served its share of the latest calls."""
        self.served.clear()
        async with asyncio.timeout(limit_s), self.ended:
            await self.ended.wait_for(lambda: self._least_share() >= FAIR_SHARE)

    async def survivor_serves(self, limit_s: float) -> None:
        """Returns once a number of calls were served, by any upstream."""
        self.served.clear()
        async with asyncio.timeout(limit_s), self.ended:
            await self.ended.wait_for(lambda: len(self.served) >= ROUND)

    def _least_share(self) -> float:
        counted = Counter(self.served)
        if len(counted) < 2 or len(self.served) < WINDOW:
            return 0
        return min(counted.values()) / WINDOW

    async def _note(self, upstream: str) -> None:
        async with self.ended:
            self.served.append(upstream)
            self.ended.notify_all()


async def upstream_of(call: Any) -> str:
    return str(dict(await call.trailing_metadata() or ())["x-penstock-upstream"])


async def session_on(chats: Chats, upstream: str) -> str:
    """Returns a session that stays on an upstream."""
    for number in range(64):
        call = chats.call(at_home(f"session-{number}"))
        await call
        if await upstream_of(call) == upstream:
            return f"session-{number}"
    raise AssertionError(f"no session stays on {upstream}")


@asynccontextmanager
async def steady(load: Load, session: str) -> AsyncIterator[None]:
    """Runs the load: as many unary calls as streams, and the streams of a session."""

    async def again_and_again(ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            await ask()
            await asyncio.sleep(load.pause_s)

    async with asyncio.TaskGroup() as group:
        callers: list[Callable[[], Awaitable[None]]] = [*(load.call, load.stream) * 3]
        callers.append(partial(load.stream, at_home(session, LONG_STORY)))
        tasks = [group.create_task(again_and_again(ask)) for ask in callers]
        yield
        for task in tasks:
            task.cancel()


@dataclass
class Cached:
    """How much of the prompts of conversations was in a prefix cache.

    Attributes:
        hits: the tokens that were.
        prompts: all tokens.
    """

    hits: int = 0
    prompts: int = 0

    async def converse(self, chats: Chats, topic: str) -> None:
        """Leads a conversation, of which every turn repeats the ones before."""
        messages = [said(f"{topic}. " * 8)]
        for _ in range(TURNS):
            answer = await chats.call(asking(*messages, sampling=SamplingParams(max_tokens=16)))
            self.hits += answer.usage.prompt_tokens_details.cached_tokens
            self.prompts += answer.usage.prompt_tokens
            messages += [answer.choices[0].message, said(f"More about {topic}, please.")]


async def test_affinity_finds_conversations_in_the_prefix_cache(
    servers: VllmServers, serve: Serve
) -> None:
    share = {}
    for affinity in (Affinity.NONE, Affinity.PREFIX):
        service = await serve(upstream=tuple(servers.urls().values()), affinity=affinity)
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            await serving(channel)
            cached = Cached()
            for number in range(CONVERSATIONS):
                await cached.converse(Chats(channel), f"{affinity} {number}")
            share[affinity] = cached.hits / cached.prompts
    print(f"\ntokens from the prefix cache: {share}")
    assert share[Affinity.PREFIX] > share[Affinity.NONE]


# The server may take any time to start again; every other wait has its own limit.
@pytest.mark.timeout(0)
async def test_one_of_two_dies_and_returns(
    servers: VllmServers, serve: Serve, pytestconfig: pytest.Config
) -> None:
    urls = servers.urls()
    service = await serve(
        upstream=tuple(urls.values()), probe_interval=0.5, affinity=Affinity.SESSION, slow_start=1.0
    )
    async with open_async_channel(f"127.0.0.1:{service.port}", retries=0) as channel:
        await serving(channel)
        load = Load(Chats(channel))
        session = await session_on(load.chats, address_of(urls["first"]))
        async with steady(load, session):
            await load.shared_evenly(CASE_LIMIT_S)
            load.midway.clear()
            async with asyncio.timeout(CASE_LIMIT_S):
                await load.midway.wait()
            os.killpg(servers.pid("first"), signal.SIGKILL)
            await load.survivor_serves(CASE_LIMIT_S)
            # The load continues, but leaves the processor to the server that starts.
            load.pause_s = 2.0
            with unlimited(pytestconfig):
                await asyncio.to_thread(servers.restart, "first")
            load.pause_s = 0.0
            await load.shared_evenly(CASE_LIMIT_S)
    assert load.failed == []
    assert load.broken
    assert {(one.code, one.reason) for one in load.broken} == {
        (grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")
    }
