"""Callers receive details of a bug only if the service is configured to send them."""

from typing import Any

import pytest
from grpc import StatusCode as Code

from penstock_server.rpc import status
from penstock_server.simulator import Simulator

from .calls import chat, create, plain_channel, stream
from .keyed import LIMITED, SECRET, CallersFile, Clock, at_the_clock, bearer
from .test_status import sent


@pytest.mark.parametrize("enabled", [True, False])
async def test_debug_info(enabled: bool, simulator: Simulator, callers_file: CallersFile) -> None:
    clock = Clock()
    settings: dict[str, Any] = {"upstream": (simulator.url,), "callers_file": callers_file(LIMITED)}
    async with (
        at_the_clock(clock, debug_info=enabled, **settings) as service,
        plain_channel(service) as channel,
    ):
        clock.broken = True
        for call in (create, stream):
            result = await call(channel, chat(), metadata=bearer(SECRET))
            assert (result.code, result.reason) == (Code.INTERNAL, "GATEWAY_ERROR")
            assert "broken" not in result.message
            assert SECRET not in str(result)
            assert result.debug == ("RuntimeError: the clock is broken" if enabled else "")
            assert bool(result.stack) == enabled
            assert not enabled or "in __call__" in result.stack[0]


def test_a_deep_stack_and_a_long_message_stay_within_the_limit() -> None:
    def fall(depth: int) -> None:
        fall_on(depth)

    def fall_on(depth: int) -> None:
        if not depth:
            raise ValueError("é" * 100_000)
        fall(depth - 1)

    with pytest.raises(ValueError, match="é") as caught:
        fall(200)
    result = sent(status.of_bug(caught.value))
    assert (result.code, result.reason) == (Code.INTERNAL, "GATEWAY_ERROR")
    assert result.debug.startswith("ValueError: é")
    assert len(result.stack) > 3
    assert "raise ValueError" in result.stack[0]
    assert all("in fall" in entry for entry in result.stack)
