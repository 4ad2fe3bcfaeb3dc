"""Replicas that fail every call or never answer: health, and the choice of replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import UpstreamTable
from penstock_server.fleet import State
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, FREE_PORT, Serve, chat, create, plain_channel, stream, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CHAT_SERVICE = "penstock.v1.ChatCompletionService"
CHAT_PATH = "/v1/chat/completions"


@asynccontextmanager
async def simulators(*kinds: str) -> AsyncIterator[list[Simulator]]:
    settings = [SimulatorSettings(listen=FREE_PORT, kind=kind) for kind in kinds]
    async with AsyncExitStack() as running:
        yield [await running.enter_async_context(Simulator(one)) for one in settings]


async def ready(service: Service) -> None:
    await until(
        lambda: {one.state for one in service._fleet.snapshot()} <= {State.READY, State.SLOW_START}
    )


async def says(channel: grpc.aio.Channel, service: str, expected: int) -> None:
    """Waits until health reports a state of a service."""
    asked = health_pb2.HealthCheckRequest(service=service)
    watching = health_pb2_grpc.HealthStub(channel).Watch(asked)
    async with asyncio.timeout(240):
        while (await watching.read()).status != expected:
            pass
    watching.cancel()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("fault", ["status code=500", "status code=504", "html", "missing-choices"])
async def test_a_service_whose_every_call_fails_is_not_serving(
    fault: str, count: int, serve: Serve
) -> None:
    async with simulators(*["chat"] * count) as failing:
        urls = tuple(one.url for one in failing)
        service = await serve(upstream=urls, max_attempts=1, ejection_time=3600)
        await ready(service)
        async with plain_channel(service) as channel:
            await says(channel, CHAT_SERVICE, SERVING)
            for one in failing:
                one.faults = fault.replace(" ", ";")
            async with asyncio.TaskGroup() as names:
                watched = [
                    names.create_task(says(channel, name, NOT_SERVING))
                    for name in ("", CHAT_SERVICE)
                ]
                # The number of calls depends on which replica each call is sent to.
                while not all(one.done() for one in watched):
                    await create(channel, chat())
            # It still receives calls because there is no other replica.
            for one in failing:
                one.faults = ""
            await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
            for name in ("", CHAT_SERVICE):
                await says(channel, name, SERVING)


async def test_failed_streams_count_too(serve: Serve) -> None:
    async with simulators("chat") as [failing]:
        service = await serve(upstream=(failing.url,), max_attempts=1, ejection_time=3600)
        await ready(service)
        failing.faults = "malformed-event;after=2"
        async with plain_channel(service) as channel:
            for _ in range(10):
                assert (await stream(channel, chat())).code is grpc.StatusCode.INTERNAL
            await says(channel, CHAT_SERVICE, NOT_SERVING)


async def test_health_recovers_without_calls(serve: Serve) -> None:
    """A mesh that follows health sends no calls, so no call can show that it works again."""
    async with simulators("chat") as [failing]:
        service = await serve(upstream=(failing.url,), max_attempts=1, ejection_time=2)
        await ready(service)
        failing.faults = "status;code=500"
        async with plain_channel(service) as channel:
            calls = [asyncio.ensure_future(create(channel, chat())) for _ in range(10)]
            await says(channel, CHAT_SERVICE, NOT_SERVING)
            await asyncio.gather(*calls)
            await says(channel, CHAT_SERVICE, SERVING)


async def test_other_services_keep_serving(serve: Serve) -> None:
    async with simulators("chat", "embed") as (failing, well):
        service = await serve(upstream=(failing.url, well.url), max_attempts=1, ejection_time=3600)
        await ready(service)
        failing.faults = "status;code=500"
        async with plain_channel(service) as channel:
            for _ in range(10):
                await create(channel, chat())
            await says(channel, CHAT_SERVICE, NOT_SERVING)
            await says(channel, "penstock.v1.EmbeddingService", SERVING)


@pytest.mark.parametrize("fault", ["status code=400", "status code=404", "status code=422"])
async def test_errors_of_callers_do_not_count(fault: str, serve: Serve) -> None:
    async with simulators("chat") as [well]:
        service = await serve(upstream=(well.url,), ejection_failures=1)
        await ready(service)
        async with plain_channel(service) as channel:
            for _ in range(10):
                await create(channel, chat(fault=fault))
            asked = health_pb2.HealthCheckRequest(service=CHAT_SERVICE)
            answer = await health_pb2_grpc.HealthStub(channel).Check(asked)
    assert answer.status == SERVING


def chats(simulator: Simulator) -> int:
    return sum(request.path == CHAT_PATH for request in simulator.requests)


@asynccontextmanager
async def with_a_silent_replica(
    serve: Serve,
) -> AsyncIterator[tuple[Service, Simulator, Simulator]]:
    """Starts a service in front of a replica that never answers and one that does."""
    async with simulators("chat", "chat") as (silent, well):
        silent.faults = "silent"
        tables = UpstreamTable(silent.url, first_byte_timeout=0.2), UpstreamTable(well.url)
        service = await serve(upstream=tables, ejection_time=3600)
        await ready(service)
        assert silent.healthy
        yield service, silent, well


async def test_a_silent_replica_costs_one_call_and_one_trial(serve: Serve) -> None:
    async with with_a_silent_replica(serve) as (service, silent, well):
        async with plain_channel(service) as channel:
            lost = [await stream(channel, chat()) for _ in range(30)]
        assert chats(silent) == 2
        assert chats(well) == 28
        ended = [one.reason for one in lost if one.code is not grpc.StatusCode.OK]
        assert ended == ["UPSTREAM_TIMEOUT"] * 2


async def test_a_silent_replica_receives_one_call_at_a_time(serve: Serve) -> None:
    async with with_a_silent_replica(serve) as (service, silent, _):
        async with plain_channel(service) as channel:
            stub = ChatCompletionServiceStub(channel)
            while not chats(silent):
                await stream(channel, chat())
            calls = [stub.CreateChatCompletion(chat(), timeout=BOUND_S * 10) for _ in range(20)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
        assert chats(silent) == 2
        assert sum(isinstance(one, BaseException) for one in ended) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_hedging_prevents_lost_calls(streamed: bool, serve: Serve) -> None:
    async with simulators("chat", "chat") as (silent, well):
        silent.faults = "silent"
        settings = {"hedge_after": 0.1, "ejection_time": 3600, "retry_budget": 1}
        service = await serve(upstream=(silent.url, well.url), **settings)
        await ready(service)
        async with plain_channel(service) as channel:
            stub = ChatCompletionServiceStub(channel)
            ask: Any = stub.StreamChatCompletion if streamed else stub.CreateChatCompletion
            hedged = set()
            while service._fleet.snapshot()[0].state is not State.EJECTED:
                before = chats(silent)
                call = ask(chat())
                assert [one async for one in call] if streamed else await call
                trailers = dict(await call.trailing_metadata() or ())
                if chats(silent) > before:
                    hedged.add((trailers["x-penstock-upstream"], trailers["x-penstock-attempts"]))
        assert hedged == {(well.url.removeprefix("http://"), "2")}
        await silent.wait_active(0)


async def test_a_replica_that_answers_its_trial_recovers(serve: Serve) -> None:
    async with (
        with_a_silent_replica(serve) as (service, silent, _),
        plain_channel(service) as channel,
    ):
        while not chats(silent):
            await stream(channel, chat())
        silent.faults = ""
        while chats(silent) < 5:
            assert (await stream(channel, chat())).code is grpc.StatusCode.OK
