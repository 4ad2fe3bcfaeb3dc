"""Routing among several upstreams, and the state of each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
from upstream.wire import End, http, served, wire

from penstock_server.fleet import Fleet, Policy, State, adaptation
from penstock_server.fleet.probe import probe
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.operations import CHAT_COMPLETION, Operation

from .engine import engine, said

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello."}]}
MIND_READING = Operation("mind reading", "/v1/minds")
DEFAULTS = Policy()


@asynccontextmanager
async def fleet_of(*urls: str, policy: Policy = DEFAULTS) -> AsyncIterator[Fleet]:
    """Creates a fleet that has probed its upstreams once."""
    fleet = Fleet([UpstreamConfig(url) for url in urls], policy)
    try:
        for replica in fleet.replicas:
            await probe(replica, 5)
        yield fleet
    finally:
        fleet.close()


@asynccontextmanager
async def simulators(*models: tuple[str, ...]) -> AsyncIterator[list[Simulator]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Simulator(SimulatorSettings(listen="127.0.0.1:0", models=names))
            )
            for names in models
        ]


async def ask(fleet: Fleet, model: str = "", operation: Operation = CHAT_COMPLETION) -> str:
    body = HELLO | ({"model": model} if model else {})
    answer = await fleet.call(operation, body, Call("id-1", model))
    return str(answer["model"])


async def missed(fleet: Fleet, number: int) -> None:
    """Makes probes find a healthy replica down."""
    for _ in range(2):
        await probe(fleet.replicas[number], 5)


async def refusal(fleet: Fleet, model: str = "", operation: Operation = CHAT_COMPLETION) -> Any:
    with pytest.raises(UpstreamFailure) as raised:
        await ask(fleet, model, operation)
    return raised.value


async def unused_url() -> str:
    async with wire() as gone:
        return gone.url


def chats(simulator: Simulator) -> int:
    return sum(request.path == CHAT_COMPLETION.path for request in simulator.requests)


async def test_the_model_determines_the_upstream() -> None:
    async with simulators(("a",), ("b",)) as (a, b), fleet_of(a.url, b.url) as fleet:
        assert [await ask(fleet, name) for name in "abba"] == ["a", "b", "b", "a"]
        assert (chats(a), chats(b)) == (2, 2)


async def test_streams_are_routed_alike() -> None:
    async with simulators(("a",), ("b",)) as (a, b), fleet_of(a.url, b.url) as fleet:
        body = HELLO | {"model": "b", "stream": True}
        contract = ChoiceStream(choices=1)
        async with fleet.stream(CHAT_COMPLETION, body, Call("id-1", "b"), contract) as events:
            assert (await anext(events))["model"] == "b"
        assert (chats(a), chats(b)) == (0, 1)


async def test_an_unknown_model() -> None:
    async with simulators(("a",), ("b",)) as (a, b), fleet_of(a.url, b.url) as fleet:
        failure = await refusal(fleet, "c")
        assert failure.kind is Kind.MODEL_UNKNOWN
        assert "a, b" in failure.message
        assert (chats(a), chats(b)) == (0, 0)


async def test_no_model_named() -> None:
    async with simulators(("a",), ("b",), ("a",)) as (a, b, other_a):
        async with fleet_of(a.url, b.url) as fleet:
            failure = await refusal(fleet)
            assert failure.kind is Kind.MODEL_AMBIGUOUS
            assert "a, b" in failure.message
        async with fleet_of(a.url, other_a.url) as fleet:
            assert await ask(fleet) == "a"


@pytest.mark.parametrize("model", ["a", ""])
async def test_an_operation_that_no_upstream_serves(model: str) -> None:
    async with simulators(("a",), ("b",)) as (a, b), fleet_of(a.url, b.url) as fleet:
        failure = await refusal(fleet, model, MIND_READING)
        assert (failure.kind, failure.path) == (Kind.ROUTE_MISSING, "/v1/minds")
        assert "mind reading" in failure.message


async def test_an_operation_that_another_upstream_serves() -> None:
    reads_minds = http(
        orjson.dumps({"data": [{"id": "m"}], "paths": {"/v1/minds": {}}, "model": "m"})
    )
    async with (
        simulators(("a",)) as (a,),
        wire(reads_minds, End.KEEP) as minds,
        fleet_of(a.url, minds.url) as fleet,
    ):
        assert await ask(fleet, operation=MIND_READING) == "m"  # no other upstream serves it
        assert await ask(fleet, "m", MIND_READING) == "m"
        assert await ask(fleet) == "a"
        assert (await refusal(fleet, "a", MIND_READING)).kind is Kind.ROUTE_MISSING
        assert (await refusal(fleet, "m")).kind is Kind.ROUTE_MISSING
        assert (fleet.healthy(MIND_READING), fleet.healthy(CHAT_COMPLETION)) == (True, True)


async def test_the_only_upstream_receives_every_request() -> None:
    async with simulators(("a",)) as (a,), fleet_of(a.url) as fleet:
        assert (await refusal(fleet, "c")).status == 404
        assert (await refusal(fleet, "a", MIND_READING)).route_missing


async def test_the_least_busy_receives_the_call() -> None:
    async with simulators(("a",), ("a",)) as (one, two), fleet_of(one.url, two.url) as fleet:
        one.faults = two.faults = "silent"
        busy = [asyncio.create_task(ask(fleet, "a")) for _ in range(6)]
        async with asyncio.timeout(60):
            await one.wait_active(3)
            await two.wait_active(3)
        for task in busy:
            task.cancel()


async def test_unhealthy_upstreams_receive_no_calls() -> None:
    async with simulators(("a",), ("a",)) as (ill, well), fleet_of(ill.url, well.url) as fleet:
        ill.healthy = False
        await missed(fleet, 0)
        for _ in range(5):
            await ask(fleet, "a")
        assert (chats(ill), chats(well)) == (0, 5)
        well.healthy = False
        await missed(fleet, 1)
        assert not fleet.healthy()
        assert await ask(fleet, "a") == "a"  # better than not trying


async def test_an_upstream_that_is_down_may_have_the_model() -> None:
    async with simulators(("a",)) as (a,), fleet_of(a.url, await unused_url()) as fleet:
        assert (await refusal(fleet, "b")).kind is Kind.CONNECT
        assert await ask(fleet, "a") == "a"


async def test_a_failed_connection_triggers_a_probe() -> None:
    changed = asyncio.Semaphore(0)
    fleet = Fleet([UpstreamConfig(await unused_url())], Policy(probe_interval=60))
    watch = asyncio.create_task(fleet.watch(changed.release))
    async with asyncio.timeout(60):
        await changed.acquire()
        await refusal(fleet)
        await changed.acquire()
    watch.cancel()
    fleet.close()


async def test_a_missing_model_list_does_not_delay_the_probe() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/health" in head:
            writer.write(http(b""))
        await reader.read()
        writer.close()

    async with served(serve) as url, asyncio.timeout(60):
        fleet = Fleet([UpstreamConfig(url)])
        await probe(fleet.replicas[0], 0.2)
        [known] = fleet.snapshot()
        assert known.state is State.DOWN
        assert "within 0.2 s" in known.last_error
        fleet.close()


async def test_models_of_all() -> None:
    async with simulators(("b", "c"), ("a", "b")) as (x, y), fleet_of(x.url, y.url) as fleet:
        listing = await fleet.list_models(Call("id-1"))
        assert [entry["id"] for entry, _ in listing.entries] == ["a", "b", "c"]
        assert all(CHAT_COMPLETION.path in (paths or ()) for _, paths in listing.entries)
        assert listing.unreachable == []
        assert listing.find("c")[0]["id"] == "c"
        for name, kind in (("d", Kind.MODEL_UNKNOWN), ("", Kind.MODEL_AMBIGUOUS)):
            with pytest.raises(UpstreamFailure) as raised:
                listing.find(name)
            assert raised.value.kind is kind


@pytest.mark.parametrize("lacking", ["down", "no list", "no ids"])
async def test_models_when_one_upstream_is_unreachable(lacking: str) -> None:
    answer = http(b'{"data": 7}') if lacking == "no list" else http(b'{"data": [{"name": "x"}]}')
    async with simulators(("a",)) as (a,), wire(answer, End.KEEP) as other:
        url = await unused_url() if lacking == "down" else other.url
        async with fleet_of(a.url, url) as fleet:
            listing = await fleet.list_models(Call("id-1"))
            assert [entry["id"] for entry, _ in listing.entries] == ["a"]
            assert listing.unreachable == [url.removeprefix("http://")]
            assert listing.find("a")
            with pytest.raises(UpstreamFailure) as raised:
                listing.find("b")  # it may be there
            assert raised.value.kind is (Kind.CONNECT if lacking == "down" else Kind.MALFORMED)


async def test_the_last_known_models_of_an_upstream_that_is_down() -> None:
    async with simulators(("a", "b"), ("b", "c")) as (x, y), fleet_of(x.url, y.url) as fleet:
        y.healthy = False
        await missed(fleet, 1)
        before = y.request_count
        listing = await fleet.list_models(Call("id-1"))
        assert [entry["id"] for entry, _ in listing.entries] == ["a", "b", "c"]
        assert listing.unreachable == [y.url.removeprefix("http://")]
        assert y.request_count == before  # it is not asked, which may take long
        with pytest.raises(UpstreamFailure, match="HTTP 503"):
            listing.find("d")
        # It may not list its models for a caller with other credentials.
        listing = await fleet.list_models(Call("id-1", authorization="Bearer of-the-caller"))
        assert [entry["id"] for entry, _ in listing.entries] == ["a", "b"]
        await x.stop()
        listing = await fleet.list_models(Call("id-1"))
        assert len(listing.entries) == 3
        assert len(listing.unreachable) == 2


async def test_models_when_all_upstreams_are_unreachable() -> None:
    async with fleet_of(await unused_url(), await unused_url()) as fleet:
        with pytest.raises(UpstreamFailure) as raised:
            await fleet.list_models(Call("id-1"))
        assert raised.value.kind is Kind.CONNECT


@pytest.mark.parametrize(
    ("health", "models", "state", "reason"),
    [
        ("200 OK", "200 OK", State.READY, ""),
        ("200 OK", "500 Oops", State.DOWN, "HTTP 500"),
        ("200 OK", "401 Unauthorized", State.DOWN, "HTTP 401"),
        ("200 OK", "404 Not Found", State.DOWN, "HTTP 404"),
        # A proxy for several servers has models, but no health of its own.
        ("404 Not Found", "200 OK", State.READY, ""),
        ("405 Method Not Allowed", "200 OK", State.READY, ""),
        ("404 Not Found", "503 Busy", State.DOWN, "HTTP 503"),
        ("404 Not Found", "404 Not Found", State.DOWN, "HTTP 404"),
        ("503 Dead", "200 OK", State.DOWN, "HTTP 503"),
        ("401 Unauthorized", "200 OK", State.DOWN, "HTTP 401"),
    ],
)
async def test_conditions_for_a_healthy_upstream(
    health: str, models: str, state: State, reason: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while path := (await reader.readuntil(b"\r\n\r\n")).split()[1]:
                listing = b'{"data": [{"id": "a"}]}' if models == "200 OK" else b""
                known = {b"/health": http(b"", status=health)}
                known[b"/v1/models"] = http(listing, status=models)
                writer.write(known.get(path, http(b"", status="404 Not Found")))
        writer.close()

    async with served(serve) as url, fleet_of(url, policy=Policy(slow_start=0)) as fleet:
        [known] = fleet.snapshot()
        assert known.state is state
        assert reason in known.last_error
        assert bool(known.last_error) == bool(reason)


@pytest.mark.parametrize("newest", ["0.17.0", "0.19.0"])
async def test_a_request_is_adapted_once_per_version(
    newest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if several replicas have a version and some of them refuse a field."""
    adapted, asked = adaptation.adapted, list[str]()

    def counting(operation: Operation, body: Any, version: str) -> Any:
        asked.append(version)
        return adapted(operation, body, version)

    monkeypatch.setattr(adaptation, "adapted", counting)
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(engine()) for _ in range(6)]
        for number, one in enumerate(engines):
            version = newest if number == 5 else ["0.17.0", "0.18.0"][number % 2]
            one.answers |= {
                "/version": said({"version": version}),
                CHAT_COMPLETION.path: said({"model": "a", "choices": []}),
            }
        async with fleet_of(*(one.url for one in engines)) as fleet:
            body = HELLO | {"model": "a", "thinking_token_budget": 9}
            calls = (fleet.call(CHAT_COMPLETION, body, Call("id-1", "a")) for _ in range(20))
            for call in calls:
                asked.clear()
                if newest == "0.19.0":
                    await call
                else:
                    with pytest.raises(UpstreamFailure, match="thinking_token_budget"):
                        await call
                assert len(asked) == len(set(asked))
