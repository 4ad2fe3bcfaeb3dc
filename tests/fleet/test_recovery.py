"""Failing replicas: the replica used instead, the return, and the effects of a reload."""

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from upstream.wire import End, http, read_request, served, stream, wire

from penstock_server.fleet import Fleet, Policy, State
from penstock_server.fleet.probe import probe
from penstock_server.rpc.status import resendable
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.config import Timeouts, Tls, UpstreamConfig
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.multipart import File, Form
from penstock_server.upstream.operations import (
    CHAT_COMPLETION,
    NATIVE_RESPONSE,
    TRANSCRIPTION,
    Operation,
)

from .clock import Clock

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello."}]}
BUSY = "status code=503"


@asynccontextmanager
async def fleet_of(
    *urls: str, clock: Clock | None = None, **policy: Any
) -> AsyncIterator[tuple[Fleet, Clock]]:
    """Creates a fleet whose clock stands still and that has probed its upstreams once."""
    clock = clock or Clock()
    fleet = Fleet(
        [UpstreamConfig(url) for url in urls],
        Policy(**({"slow_start": 0} | policy)),
        resendable=resendable,
        clock=clock,
        sleep=clock.sleep,
        chance=Random(1),
    )
    await asyncio.gather(*(probe(replica, 5) for replica in fleet.replicas))
    try:
        yield fleet, clock
    finally:
        fleet.close()


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Simulator, Simulator]]:
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="all")
    async with Simulator(settings) as one, Simulator(settings) as other:
        yield one, other


async def ask(fleet: Fleet, count: int = 1) -> int:
    """Makes a number of calls; returns how many failed."""
    failed = 0
    for _ in range(count):
        try:
            await fleet.call(CHAT_COMPLETION, HELLO, Call("id"))
        except UpstreamFailure:
            failed += 1
    return failed


async def streamed(fleet: Fleet) -> list[Any]:
    """Returns the events of a stream."""
    body = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
    contract = ChoiceStream(choices=1)
    async with fleet.stream(CHAT_COMPLETION, body, Call("id"), contract) as events:
        return [event async for event in events]


def chats(simulator: Simulator) -> int:
    return sum(request.path == CHAT_COMPLETION.path for request in simulator.requests)


def states(fleet: Fleet) -> Sequence[State]:
    return [state.state for state in fleet.snapshot()]


async def test_another_replica_is_asked_at_once() -> None:
    async with two() as (ill, well), fleet_of(ill.url, well.url) as (fleet, clock):
        ill.faults = BUSY
        assert await ask(fleet, 20) == 0
        assert clock.slept == []
        assert chats(well) == 20


async def test_a_rate_limited_call_goes_to_another_replica() -> None:
    async with two() as (limiting, well):
        limiting.faults = "status code=429 retry_after=1"
        async with fleet_of(limiting.url, well.url) as (fleet, clock):
            assert await ask(fleet, 20) == 0
            assert states(fleet) == [State.READY, State.READY]
        asked = chats(limiting)
        async with fleet_of(limiting.url) as (fleet, clock):
            assert await ask(fleet) == 1
        assert chats(limiting) == asked + 1
        assert clock.slept == []


async def test_ejection_and_return() -> None:
    async with (
        two() as (ill, well),
        fleet_of(ill.url, well.url, ejection_failures=3) as (fleet, clock),
    ):
        ill.faults = BUSY
        assert await ask(fleet, 30) == 0
        assert states(fleet) == [State.EJECTED, State.READY]
        assert chats(ill) == 3
        clock.now += 5
        assert await ask(fleet, 20) == 0
        assert chats(ill) == 3  # not before a probe
        await probe(fleet.replicas[0], 5)
        assert await ask(fleet, 20) == 0
        assert chats(ill) == 4  # the trial
        clock.now += 9.9
        await probe(fleet.replicas[0], 5)
        assert await ask(fleet, 20) == 0
        assert chats(ill) == 4
        ill.faults = ""
        clock.now += 0.1
        await probe(fleet.replicas[0], 5)
        await ask(fleet, 40)
        assert states(fleet) == [State.READY, State.READY]
        assert chats(ill) > 10


async def test_a_returning_replica_starts_slowly() -> None:
    async with two() as (ill, well):
        policy: dict[str, Any] = {"ejection_failures": 1, "slow_start": 10}
        async with fleet_of(ill.url, well.url, **policy) as (fleet, clock):
            clock.now += 10
            ill.faults = BUSY
            await ask(fleet, 10)
            ill.faults = ""
            clock.now += 5
            await probe(fleet.replicas[0], 5)
            while states(fleet)[0] is State.EJECTED:
                await ask(fleet)
            assert fleet.snapshot()[0].state is State.SLOW_START
            before = chats(ill)
            await ask(fleet, 100)
            assert 2 <= chats(ill) - before <= 20  # 1 of 11
            clock.now += 10
            before = chats(ill)
            await ask(fleet, 100)
            assert 35 <= chats(ill) - before <= 65


