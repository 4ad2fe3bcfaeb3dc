"""Metrics of upstreams that fail, are late, or stop and start."""

from rpc.calls import chat
from rpc.test_failing_replicas import ready, simulators

from penstock_server.fleet import State

from .conftest import Observe


async def test_requests_by_upstream(observe: Observe) -> None:
    async with simulators("chat") as [only]:
        observed = await observe(upstream=(only.url,), slow_start=0)
        await ready(observed.service)
        place = {"upstream": only.url.removeprefix("http://")}
        await observed.chats.CreateChatCompletion(chat())
        found = await observed.scrape()
    states = found.by("state", "penstock_upstream_state", **place)
    assert states == {"ready": 1}
    assert len(found.of("penstock_upstream_state", **place)) == len(State)
    assert found.value("penstock_upstream_requests_total", **place) == 1
    assert found.value("penstock_upstream_errors_total", **place) == 0
    assert found.value("penstock_upstream_latency_seconds", **place) > 0
    assert found.of("penstock_upstream_info", **place)[0].labels["version"]
    for name in ("retries", "hedges", "ejections"):
        assert [one.value for one in found.of(f"penstock_upstream_{name}_total", **place)] == [0]


async def test_retries_and_ejections(observe: Observe) -> None:
    async with simulators("chat", "chat") as (failing, well):
        failing.faults = "status;code=503"
        observed = await observe(
            upstream=(failing.url, well.url), ejection_failures=1, ejection_time=3600, slow_start=0
        )
        await ready(observed.service)
        place, other = (one.url.removeprefix("http://") for one in (failing, well))
        while not failing_was_asked(observed.service, place):
            await observed.chats.CreateChatCompletion(chat())
        found = await observed.scrape()
    assert found.by("upstream", "penstock_upstream_retries_total") == {place: 1}
    assert found.by("upstream", "penstock_upstream_errors_total") == {place: 1}
    assert found.by("upstream", "penstock_upstream_ejections_total") == {place: 1}
    assert found.by("state", "penstock_upstream_state", upstream=place) == {"ejected": 1}
    assert found.by("state", "penstock_upstream_state", upstream=other) == {"ready": 1}
    assert not found.value("penstock_calls_failed_total")


def failing_was_asked(service: object, place: str) -> bool:
    fleet = service._fleet  # type: ignore[attr-defined]
    return any(one.requests for one in fleet.snapshot() if one.upstream == place)


async def test_hedges(observe: Observe) -> None:
    async with simulators("chat", "chat") as (silent, well):
        silent.faults = "silent"
        observed = await observe(
            upstream=(silent.url, well.url), hedge_after=0.5, ejection_time=3600, retry_budget=1
        )
        await ready(observed.service)
        place, other = (one.url.removeprefix("http://") for one in (silent, well))
        while not failing_was_asked(observed.service, place):
            await observed.chats.CreateChatCompletion(chat())
        found = await observed.scrape()
        assert found.value("penstock_upstream_hedges_total", upstream=place) == 1
        assert found.value("penstock_upstream_requests_total", upstream=place) == 1
        assert not found.value("penstock_upstream_retries_total")
        assert found.value("penstock_upstream_requests_total", upstream=other) >= 1
        await silent.wait_active(0)


async def test_an_upstream_that_is_down(observe: Observe) -> None:
    observed = await observe(upstream=("http://127.0.0.1:1",))
    found = await observed.scrape()
    assert found.by("state", "penstock_upstream_state") == {"down": 1}
    assert found.by("upstream", "penstock_upstream_state") == {"127.0.0.1:1": 1}
