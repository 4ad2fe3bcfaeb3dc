"""Several replicas of a model: effects on callers when one stops and returns."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.common_pb2 import FINISH_REASON_STOP
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.response_pb2_grpc import ResponseServiceStub
from penstock_server.app import Service
from penstock_server.fleet import Affinity, State, retry
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import FREE_PORT, Ended, Serve, chat, create, ended, plain_channel, stream, until

SERVING = health_pb2.HealthCheckResponse.SERVING
DRAINING = "status code=500 message=cannot%20schedule%20new%20futures%20after%20shutdown"
WORDS = "One two three four five six seven eight nine ten, and all of them once more."
CHAT_PATH = "/v1/chat/completions"
WORKERS = 6
"""Number of callers of each kind; each makes one call after the other."""


@asynccontextmanager
async def replicas(count: int, latency_s: float = 0.0) -> AsyncIterator[Sequence[Simulator]]:
    settings = SimulatorSettings(listen=FREE_PORT, inter_token_latency=latency_s)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Simulator(settings)) for _ in range(count)]


async def again(stopped: Simulator, port: int) -> Simulator:
    """Starts a new server at the address of a stopped one."""
    latency_s = stopped.settings.inter_token_latency
    settings = SimulatorSettings(listen=f"127.0.0.1:{port}", inter_token_latency=latency_s)
    started = Simulator(settings)
    await started.start()
    return started


def urls(simulators: Sequence[Simulator]) -> tuple[str, ...]:
    return tuple(simulator.url for simulator in simulators)


def states(service: Service) -> list[State]:
    return [state.state for state in service._fleet.snapshot()]


async def all_ready(service: Service) -> None:
    await until(lambda: set(states(service)) <= {State.READY, State.SLOW_START})


@dataclass
class Load:
    """Continuous calls and their results."""

    channel: aio.Channel
    answers: int = 0
    streams: int = 0
    failed_calls: list[Ended] = field(default_factory=list)
    broken_streams: list[Ended] = field(default_factory=list)
    stopping: bool = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as callers:
            for _ in range(WORKERS):
                callers.create_task(self._call())
                callers.create_task(self._stream())

    async def grow(self, calls: int) -> None:
        """Waits for a number of further answers."""
        aim = self.answers + calls
        await until(lambda: self.answers >= aim, seconds=200)

    async def _call(self) -> None:
        stub = ChatCompletionServiceStub(self.channel)
        while not self.stopping:
            try:
                await stub.CreateChatCompletion(chat(WORDS))
            except aio.AioRpcError as error:
                self.failed_calls.append(ended(error))
            self.answers += 1

    async def _stream(self) -> None:
        while not self.stopping:
            result = await stream(self.channel, chat(WORDS))
            if result.code is grpc.StatusCode.OK:
                self.streams += 1
            else:
                self.broken_streams.append(result)


@asynccontextmanager
async def load(service: Service) -> AsyncIterator[Load]:
    async with plain_channel(service) as channel:
        made = Load(channel)
        running = asyncio.create_task(made.run())
        yield made
        made.stopping = True
        async with asyncio.timeout(60):
            await running


def share(before: Sequence[int], after: Sequence[int]) -> list[float]:
    grown = [now - then for then, now in zip(before, after, strict=True)]
    return [each / sum(grown) for each in grown]


async def test_one_of_three_is_killed_and_returns(serve: Serve) -> None:
    async with replicas(3, latency_s=0.001) as simulators:
        service = await serve(upstream=urls(simulators), slow_start=0.5)
        await all_ready(service)
        victim, port = simulators[1], simulators[1].port
        async with load(service) as made:
            await made.grow(100)
            await victim.wait_active(4)
            await victim.stop()
            await made.grow(200)
            assert states(service)[1] is State.DOWN
            started = await again(victim, port)
            await until(lambda: states(service)[1] is State.READY)
            before = [replica.load.requests for replica in service._fleet.replicas]
            await made.grow(300)
            after = [replica.load.requests for replica in service._fleet.replicas]
        await started.stop()
    assert made.failed_calls == []
    # Whether any had begun depends on timing; the others were sent to another replica.
    for broken in made.broken_streams:
        # The client may see the end before it has read the messages before it.
        assert 0 < int(broken.metadata["messagesSent"]) >= len(broken.received)
        assert (broken.code, broken.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "STREAM_INTERRUPTED",
        )
        assert broken.pushback == "-1"
    assert share(before, after) == pytest.approx([1 / 3] * 3, abs=0.08)


async def test_a_draining_server_receives_no_calls(serve: Serve) -> None:
    async with replicas(2) as (leaving, staying):
        service = await serve(upstream=urls((leaving, staying)), ejection_time=3600)
        await all_ready(service)
        leaving.faults = DRAINING
        async with plain_channel(service) as channel:
            stub = ChatCompletionServiceStub(channel)
            for _ in range(30):
                await stub.CreateChatCompletion(chat())
                assert (await stream(channel, chat())).code is grpc.StatusCode.OK
            assert states(service)[0] is State.DRAINING  # although its /health answers 200
            assert leaving.healthy
            refused = sum(request.path == CHAT_PATH for request in leaving.requests)
            assert refused == 1
            # After a restart, it is another process.
            port = leaving.port
            await leaving.stop()
            await until(lambda: states(service)[0] is State.DOWN)
            started = await again(leaving, port)
            await all_ready(service)
            await started.stop()


async def test_callers_see_that_all_replicas_drain(serve: Serve) -> None:
    async with replicas(1) as (only,):
        service = await serve(upstream=(only.url,))
        await all_ready(service)
        only.faults = DRAINING
        async with plain_channel(service) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            name = "penstock.v1.ChatCompletionService"
            watching = health.Watch(health_pb2.HealthCheckRequest(service=name))
            assert (await watching.read()).status == SERVING
            result = await create(channel, chat())
            assert (result.code, result.reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_DEAD")
            async with asyncio.timeout(60):
                assert (await watching.read()).status != SERVING


async def test_another_replica_answers_an_aborted_call(serve: Serve) -> None:
    async with replicas(2) as (stopping, staying):
        service = await serve(upstream=urls((stopping, staying)))
        await all_ready(service)
        stopping.faults = "unknown-finish reason=abort"
        async with plain_channel(service) as channel:
            stub = ChatCompletionServiceStub(channel)
            for _ in range(10):
                answer = await stub.CreateChatCompletion(chat())
                assert answer.choices[0].finish_reason == FINISH_REASON_STOP
        assert any(request.path == CHAT_PATH for request in stopping.requests)


async def test_health_follows_an_ejection_and_the_recovery(serve: Serve) -> None:
    async with replicas(1) as (only,):
        service = await serve(
            upstream=(only.url,), ejection_failures=3, ejection_time=0.5, max_attempts=1
        )
        await all_ready(service)
        async with plain_channel(service) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            watching = health.Watch(health_pb2.HealthCheckRequest())
            assert (await watching.read()).status == SERVING
            only.faults = "status code=503"
            for _ in range(3):
                assert (await create(channel, chat())).metadata["upstreamStatus"] == "503"
            async with asyncio.timeout(60):
                assert (await watching.read()).status != SERVING
                only.faults = ""
                await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
                assert (await watching.read()).status == SERVING


async def test_each_request_has_a_unique_id(serve: Serve) -> None:
    async with replicas(1) as (only,):
        service = await serve(upstream=(only.url,), max_attempts=3)
        await all_ready(service)
        only.faults = "status code=503"
        async with plain_channel(service) as channel:
            result = await create(channel, chat(), metadata=(("x-request-id", "mine"),))
        sent = [r.headers["x-request-id"] for r in only.requests if r.path == CHAT_PATH]
    assert [name.rpartition("-")[0] for name in sent] == ["mine"] * 3
    assert len(set(sent)) == 3
    assert result.request_id == "mine"
    assert result.metadata["attempts"] == "3"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allows the service to wait as long as an upstream requests."""
    monkeypatch.setattr(retry, "_LONGEST_RETRY_AFTER_S", math.inf)