async def test_all_replicas_are_asked_if_none_is_healthy() -> None:
    async with (
        two() as (one, other),
        fleet_of(one.url, other.url, ejection_failures=1, max_attempts=1) as (fleet, _),
    ):
        one.faults = other.faults = BUSY
        await ask(fleet, 10)
        assert states(fleet) == [State.EJECTED] * 2
        one.faults = other.faults = ""
        assert await ask(fleet) == 0
        assert sorted(s.value for s in states(fleet)) == ["ejected", "ready"]


async def test_errors_of_callers_do_not_eject() -> None:
    async with (
        two() as (one, other),
        fleet_of(one.url, other.url, ejection_failures=1) as (fleet, _),
    ):
        one.faults = other.faults = "status code=400"
        assert await ask(fleet, 10) == 10
        assert states(fleet) == [State.READY] * 2
        assert [state.errors for state in fleet.snapshot()] == [0, 0]
        assert chats(one) + chats(other) == 10


@pytest.mark.parametrize("fault", ["status code=500", "status code=504", "html", "status code=403"])
async def test_a_replica_that_fails_fast_does_not_get_all_calls(fault: str) -> None:
    async with two() as (ill, well), fleet_of(ill.url, well.url) as (fleet, _):
        well.faults, ill.faults = "slow-headers seconds=0.01", fault
        failed = await asyncio.gather(*(ask(fleet, 20) for _ in range(5)))
        assert states(fleet) == [State.EJECTED, State.READY]
        assert 10 <= sum(failed) <= 20
        assert chats(well) >= 80


async def test_bad_requests_of_one_caller_do_not_eject() -> None:
    async with two() as (one, other), fleet_of(one.url, other.url) as (fleet, _):
        one.faults = other.faults = "status code=500"
        assert await ask(fleet, 100) == 100
        assert states(fleet) == [State.READY] * 2


@pytest.mark.parametrize("models", [("other",), ("tiny-chat",)])
async def test_the_last_replica_of_a_model_is_not_ejected_by_doubtful_failures(
    models: tuple[str, ...],
) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", models=("tiny-chat", "other"))
    fewer = SimulatorSettings(listen="127.0.0.1:0", models=models)
    async with (
        Simulator(settings) as ill,
        Simulator(fewer) as well,
        fleet_of(ill.url, well.url) as (fleet, _),
    ):
        ill.faults = "status code=500"
        for model in ("tiny-chat", "other") * 20:
            body = HELLO | {"model": model}
            with contextlib.suppress(UpstreamFailure):
                await fleet.call(CHAT_COMPLETION, body, Call("id", model))
        assert states(fleet) == [State.READY] * 2


