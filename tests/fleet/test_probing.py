"""Results of probes; no answer of an upstream stops them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from upstream.wire import http

from penstock_server.fleet import Fleet, Policy, State
from penstock_server.fleet.probe import probe
from penstock_server.fleet.replica import Replica
from penstock_server.upstream.call import Call
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import UpstreamFailure
from penstock_server.upstream.operations import CHAT_COMPLETION

from .clock import Clock
from .engine import LISTED, Engine, engine, said
from .watched import watched

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello."}]}


def nested(depth: int) -> bytes:
    """Returns a model list with an entry as deep as the JSON parser allows."""
    return http(b'{"data": [{"id": "a", "x": %s%s}]}' % (b"[" * depth, b"]" * depth))


async def test_a_list_nested_deeper_than_python_can_compare() -> None:
    async with engine() as upstream:
        upstream.answers["/v1/models"] = nested(1000)
        async with watched(UpstreamConfig(upstream.url)) as running:
            await running.until(lambda: upstream.asked.count("/v1/models") > 3)
            assert running.states == [State.READY]
            assert not running.task.done()


async def test_an_invalid_host_name() -> None:
    async with engine() as upstream:
        configs = [UpstreamConfig(url) for url in (upstream.url, "http://vllm..svc:8000")]
        async with watched(*configs) as running:
            await running.until(lambda: running.states == [State.READY, State.DOWN])
            del upstream.answers["/health"], upstream.answers["/v1/models"]
            await running.until(lambda: running.states == [State.DOWN] * 2)


async def test_a_bug_does_not_stop_probing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:

        def learn(replica: Replica, listing: object, oddities: str) -> None:
            raise ZeroDivisionError("a bug")

        patch.setattr(Replica, "record_models", learn)
        async with engine() as upstream, watched(UpstreamConfig(upstream.url)) as running:
            with caplog.at_level(logging.ERROR, "penstock.fleet"):
                await running.until(lambda: upstream.asked.count("/v1/models") > 3)
            [known] = running.fleet.snapshot()
            assert known.state is State.DOWN
            assert "ZeroDivisionError('a bug')" in known.last_error
            errors = [record.message for record in caplog.records]
            assert errors == ["probe broke off", "upstream down"]
            patch.undo()
            await running.until(lambda: running.states == [State.READY])


async def test_calls_do_not_wait_for_a_stopped_watch() -> None:
    async with engine() as upstream:
        upstream.answers["/health"] = b""  # it never answers
        configs = [UpstreamConfig(upstream.url, name=name) for name in ("one", "other")]
        async with watched(*configs) as running:
            await asyncio.sleep(0)
            call = running.fleet.call(CHAT_COMPLETION, HELLO | {"model": "a"}, Call("id", "a"))
            waiting = asyncio.create_task(call)
            await asyncio.sleep(0)
            running.task.cancel()
            async with asyncio.timeout(60):
                with pytest.raises(UpstreamFailure) as raised:
                    await waiting
            assert raised.value.status == 404  # it was sent


@pytest.mark.parametrize("model", ["a", ""])
async def test_calls_do_not_wait_for_a_replica_with_another_model(model: str) -> None:
    async with engine() as well, engine() as hung:
        well.answers[CHAT_COMPLETION.path] = said({"id": "x"})
        hung.answers["/health"] = b""  # it never answers
        configs = [UpstreamConfig(hung.url), UpstreamConfig(well.url)]
        async with watched(*configs, default_model="a") as running, asyncio.timeout(60):
            await asyncio.sleep(0)
            answer = await running.fleet.call(CHAT_COMPLETION, HELLO, Call("id", model))
            assert answer == {"id": "x"}
            assert running.states[0] is State.PROBING


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
async def test_an_engine_without_a_health_route(status: str) -> None:
    async with engine() as upstream:
        error = {"message": "Invalid URL (GET /health)", "type": "invalid_request_error"}
        upstream.answers["/health"] = said({"error": error}, status)
        async with watched(UpstreamConfig(upstream.url)) as running:
            await running.until(lambda: running.states != [State.PROBING])
            assert running.states == [State.READY]


REFUSED = said({"error": {"message": "Unauthorized", "code": 401}}, "401 Unauthorized")


@pytest.mark.parametrize(
    ("listing", "models", "reason"),
    [
        (LISTED, {}, ""),
        (LISTED, {"public": "a"}, ""),
        (LISTED, {"public": "a", "other": "gone"}, ""),
        (LISTED, {"public": "gone", "other": "away"}, "it lists none of the models: gone, away"),
        ({"data": []}, {}, "it lists no model"),
    ],
)
async def test_a_model_list_must_contain_a_model(
    listing: object, models: Mapping[str, str], reason: str
) -> None:
    async with engine() as upstream:
        upstream.answers["/v1/models"] = said(listing)
        fleet = Fleet([UpstreamConfig(upstream.url, models=models)])
        await probe(fleet.replicas[0], 5)
        [known] = fleet.snapshot()
        assert fleet.healthy() is fleet.healthy(CHAT_COMPLETION) is (not reason)
        assert (known.state is State.DOWN) is bool(reason)
        assert known.last_error.removeprefix("model_unknown at body: ") == reason
        fleet.close()


@pytest.mark.parametrize("callers_credentials", [False, True])
async def test_a_model_list_that_is_refused(callers_credentials: bool) -> None:
    async with engine() as upstream:
        upstream.answers["/v1/models"] = REFUSED
        config = UpstreamConfig(upstream.url, callers_credentials=callers_credentials)
        fleet = Fleet([config])
        await probe(fleet.replicas[0], 5)
        assert fleet.healthy() is callers_credentials
        fleet.close()


async def test_a_refused_key_triggers_a_probe() -> None:
    async with (
        engine() as upstream,
        watched(UpstreamConfig(upstream.url), probe_interval=60) as running,
    ):
        await running.until(lambda: running.states == [State.READY])
        upstream.answers = {"/health": http(b""), "/v1/models": REFUSED}
        upstream.answers[CHAT_COMPLETION.path] = REFUSED
        with pytest.raises(UpstreamFailure):
            await running.fleet.call(CHAT_COMPLETION, HELLO, Call("id"))
        await running.until(lambda: running.states == [State.DOWN])


async def test_the_end_of_an_ejection_triggers_a_probe() -> None:
    policy: dict[str, Any] = {"ejection_failures": 1, "ejection_time": 0.2, "max_attempts": 1}
    async with (
        engine() as upstream,
        watched(UpstreamConfig(upstream.url), probe_interval=60, **policy) as running,
    ):
        await running.until(lambda: running.states == [State.READY])
        upstream.answers[CHAT_COMPLETION.path] = said({}, "503 Busy")
        with pytest.raises(UpstreamFailure):
            await running.fleet.call(CHAT_COMPLETION, HELLO, Call("id"))
        assert running.states == [State.EJECTED]
        assert not running.fleet.healthy()
        before = len(upstream.asked)
        await running.until(lambda: bool(running.fleet.healthy()))
        assert upstream.asked[before:].count("/health") <= 2  # one probe now, one then


async def test_a_healthy_replica_is_down_after_two_failed_probes() -> None:
    async with engine() as upstream:
        fleet = Fleet([UpstreamConfig(upstream.url)], Policy(slow_start=0))

        async def probed(*healths: bytes) -> State:
            for health in healths:
                upstream.answers["/health"] = health
                await probe(fleet.replicas[0], 5)
            return fleet.snapshot()[0].state

        well, ill = http(b""), said({}, "503 Busy")
        assert await probed(ill) is State.DOWN  # it was never healthy
        assert await probed(well) is State.READY
        assert await probed(ill, well, ill, well, ill) is State.READY
        assert await probed(ill) is State.DOWN
        assert await probed(well, ill) is State.READY
        fleet.close()


async def test_a_failed_probe_is_repeated_at_once() -> None:
    async with (
        engine() as upstream,
        watched(UpstreamConfig(upstream.url), probe_interval=60) as running,
    ):
        await running.until(lambda: running.states == [State.READY])
        upstream.answers["/health"] = said({}, "503 Busy")
        running.fleet.replicas[0].probe_requested.set()
        await running.until(lambda: running.states == [State.DOWN])


async def test_an_unreachable_replica_is_down_at_once() -> None:
    async with engine() as upstream:
        fleet = Fleet([UpstreamConfig(upstream.url)])
        await probe(fleet.replicas[0], 5)
        fleet.replicas[0].close()
    await probe(fleet.replicas[0], 5)
    assert fleet.snapshot()[0].state is State.DOWN


ROUTES = said({"paths": {CHAT_COMPLETION.path: {}}})
ABOUT = "/openapi.json", "/version"


def asked(upstream: Engine) -> tuple[int, int]:
    """Returns the number of requests for its routes and for its version."""
    return upstream.asked.count(ABOUT[0]), upstream.asked.count(ABOUT[1])


async def test_routes_are_requested_until_known_and_then_occasionally() -> None:
    clock = Clock()
    async with engine() as upstream:
        fleet = Fleet([UpstreamConfig(upstream.url)], clock=clock)

        async def known() -> tuple[int, str]:
            await probe(fleet.replicas[0], 5)
            [replica] = fleet.snapshot()
            return len(replica.operations), replica.version

        upstream.answers |= dict.fromkeys(ABOUT, said({}, "503 Busy"))
        assert [await known(), await known()] == [(0, "")] * 2
        upstream.answers |= {ABOUT[0]: ROUTES, ABOUT[1]: said({"version": "1"})}
        assert [await known(), await known()] == [(1, "1")] * 2
        assert asked(upstream) == (3, 3)
        upstream.answers |= {ABOUT[0]: said({}, "503 Busy"), ABOUT[1]: said({"version": "2"})}
        clock.now += 59
        assert await known() == (1, "1")
        clock.now += 1
        assert await known() == (1, "2")  # without an answer, the old value stays
        assert asked(upstream) == (4, 4)
        fleet.close()


async def test_unpublished_routes_are_requested_only_occasionally() -> None:
    async with engine() as upstream:
        fleet = Fleet([UpstreamConfig(upstream.url)], clock=Clock())
        for _ in range(5):
            await probe(fleet.replicas[0], 5)
        assert asked(upstream) == (1, 1)
        fleet.close()


async def test_a_replica_that_returns_may_be_a_different_one() -> None:
    """Its models and routes are requested again, and it starts slowly."""
    clock = Clock()
    async with engine() as upstream:
        fleet = Fleet([UpstreamConfig(upstream.url)], Policy(slow_start=10), clock=clock)
        upstream.answers |= {ABOUT[0]: ROUTES, ABOUT[1]: said({"version": "1"})}
        await probe(fleet.replicas[0], 5)
        clock.now += 10
        [first] = fleet.snapshot()
        assert (first.state, first.models, first.version) == (State.READY, ("a",), "1")
        assert first.operations == (CHAT_COMPLETION.name,)

        upstream.answers["/health"] = said({}, "503 Dead")
        for _ in range(2):
            await probe(fleet.replicas[0], 5)
        assert fleet.snapshot()[0].state is State.DOWN
        busy = said({}, "503 Busy")
        other = said({"data": [{"id": "b"}]})
        upstream.answers = {"/health": http(b""), "/v1/models": other, ABOUT[0]: busy}
        await probe(fleet.replicas[0], 5)
        [second] = fleet.snapshot()
        assert (second.state, second.models, second.version) == (State.SLOW_START, ("b",), "")
        assert second.operations == ()
        assert second.weight == pytest.approx(0.1)
        fleet.close()


async def test_models_are_requested_again() -> None:
    async with engine() as upstream, watched(UpstreamConfig(upstream.url)) as running:
        await running.until(lambda: running.states == [State.READY])
        adapter = {"id": "lora", "parent": "a"}
        upstream.answers["/v1/models"] = said({"data": [*LISTED["data"], adapter]})
        await running.until(lambda: running.fleet.snapshot()[0].models == ("a", "lora"))
        upstream.answers["/v1/models"] = said({"data": [{"id": "b"}]})
        await running.until(lambda: running.fleet.snapshot()[0].models == ("b",))


async def test_a_replica_that_returns_with_another_key() -> None:
    async with engine() as upstream, watched(UpstreamConfig(upstream.url)) as running:
        await running.until(lambda: running.states == [State.READY])
        upstream.answers["/health"] = said({}, "503 Dead")
        await running.until(lambda: running.states == [State.DOWN])
        upstream.answers |= {"/health": http(b""), "/v1/models": REFUSED}
        before = len(upstream.asked)
        await running.until(lambda: len(upstream.asked) > before + 4)
        assert running.states == [State.DOWN]
        upstream.answers["/v1/models"] = said(LISTED)
        await running.until(lambda: running.states == [State.READY])