@pytest.mark.usefixtures("patience")
async def test_a_cancel_stops_the_wait_for_the_next_request(serve: Serve) -> None:
    async with replicas(1) as (only,):
        service = await serve(upstream=(only.url,))
        await all_ready(service)
        only.faults = "status code=503 retry_after=3600"
        async with plain_channel(service) as channel:
            call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
            await until(lambda: any(request.path == CHAT_PATH for request in only.requests))
            await until(lambda: service._fleet.replicas[0].load.outstanding == 0)
            assert service._fleet.budget.under_way == 1
            call.cancel()
            await until(lambda: service._fleet.budget.under_way == 0)
        assert sum(request.path == CHAT_PATH for request in only.requests) == 1


@pytest.mark.usefixtures("patience")
async def test_no_wait_beyond_the_deadline(serve: Serve) -> None:
    async with replicas(1) as (only,):
        service = await serve(upstream=(only.url,))
        await all_ready(service)
        only.faults = "status code=503 retry_after=3600"
        async with plain_channel(service) as channel:
            result = await create(channel, chat(), timeout=600)
    # It fails at once rather than let the deadline pass.
    assert (result.code, result.retry_s) == (grpc.StatusCode.UNAVAILABLE, 3600)
    assert result.metadata["attempts"] == "1"