async def left(fleet: Fleet, clock: Clock, hung: Simulator, waited_s: float) -> None:
    """Makes a call with a deadline in 10 s; cancels it after a given time if it must wait."""
    call = Call("id", deadline=clock.now + 10)
    asking = asyncio.create_task(fleet.call(CHAT_COMPLETION, HELLO, call))
    waiting = asyncio.create_task(hung.wait_active(1))
    async with asyncio.timeout(60):
        await asyncio.wait((asking, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            clock.now += waited_s
            asking.cancel()
            await asyncio.wait((asking,))
            await hung.wait_active(0)
    waiting.cancel()


@pytest.mark.parametrize(("waited_s", "state"), [(9.9, State.EJECTED), (9, State.READY)])
async def test_a_replica_that_exceeds_the_callers_deadlines(waited_s: float, state: State) -> None:
    async with two() as (hung, well), fleet_of(hung.url, well.url) as (fleet, clock):
        hung.faults = "silent"
        for _ in range(40):
            await left(fleet, clock, hung, waited_s)
        assert states(fleet) == [state, State.READY]
        assert (chats(hung) == 10) is (state is State.EJECTED)


async def test_an_abandoned_stream_does_not_count_for_its_replica() -> None:
    async with two() as (slow, _), fleet_of(slow.url) as (fleet, clock):
        slow.faults = "stall after=2"
        body, contract = HELLO | {"stream": True}, ChoiceStream(choices=1)
        call = Call("id", deadline=clock.now)
        with contextlib.suppress(asyncio.CancelledError):
            async with fleet.stream(CHAT_COMPLETION, body, call, contract) as events:
                await anext(events)
                raise asyncio.CancelledError
        assert fleet.snapshot()[0].consecutive_failures == 0


async def test_a_successful_probe_ends_an_ejection() -> None:
    async with (
        two() as (ill, well),
        fleet_of(ill.url, well.url, ejection_failures=1) as (fleet, _),
    ):
        ill.faults = BUSY
        await ask(fleet, 10)
        await probe(fleet.replicas[0], 5)
        assert states(fleet)[0] is State.EJECTED  # /health alone proves nothing new
        ill.healthy = False
        await probe(fleet.replicas[0], 5)
        await probe(fleet.replicas[0], 5)
        assert states(fleet)[0] is State.DOWN
        ill.healthy = True
        await probe(fleet.replicas[0], 5)
        assert states(fleet)[0] is State.READY


async def test_a_stream_is_retried_on_another_replica() -> None:
    async with two() as (ill, well), fleet_of(ill.url, well.url) as (fleet, _):
        ill.faults = "error-event code=503"  # a stream whose first event is an error
        for _ in range(10):
            assert await streamed(fleet)
        assert chats(ill) > 0


async def test_a_stream_that_began_is_not_retried() -> None:
    async with two() as (one, other), fleet_of(one.url, other.url) as (fleet, _):
        one.faults = other.faults = "cut after=2"
        with pytest.raises(UpstreamFailure) as raised:
            await streamed(fleet)
        assert raised.value.kind is Kind.INTERRUPTED
        assert chats(one) + chats(other) == 1
        assert sum(state.errors for state in fleet.snapshot()) == 1


async def test_the_end_of_a_kept_connection_does_not_count() -> None:
    """The server closes each connection just as the second request arrives."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await read_request(reader)
            writer.write(http(b'{"id": "x"}'))
            await read_request(reader)
        writer.close()

    async with served(serve) as one, served(serve) as other, fleet_of(one, other) as (fleet, _):
        assert await ask(fleet, 30) == 0
        assert await asyncio.gather(*(ask(fleet) for _ in range(30))) == [0] * 30
        call = Call("id")
        await fleet.call(CHAT_COMPLETION, HELLO, call)
        assert call.attempts.count == 1
        known = fleet.snapshot()
        assert [(one.errors, one.consecutive_failures) for one in known] == [(0, 0)] * 2


async def test_a_replica_that_closes_every_connection_is_asked_twice() -> None:
    async with wire(b"", End.CLOSE) as upstream, fleet_of(upstream.url) as (fleet, _):
        before = len(upstream.requests)
        assert await ask(fleet) == 1
        assert len(upstream.requests) - before == 2


@pytest.mark.parametrize(("operation", "requests"), [(CHAT_COMPLETION, 2), (NATIVE_RESPONSE, 1)])
@pytest.mark.parametrize("answer", [b"", stream(ended=False)], ids=["nothing", "headers"])
async def test_a_response_that_may_be_stored_is_not_retried(
    operation: Operation, requests: int, answer: bytes
) -> None:
    async with wire(answer, End.CLOSE) as upstream, fleet_of(upstream.url) as (fleet, _):
        before = len(upstream.requests)
        with pytest.raises(UpstreamFailure) as raised:
            async with fleet.stream(operation, HELLO, Call("id"), ChoiceStream(choices=1)):
                pass
        assert raised.value.kind is Kind.CLOSED
        assert len(upstream.requests) - before == requests


async def test_the_error_of_a_call_survives_a_reload() -> None:
    asked, refused = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                if CHAT_COMPLETION.path.encode() not in await read_request(reader):
                    writer.write(http(b'{"data": [{"id": "a"}]}'))
                    continue
                asked.set()
                await refused.wait()
                body = b'{"error": {"message": "too hot", "code": 400}}'
                writer.write(http(body, status="400 Bad Request"))
        writer.close()

    async with served(serve) as url, fleet_of(url) as (fleet, _), asyncio.timeout(60):
        call = fleet.call(CHAT_COMPLETION, HELLO | {"model": "a"}, Call("id", "a"))
        failing = asyncio.create_task(call)
        await asked.wait()
        fleet.reload([UpstreamConfig(f"http://{n}.invalid", models={"b": "b"}) for n in "xy"])
        refused.set()
        with pytest.raises(UpstreamFailure) as raised:
            await failing
    assert (raised.value.status, raised.value.message) == (400, "too hot")


async def test_a_dead_fleet_receives_few_requests() -> None:
    async with two() as (one, other), fleet_of(one.url, other.url) as (fleet, clock):
        started = clock.now
        one.faults = other.faults = BUSY
        assert await ask(fleet, 500) == 500
        # 10 are free at once and 10 each second, and a fifth is earned.
        free = 10 + 10 * (clock.now - started)
        assert 500 < chats(one) + chats(other) <= 500 + free + 100


async def test_the_deadline_limits_the_retries() -> None:
    async with two() as (one, other), fleet_of(one.url, other.url) as (fleet, clock):
        one.faults = other.faults = "status code=503 retry_after=1"
        with pytest.raises(UpstreamFailure):
            await fleet.call(CHAT_COMPLETION, HELLO, Call("id", deadline=clock.now + 0.9))
        assert chats(one) + chats(other) == 2
        assert clock.slept == []


# Uploads


def silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(3200))
    return file.getvalue()


def form(content: Any) -> Form:
    return Form((("response_format", "json"),), File(content, "a.wav", "audio/wav"))


def uploads(simulator: Simulator) -> list[Any]:
    return [request for request in simulator.requests if request.path == TRANSCRIPTION.path]


async def transcribed(fleet: Fleet, content: Any) -> int:
    """Makes ten uploads; returns how many failed."""
    failed = 0
    for _ in range(10):
        try:
            await fleet.call(TRANSCRIPTION, form(content()), Call("id"))
        except UpstreamFailure:
            failed += 1
    return failed


async def test_only_complete_uploads_are_retried() -> None:
    wav = silence()

    async def blocks() -> AsyncIterator[bytes]:
        yield wav

    async with (
        two() as (ill, well),
        fleet_of(ill.url, well.url, ejection_failures=99) as (fleet, _),
    ):
        ill.path_faults[TRANSCRIPTION.path] = BUSY
        assert await transcribed(fleet, lambda: wav) == 0
        before = len(uploads(ill)) + len(uploads(well))
        assert await transcribed(fleet, blocks) > 0
        assert len(uploads(ill)) + len(uploads(well)) - before == 10


async def test_an_upload_that_could_not_connect_is_sent_to_another_replica() -> None:
    first, *rest = (silence()[at : at + 1000] for at in range(0, 4000, 1000))
    closed: list[str] = []

    async def blocks() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            for block in rest:
                yield block
        finally:
            closed.append("")

    async with two() as (gone, well), fleet_of(gone.url, well.url) as (fleet, _):
        await gone.stop()
        for _ in range(20):
            async with contextlib.aclosing(blocks()) as audio:
                answer = await fleet.call(TRANSCRIPTION, form(audio), Call("id"))
                assert answer["usage"]["seconds"] == 1
        assert len(closed) == 20
        assert fleet.snapshot()[0].errors > 0


async def test_no_replica_is_asked_before_an_upload_begins() -> None:
    beginning = asyncio.Event()

    async def blocks() -> AsyncIterator[bytes]:
        await beginning.wait()
        yield silence()

    async with two() as (one, _), fleet_of(one.url) as (fleet, _):
        call = Call("id")
        asking = asyncio.create_task(fleet.call(TRANSCRIPTION, form(blocks()), call))
        await asyncio.sleep(0)
        assert (call.attempts.count, fleet.snapshot()[0].outstanding) == (0, 0)
        beginning.set()
        assert await asking


async def test_a_streamed_upload_is_not_used_as_a_trial() -> None:
    wav = silence()

    async def blocks() -> AsyncIterator[bytes]:
        yield wav

    async with (
        two() as (ill, well),
        fleet_of(ill.url, well.url, ejection_failures=1) as (fleet, clock),
    ):
        ill.faults = BUSY
        await ask(fleet, 10)
        clock.now += 5
        await probe(fleet.replicas[0], 5)
        assert await transcribed(fleet, blocks) == 0
        assert uploads(ill) == []
        ill.faults = ""
        assert await transcribed(fleet, lambda: wav) == 0
        assert uploads(ill)


# Reload


async def test_a_reload_keeps_unchanged_upstreams_and_lets_others_finish() -> None:
    async with two() as (stays, goes), fleet_of(stays.url, goes.url) as (fleet, _):
        await ask(fleet, 10)
        kept, known = fleet.replicas[0], fleet.snapshot()[0]
        goes.faults = stays.faults = "slow-headers seconds=1"
        calls = [asyncio.create_task(ask(fleet)) for _ in range(10)]
        async with asyncio.timeout(60):
            await goes.wait_active(5)
            fleet.reload([UpstreamConfig(stays.url)])
            assert fleet.replicas == [kept]
            assert fleet.snapshot()[0].requests == known.requests + 5
            assert await asyncio.gather(*calls) == [0] * 10
            await goes.wait_connections(0)
        before, stays.faults = chats(goes), ""
        assert await ask(fleet, 5) == 0
        assert chats(goes) == before


async def test_the_state_of_a_server_survives_other_changes() -> None:
    async with two() as (ill, well), fleet_of(ill.url, well.url, slow_start=10) as (fleet, clock):
        clock.now += 5
        ill.faults = BUSY
        await ask(fleet, 30)
        before, upstream = fleet.snapshot(), fleet.replicas[0].upstream
        assert [known.state for known in before] == [State.EJECTED, State.SLOW_START]
        names = {"m": "tiny-chat"}
        quick = Timeouts(first_byte=3)
        fleet.reload(
            [
                UpstreamConfig(well.url, name="b", models=names, timeouts=quick, weight=3),
                UpstreamConfig(ill.url, name="a", api_key="k"),
            ]
        )
        b, a = fleet.snapshot()
        assert (a.upstream, a.state, a.models) == ("a", State.EJECTED, before[0].models)
        assert (b.upstream, b.state, b.models) == ("b", State.SLOW_START, ("m",))
        assert a.consecutive_failures == before[0].consecutive_failures
        assert b.weight == 3 * before[1].weight
        assert (a.requests, b.requests) == (before[0].requests, before[1].requests)
        assert fleet.healthy()
        connections = well.open_connections
        await fleet.call(CHAT_COMPLETION, HELLO, Call("id", "m"))
        assert well.requests[-1].headers["x-request-id"].startswith("id-")
        assert well.open_connections == connections
        assert fleet.replicas[1].upstream is not upstream


async def test_a_server_at_another_address_is_a_different_one() -> None:
    async with two() as (one, other), fleet_of(one.url) as (fleet, _):
        await ask(fleet)
        fleet.reload([UpstreamConfig(other.url)])
        [known] = fleet.snapshot()
        assert (known.state, known.requests, known.models) == (State.PROBING, 0, ())
        fleet.reload([UpstreamConfig(other.url, tls=Tls(ca_file="/other.pem"))])
        assert fleet.healthy() is None


async def test_calls_during_continuous_reloads() -> None:
    async with two() as (one, other):
        configs = [
            [UpstreamConfig(one.url), UpstreamConfig(other.url)],
            [UpstreamConfig(other.url, weight=2), UpstreamConfig(one.url)],
            [UpstreamConfig(one.url, models={"m": "tiny-chat"})],
        ]
        policy = Policy(probe_interval=0.05)
        fleet = Fleet(configs[0], policy, resendable=resendable, default_model="")
        watch = asyncio.create_task(fleet.watch(lambda: None))
        busy = [asyncio.create_task(ask(fleet, 100)) for _ in range(10)]
        turn = 0
        while not all(task.done() for task in busy):
            turn += 1
            fleet.reload(configs[turn % 3])
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*busy) == [0] * 10
        assert turn > 20
        watch.cancel()
        fleet.close()


async def test_calls_wait_for_new_upstreams() -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", models=("a",))
    async with Simulator(settings) as one, two() as (other, third):
        urls = (one.url, other.url, third.url)
        fleet = Fleet([UpstreamConfig(url) for url in urls], resendable=resendable)
        watch = asyncio.create_task(fleet.watch(lambda: None))
        await asyncio.sleep(0)
        body = HELLO | {"model": "a"}
        async with asyncio.timeout(60):
            answers = [await fleet.call(CHAT_COMPLETION, body, Call("id", "a")) for _ in range(5)]
        assert {answer["model"] for answer in answers} == {"a"}
        watch.cancel()
        fleet.close()


async def test_models_under_other_names() -> None:
    async with two() as (one, _):
        fleet = Fleet(
            [UpstreamConfig(one.url, models={"small": "tiny-chat"})], aliases={"fast": "small"}
        )
        await probe(fleet.replicas[0], 5)
        for name in ("small", "fast", ""):
            body = HELLO | ({"model": name} if name else {})
            answer = await fleet.call(CHAT_COMPLETION, body, Call("id", name))
            assert answer["model"] == "small"
            contract = ChoiceStream(choices=1)
            stream = body | {"stream": True, "stream_options": {"include_usage": True}}
            async with fleet.stream(CHAT_COMPLETION, stream, Call("id", name), contract) as events:
                assert {event["model"] async for event in events} == {"small"}
        listing = await fleet.list_models(Call("id"))
        assert [entry["id"] for entry, _ in listing.entries] == ["small"]
        assert fleet.snapshot()[0].models == ("small",)
        fleet.close()
