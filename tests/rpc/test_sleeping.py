"""Engines that are asleep: they receive no calls, and calls wake them if that is allowed."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.model_pb2 import GetModelRequest, ListModelsRequest
from penstock.v1.model_pb2_grpc import ModelServiceStub
from penstock_server.app import Service
from penstock_server.configuration import UpstreamTable
from penstock_server.fleet import State
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import FREE_PORT, Ended, Serve, both, chat, create, plain_channel, until

CHAT_PATH = "/v1/chat/completions"
WAKE_PATH = "/wake_up"
CALLERS = 20


@asynccontextmanager
async def simulated(**settings: Any) -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, **settings)) as simulator:
        yield simulator


@asynccontextmanager
async def asleep(level: int = 1, **settings: Any) -> AsyncIterator[Simulator]:
    """Runs a simulator in development mode whose engine is asleep."""
    async with simulated(**{"development_mode": True} | settings) as simulator:
        simulator.engine.sleep(level)
        yield simulator


@asynccontextmanager
async def in_front_of(
    serve: Serve, *simulators: Simulator, **settings: Any
) -> AsyncIterator[tuple[Service, aio.Channel]]:
    """Starts a service that has noticed which engines are asleep."""
    service = await serve(upstream=tuple(one.url for one in simulators), slow_start=0, **settings)
    asleep = [one.engine.asleep for one in simulators]
    await until(lambda: [state is State.SLEEPING for state in states(service)] == asleep)
    async with plain_channel(service) as channel:
        yield service, channel


def states(service: Service) -> list[State]:
    return [replica.state for replica in service._fleet.snapshot()]


def count(simulator: Simulator, path: str) -> int:
    return sum(request.path == path for request in simulator.requests)


async def refused(channel: aio.Channel) -> Ended:
    """Makes calls of both kinds, which must be refused because the engine is asleep."""
    result = await both(channel, chat())
    assert (result.code, result.reason) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_SLEEPING")
    assert "x-penstock-upstream" not in result.trailers
    assert "x-penstock-attempts" not in result.trailers
    assert result.pushback is None
    return result


async def answered(channel: aio.Channel) -> None:
    await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())


async def test_a_sleeping_engine_receives_no_calls(serve: Serve) -> None:
    async with (
        asleep() as sleeping,
        simulated() as awake,
        in_front_of(serve, sleeping, awake) as (service, channel),
    ):
        for _ in range(10):
            await answered(channel)
        assert states(service) == [State.SLEEPING, State.READY]
        assert count(sleeping, CHAT_PATH) == 0
        sleeping.engine.wake_up()
        await until(lambda: states(service) == [State.READY] * 2)
        await until_it_answers(sleeping, channel)


async def test_models_report_that_only_sleeping_engines_have_them(serve: Serve) -> None:
    async with (
        asleep() as first,
        asleep(models=("tiny-chat", "other")) as second,
        in_front_of(serve, first, second) as (service, channel),
    ):
        models = ModelServiceStub(channel)

        async def listed() -> dict[str, bool]:
            answer = await models.ListModels(ListModelsRequest())
            return {model.id: model.asleep for model in answer.models}

        assert await listed() == {"other": True, "tiny-chat": True, "tiny-chat-alias": True}
        first.engine.wake_up()
        await until(lambda: states(service)[0] is State.READY)
        assert await listed() == {"other": True, "tiny-chat": False, "tiny-chat-alias": False}
        for name, expected in (("other", True), ("tiny-chat", False)):
            answer = await models.GetModel(GetModelRequest(model=name))
            assert answer.model.asleep is expected


async def until_it_answers(simulator: Simulator, channel: aio.Channel) -> None:
    async with asyncio.timeout(60):
        while not count(simulator, CHAT_PATH):
            await answered(channel)


async def test_callers_see_that_only_sleeping_engines_have_the_model(serve: Serve) -> None:
    async with (
        asleep() as first,
        asleep(level=2) as second,
        in_front_of(serve, first, second) as (service, channel),
    ):
        health = health_pb2_grpc.HealthStub(channel)
        watching = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await refused(channel)
        assert count(first, CHAT_PATH) + count(second, CHAT_PATH) == 0
        first.engine.wake_up()
        async with asyncio.timeout(60):
            assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        await answered(channel)
        assert states(service) == [State.READY, State.SLEEPING]


async def test_an_engine_that_falls_asleep_and_wakes_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock.fleet")
    async with (
        simulated(development_mode=True) as simulator,
        in_front_of(serve, simulator) as (service, _),
    ):
        await until(lambda: states(service) == [State.READY])
        simulator.engine.sleep(1)
        await until(lambda: states(service) == [State.SLEEPING])
        simulator.engine.wake_up()
        await until(lambda: states(service) == [State.READY])
    found = [(one.message, vars(one)["fields"]["before"]) for one in caplog.records]
    assert found[:3] == [
        ("upstream ready", "probing"),
        ("upstream sleeping", "ready"),
        ("upstream ready", "sleeping"),
    ]


async def test_without_development_mode_the_metrics_report_it(serve: Serve) -> None:
    async with simulated() as simulator:
        simulator.engine.sleep(1)
        async with in_front_of(serve, simulator) as (service, channel):
            await refused(channel)
            simulator.engine.wake_up()
            await until(lambda: states(service) == [State.READY])
            read = count(simulator, "/metrics")
            await simulator.wait_requests(simulator.request_count + 20)
            assert count(simulator, "/metrics") <= read + 1
            assert count(simulator, "/is_sleeping") == 0


async def test_a_version_that_reports_nothing(serve: Serve) -> None:
    async with (
        simulated(dialect="0.11.0") as simulator,
        in_front_of(serve, simulator) as (service, channel),
    ):
        await answered(channel)
        await until(lambda: states(service) == [State.READY])
        assert count(simulator, "/metrics") == 1


@pytest.mark.parametrize("level", [0, 1])
async def test_one_request_wakes_the_engine_for_all_calls(serve: Serve, level: int) -> None:
    async with (
        asleep(level) as simulator,
        in_front_of(serve, simulator, wake_sleeping=True) as (service, channel),
    ):
        assert service._fleet.healthy()
        await asyncio.gather(*(answered(channel) for _ in range(CALLERS)))
        assert count(simulator, WAKE_PATH) == 1
        assert count(simulator, CHAT_PATH) == CALLERS


async def test_a_call_wakes_no_engine_if_another_can_answer(serve: Serve) -> None:
    async with (
        asleep() as sleeping,
        simulated() as awake,
        in_front_of(serve, sleeping, awake, wake_sleeping=True) as (_, channel),
    ):
        for _ in range(10):
            await answered(channel)
        awake.faults = "status code=503"
        result = await create(channel, chat())
        assert result.reason == "UPSTREAM_UNAVAILABLE"
        assert count(sleeping, WAKE_PATH) == 0


async def test_an_engine_is_woken_if_the_others_are_down(serve: Serve) -> None:
    async with (
        asleep() as sleeping,
        simulated() as stopped,
        in_front_of(serve, sleeping, stopped, wake_sleeping=True) as (service, channel),
    ):
        await stopped.stop()
        await until(lambda: states(service)[1] is State.DOWN)
        await answered(channel)
        assert count(sleeping, WAKE_PATH) == 1


async def test_only_an_upstream_that_allows_it_is_woken(serve: Serve) -> None:
    async with asleep() as first, asleep() as second:
        tables = tuple(
            UpstreamTable(one.url, wake_sleeping=wakes)
            for one, wakes in ((first, False), (second, True))
        )
        service = await serve(upstream=tables, wake_sleeping=False)
        await until(lambda: states(service) == [State.SLEEPING] * 2)
        async with plain_channel(service) as channel:
            await answered(channel)
        assert (count(first, WAKE_PATH), count(second, WAKE_PATH)) == (0, 1)


async def test_the_deadline_of_a_call_bounds_its_wait(serve: Serve) -> None:
    async with asleep() as simulator:
        simulator.path_faults[WAKE_PATH] = "silent"
        async with in_front_of(serve, simulator, wake_sleeping=True) as (_, channel):
            result = await create(channel, chat(), timeout=0.5)
            assert result.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_an_attempt_continues_without_its_first_caller(serve: Serve) -> None:
    async with asleep() as simulator:
        simulator.path_faults["/metrics"] = "slow-headers seconds=0.3"
        async with in_front_of(serve, simulator, wake_sleeping=True) as (_, channel):
            first = asyncio.create_task(answered(channel))
            await until(lambda: count(simulator, "/metrics") == 1)
            first.cancel()
            await until(lambda: count(simulator, WAKE_PATH) == 1)
            await answered(channel)
            assert count(simulator, WAKE_PATH) == 1


@pytest.mark.parametrize(
    ("level", "settings", "fault", "reason"),
    [
        (2, {}, "", "its weights are discarded (sleep level 2) and must be reloaded"),
        (1, {"dialect": "0.11.0"}, "", "its metrics do not report how deeply it sleeps"),
        (
            1,
            {"development_mode": False},
            "",
            "it has no /wake_up, which requires vLLM's development mode (VLLM_SERVER_DEV_MODE=1)",
        ),
        (1, {}, "status code=500 message=no%20memory", "no memory"),
    ],
    ids=["without weights", "unknown level", "no development mode", "failure"],
)
async def test_an_engine_that_cannot_be_woken(
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    level: int,
    settings: dict[str, Any],
    fault: str,
    reason: str,
) -> None:
    async with asleep(level, **settings) as simulator:
        simulator.path_faults[WAKE_PATH] = fault
        async with in_front_of(serve, simulator, wake_sleeping=True) as (_, channel):
            with caplog.at_level(logging.INFO, "penstock.fleet"):
                result = await create(channel, chat())
            assert result.reason == "UPSTREAM_SLEEPING"
            assert result.message.endswith(f"and cannot be woken: {reason}")
    failed = [one for one in caplog.records if one.message == "cannot wake upstream"]
    assert [vars(one)["fields"]["reason"] for one in failed] == [reason]


async def test_the_reason_is_logged_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "penstock.fleet")
    async with (
        asleep(level=2) as simulator,
        in_front_of(serve, simulator, wake_sleeping=True) as (_, channel),
    ):
        for _ in range(3):
            await refused(channel)
    events = [one.message for one in caplog.records]
    assert events.count("cannot wake upstream") == 1
    assert "waking upstream" not in events