async def test_the_service_waits_for_retry_after(serve: Serve) -> None:
    async with replicas(1) as (only,):
        service = await serve(upstream=(only.url,))
        await all_ready(service)
        only.faults = "status code=503 retry_after=1"
        async with plain_channel(service) as channel:
            loop = asyncio.get_running_loop()
            started = loop.time()
            calling = asyncio.ensure_future(
                ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
            )
            await until(lambda: any(request.path == CHAT_PATH for request in only.requests))
            only.faults = ""
            await calling
            assert loop.time() - started >= 1


@pytest.mark.parametrize("key", ["x-session-id", "x-session-affinity", "x-multi-turn-session-id"])
async def test_a_session_stays_on_its_replica(serve: Serve, key: str) -> None:
    async with replicas(3) as simulators:
        service = await serve(upstream=urls(simulators), affinity=Affinity.SESSION, slow_start=0)
        await all_ready(service)
        asked: dict[str, Counter[str]] = {}
        async with plain_channel(service) as channel:
            stub = ChatCompletionServiceStub(channel)
            for number in range(120):
                session = f"s-{number % 40}"
                call = stub.CreateChatCompletion(chat(), metadata=((key, session),))
                await call
                trailers = dict(await call.trailing_metadata() or ())
                name = str(trailers["x-penstock-upstream"])
                asked.setdefault(session, Counter())[name] += 1
    assert all(len(counted) == 1 for counted in asked.values())
    assert len({name for counted in asked.values() for name in counted}) == 3


async def test_responses_with_a_cache_key_stay_on_a_replica(serve: Serve) -> None:
    async with replicas(3) as simulators:
        service = await serve(upstream=urls(simulators), affinity=Affinity.SESSION, slow_start=0)
        await all_ready(service)
        asked: dict[str, set[str]] = {}
        async with plain_channel(service) as channel:
            stub = ResponseServiceStub(channel)
            for number in range(30):
                key = f"k-{number % 10}"
                # A session of its own: the key takes precedence.
                metadata = (("x-session-id", f"s-{number}"),)
                request = CreateResponseRequest(input_text="Hello", prompt_cache_key=key)
                call = stub.CreateResponse(request, metadata=metadata)
                await call
                trailers = dict(await call.trailing_metadata() or ())
                asked.setdefault(key, set()).add(str(trailers["x-penstock-upstream"]))
    assert all(len(names) == 1 for names in asked.values())
    assert len(set().union(*asked.values())) > 1


async def test_chats_with_the_same_tools_stay_on_a_replica(serve: Serve) -> None:
    async with replicas(3) as simulators:
        service = await serve(upstream=urls(simulators), affinity=Affinity.PREFIX, slow_start=0)
        await all_ready(service)
        asked: dict[int, set[str]] = {}
        async with plain_channel(service) as channel:
            stub = ChatCompletionServiceStub(channel)
            for number in range(30):
                request = chat()
                parameters = f'{{"type": "object", "title": "{number % 10}"}}'
                function = request.tools.add().function
                function.name, function.parameters.json = "f", parameters
                call = stub.CreateChatCompletion(request)
                await call
                trailers = dict(await call.trailing_metadata() or ())
                asked.setdefault(number % 10, set()).add(str(trailers["x-penstock-upstream"]))
    assert all(len(names) == 1 for names in asked.values())
    assert len(set().union(*asked.values())) > 1
