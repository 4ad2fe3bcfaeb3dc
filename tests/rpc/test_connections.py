"""Effects of the options for the server's connections."""

import asyncio

import grpc
import pytest

from penstock_server.rpc.server import CannotListen, ConnectionLimits, build
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, chat, plain_channel, stream

PING_FLOOR = "grpc.http2.min_ping_interval_without_data_ms"
REAL_OPTIONS = build.options
# A client that pings every second, the shortest interval of its library.
PINGS = (
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)


async def test_a_taken_port_is_not_shared(simulator: Simulator, serve: Serve) -> None:
    first = await serve(upstream=(simulator.url,))
    with pytest.raises(CannotListen, match=f"127.0.0.1:{first.port}"):
        await serve(upstream=(simulator.url,), listen=f"127.0.0.1:{first.port}")


async def test_a_host_with_a_taken_address(simulator: Simulator, serve: Serve) -> None:
    """gRPC itself would accept another address of localhost."""
    first = await serve(upstream=(simulator.url,))
    with pytest.raises(CannotListen, match=f"localhost:{first.port}"):
        await serve(upstream=(simulator.url,), listen=f"localhost:{first.port}")


def test_pings_of_the_usual_clients_are_allowed() -> None:
    """Clients that ping every 10 s are often early."""
    assert dict(ConnectionLimits(1).options())[PING_FLOOR] == 5_000


@pytest.fixture(params=["as it is", "without the option"])
def scaled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Changes the server's minimum ping interval from 5 s to 0.1 s, or removes it."""
    lives: bool = request.param == "as it is"

    def options(limits: ConnectionLimits, **more: bool) -> list[tuple[str, int]]:
        known = dict(REAL_OPTIONS(limits, **more))
        assert known.pop(PING_FLOOR)
        return [*known.items(), *([(PING_FLOOR, 100)] if lives else [])]

    monkeypatch.setattr(build, "options", options)
    return lives


async def test_a_client_that_pings_during_a_long_call(
    scaled: bool, simulator: Simulator, serve: Serve
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service, *PINGS) as channel:
        # Without the option, the third ping ends the connection.
        result = await stream(
            channel, chat(fault="stall after=1"), timeout=4 if scaled else BOUND_S
        )
        assert len(result.received) == 1
        if scaled:
            assert result.code is grpc.StatusCode.DEADLINE_EXCEEDED
        else:
            assert result.code is grpc.StatusCode.UNAVAILABLE
            assert "pings" in result.message


async def test_a_client_that_pings_without_a_call(
    scaled: bool, simulator: Simulator, serve: Serve
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service, *PINGS) as channel:
        assert (await stream(channel, chat())).code is grpc.StatusCode.OK
        change = asyncio.create_task(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
        finished, _ = await asyncio.wait((change,), timeout=4 if scaled else BOUND_S)
        assert bool(finished) == (not scaled)
        change.cancel()
