"""Log lines of replicas: one for each change, and none without a change."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from upstream.wire import http

from penstock_server.fleet import Fleet, Policy, State
from penstock_server.fleet.probe import probe
from penstock_server.telemetry import QUIET_S
from penstock_server.upstream.config import UpstreamConfig

from .engine import Engine, engine, said
from .test_discovery import Names
from .test_recovery import BUSY, ask, fleet_of, two
from .watched import watched

PROBES = 3
ILL = said({}, "503 Busy")
OTHER_ILL = said({}, "500 Broken")
WELL = http(b"")


class Log:
    """Returns the lines of the fleet, without the fields that all lines of one replica share."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        caplog.set_level(logging.INFO, "penstock.fleet")

    def taken(self) -> list[tuple[str, dict[str, Any]]]:
        """Returns the lines since the last time."""
        records = [one for one in self._caplog.records if one.name == "penstock.fleet"]
        self._caplog.clear()
        return [(record.msg, self._fields(record)) for record in records]

    def names(self) -> list[str]:
        return [name for name, _ in self.taken()]

    @staticmethod
    def _fields(record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = dict(vars(record)["fields"])
        assert fields.pop("upstream")
        assert fields.pop("address")
        return {key: value for key, value in fields.items() if value not in (None, "")}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


@asynccontextmanager
async def one() -> AsyncIterator[tuple[Fleet, Engine]]:
    async with engine() as upstream:
        fleet = Fleet([UpstreamConfig(upstream.url)], Policy(slow_start=60))
        try:
            yield fleet, upstream
        finally:
            fleet.close()


async def probed(fleet: Fleet, upstream: Engine, health: bytes) -> None:
    """Probes several times: whatever is logged is logged once."""
    upstream.answers["/health"] = health
    for _ in range(PROBES):
        await probe(fleet.replicas[0], 60)


async def test_up_and_down(log: Log) -> None:
    async with one() as (fleet, upstream):
        await probed(fleet, upstream, WELL)
        assert log.taken() == [("upstream ready", {"before": "probing", "models": ["a"]})]
        await probed(fleet, upstream, ILL)
        (missed, why), (down, fields) = log.taken()
        assert (missed, down) == ("probe failed", "upstream down")
        assert fields == {"before": "ready", "reason": why["reason"]}
        assert "503" in fields["reason"]
        await probed(fleet, upstream, OTHER_ILL)
        [(missed, why)] = log.taken()
        assert missed == "probe failed"
        assert "500" in why["reason"]
        await probed(fleet, upstream, WELL)
        assert log.taken() == [("upstream ready", {"before": "down", "models": ["a"]})]


async def test_a_miss_that_is_no_more_than_one(log: Log) -> None:
    async with one() as (fleet, upstream):
        await probed(fleet, upstream, WELL)
        log.taken()
        for health in (ILL, WELL, WELL):
            upstream.answers["/health"] = health
            await probe(fleet.replicas[0], 60)
        assert log.names() == ["probe failed"]


async def test_down_from_the_first(log: Log) -> None:
    async with one() as (fleet, upstream):
        await probed(fleet, upstream, ILL)
        assert log.names() == ["upstream down"]


async def test_models_that_appear_and_go(log: Log) -> None:
    async with one() as (fleet, upstream):
        await probed(fleet, upstream, WELL)
        log.taken()
        upstream.answers["/v1/models"] = said({"data": [{"id": "b"}, {"id": "c"}]})
        await probed(fleet, upstream, WELL)
        assert log.taken() == [("models changed", {"appeared": ["b", "c"], "gone": ["a"]})]
        upstream.answers["/v1/models"] = said({"data": [{"id": "c", "more": 1}, {"id": "b"}]})
        await probed(fleet, upstream, WELL)
        assert log.taken() == []


async def test_ejected_and_back(log: Log) -> None:
    async with (
        two() as (ill, well),
        fleet_of(ill.url, well.url, ejection_failures=3, ejection_time=5) as (fleet, clock),
    ):
        log.taken()
        ill.faults = BUSY
        assert await ask(fleet, 30) == 0
        [(name, fields)] = log.taken()
        assert (name, fields["before"], fields["seconds"]) == ("upstream ejected", "ready", 5)
        assert "Service Unavailable" in fields["reason"]
        ill.faults = ""
        clock.now += 5
        await probe(fleet.replicas[0], 60)
        await ask(fleet, 40)
        [(name, fields)] = log.taken()
        assert (name, fields["before"]) == ("upstream ready", "ejected")


async def test_a_server_that_limits_its_requests(log: Log) -> None:
    async with two() as (limiting, well), fleet_of(limiting.url, well.url) as (fleet, clock):
        log.taken()
        limiting.faults = "status code=429 retry_after=1"
        assert await ask(fleet, 20) == 0
        [(name, fields)] = log.taken()
        assert (name, fields["retry_after_s"]) == ("upstream rate limited", 1)
        limiting.faults = ""
        clock.now += QUIET_S / 2
        await probe(fleet.replicas[0], 60)
        assert log.names() == []
        clock.now += QUIET_S / 2
        await probe(fleet.replicas[0], 60)
        [(name, fields)] = log.taken()
        assert (name, fields["seconds"]) == ("upstream rate limit over", 0)
        assert fields["refused"] > 1


async def test_servers_that_are_found_and_go(log: Log) -> None:
    names = Names("127.0.0.1", "127.0.0.2")
    # Nothing listens there, so that all are known at once.
    config = UpstreamConfig("http://vllm.example:1")
    async with watched(config, resolve=names) as running:
        await running.until(lambda: running.states == [State.DOWN] * 2)
        assert set(log.names()) == {"upstream down"}
        names.found = ("127.0.0.2", "127.0.0.3")
        seen: list[str] = []

        def gone() -> bool:
            seen.extend(log.names())
            return "upstream gone" in seen

        await running.until(gone)
    assert [name for name in seen if name != "upstream down"] == ["upstream found", "upstream gone"]
