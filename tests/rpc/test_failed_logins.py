"""Failed logins are limited for each address."""

import logging

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock_server.simulator import Simulator

from .calls import Ended, both, chat, create, plain_channel, stream
from .keyed import KEYS, OTHER, SECRET, CallersFile, Clock, at_the_clock, bearer

WRONG = bearer("sk-wrong")


async def exhaust(channel: aio.Channel, most: int) -> Ended:
    """Fails to log in until the limit is reached; returns the refusal."""
    for number in range(most):
        call = stream if number % 2 else create
        assert (await call(channel, chat(), metadata=WRONG)).reason == "INVALID_CREDENTIALS"
    return await both(channel, chat(), metadata=WRONG)


async def test_failed_logins(
    simulator: Simulator, callers_file: CallersFile, caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = Clock(), callers_file(KEYS)
    async with (
        at_the_clock(
            clock,
            upstream=(simulator.url,),
            callers_file=path,
            max_failed_logins=6,
            listen=("127.0.0.1:0", "[::1]:0"),
        ) as service,
        plain_channel(service) as channel,
        aio.insecure_channel(service.addresses[1]) as elsewhere,
    ):
        with caplog.at_level(logging.INFO, "penstock.rpc"):
            for _ in range(3):
                result = await exhaust(channel, 6)
                assert (result.code, result.reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
                assert (result.retry_s, result.pushback) == (10, None)
                assert result.metadata == {"limit": "max_failed_logins", "left": "0"}
                assert result.quotas == [
                    ("address:127.0.0.1", "6 failed logins per minute, 0 left")
                ]
                # A right guess is refused alike, and other addresses are not.
                right = await both(channel, chat(), metadata=bearer(SECRET))
                assert (right.code, right.message) == (result.code, result.message)
                assert (await stream(elsewhere, chat(), metadata=bearer(SECRET))).code is Code.OK
                clock.now += 60
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
    lines = [record for record in caplog.records if record.msg == "failed logins limited"]
    assert [vars(line)["fields"] for line in lines] == [{"address": "127.0.0.1"}] * 3


async def test_a_key_in_use_is_accepted(simulator: Simulator, callers_file: CallersFile) -> None:
    path = callers_file(KEYS)
    async with (
        at_the_clock(
            Clock(), upstream=(simulator.url,), callers_file=path, max_failed_logins=4
        ) as service,
        plain_channel(service) as channel,
    ):
        await create(channel, chat(), metadata=WRONG)
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
        await exhaust(channel, 3)
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
        assert (await create(channel, chat(), metadata=bearer(OTHER))).reason == "RATE_LIMITED"


@pytest.mark.parametrize(
    "settings",
    [{"max_failed_logins": 0}, {"max_failed_logins": 2, "trusted_proxies": ("127.0.0.0/8",)}],
    ids=["no limit", "a trusted proxy"],
)
async def test_logins_without_a_limit(
    settings: dict[str, object], simulator: Simulator, callers_file: CallersFile
) -> None:
    path = callers_file(KEYS)
    async with (
        at_the_clock(Clock(), upstream=(simulator.url,), callers_file=path, **settings) as service,
        plain_channel(service) as channel,
    ):
        for _ in range(5):
            result = await both(channel, chat(), metadata=WRONG)
            assert result.reason == "INVALID_CREDENTIALS"
        assert (await stream(channel, chat(), metadata=bearer(SECRET))).code is Code.OK
