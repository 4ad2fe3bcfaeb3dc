"""Quotas of callers, and replacement of keys."""

from typing import Any

import pytest
from grpc import StatusCode as Code

from penstock_server.configuration import read_keys
from penstock_server.rpc.middleware.quota import Quota
from penstock_server.simulator import Simulator

from .calls import BOUND_S, chat, plain_channel, stream
from .every_rpc import EVERY_RPC, Called, Upstream, failing, names, running
from .keyed import LIMITED, OTHER, SECRET, Clock, KeysFile, at_the_clock, bearer

QUIET = {"probe_interval": 3600}

every_rpc = pytest.mark.parametrize("rpc", EVERY_RPC, ids=names(EVERY_RPC))


@every_rpc
async def test_every_rpc_over_its_quota(rpc: Called, keys_file: KeysFile) -> None:
    clock = Clock()
    async with running(Upstream(failing("500 x", code=500))) as upstream:
        settings: dict[str, Any] = {"upstream": (upstream.url,), "keys_file": keys_file(LIMITED)}
        async with (
            at_the_clock(clock, **settings, **rpc.settings) as service,
            plain_channel(service) as channel,
        ):
            reasons = [
                (await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))).reason
                for _ in range(2)
            ]
            before = upstream.requests
            result = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))
            assert upstream.requests == before
            clock.now += 30
            again = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(SECRET))
            other = await rpc.run(service, channel, timeout=BOUND_S, metadata=bearer(OTHER))
    assert reasons == ["UPSTREAM_INTERNAL"] * 2
    assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert (result.retry_s, result.trailers["retry-after"], result.pushback) == (30, "30", None)
    assert result.quotas == [("key:batch", "2 calls per minute")]
    assert (again.reason, other.reason) == ("UPSTREAM_INTERNAL", "UPSTREAM_INTERNAL")


async def test_keys_are_replaced(simulator: Simulator, keys_file: KeysFile) -> None:
    clock = Clock()
    settings: dict[str, Any] = {"upstream": (simulator.url,), "keys_file": keys_file(LIMITED)}
    async with at_the_clock(clock, **settings) as service, plain_channel(service) as channel:
        assert service.authentication

        async def ending(secret: str) -> str:
            result = await stream(channel, chat(), metadata=bearer(secret))
            return result.reason or result.code.name

        assert [await ending(SECRET) for _ in range(3)] == ["OK", "OK", "RATE_LIMITED"]
        fewer = LIMITED.partition('[[key]]\nname = "other"')[0]
        service.authentication.replace(read_keys(keys_file(fewer)))
        assert await ending(OTHER) == "INVALID_CREDENTIALS"
        assert await ending(SECRET) == "RATE_LIMITED"
        more = fewer.replace("= 2", "= 3").replace(SECRET, "sk-new")
        service.authentication.replace(read_keys(keys_file(more)))
        assert await ending(SECRET) == "INVALID_CREDENTIALS"
        assert [await ending("sk-new") for _ in range(4)] == ["OK"] * 3 + ["RATE_LIMITED"]


def test_a_quota() -> None:
    quota, now = Quota(60, 0.0), 0.0
    assert [quota.take(now) for _ in range(60)] == [0.0] * 60
    for _ in range(1000):
        wait = quota.take(now)
        assert 0 < wait <= 1.002
        now += wait
        assert quota.take(now) == 0
    assert quota.take(now + 0.25) == pytest.approx(0.75)
    # It does not grow beyond the calls of one minute.
    assert [quota.take(now + 3600) > 0 for _ in range(61)] == [False] * 60 + [True]


def test_a_quota_is_kept_to_the_nanosecond() -> None:
    quota = Quota(7, 0.0)
    assert [quota.take(0.0) for _ in range(7)] == [0.0] * 7
    reported = int(quota.take(0.0) * 1e9) / 1e9
    assert quota.take(reported - 0.1) > 0
    assert quota.take(reported) == 0
