"""Connections that cost more than they should do not take resources from others."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from cli.process import PENSTOCK, penstock, started
from grpc import ChannelConnectivity, aio
from grpc import StatusCode as Code

from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .calls import BOUND_S, Serve, chat, create, plain_channel, stream
from .raw import Frame, begin, connected, message, request, reset

LIST = "/penstock.v1.ModelService/ListModels"
HEALTH = "/grpc.health.v1.Health/Check"
MEBIBYTE = 2**20
LIMIT = 16 * 1024
# Size of the metadata that gRPC adds, and overhead of each entry.
ADDED, ENTRY = 400, 32


def filler(size: int, entries: int = 4) -> list[tuple[str, str]]:
    """Returns metadata of a size."""
    names = [f"x-filler-{number:05}" for number in range(entries)]
    each = size // entries - ENTRY - len(names[0])
    return [(name, "v" * each) for name in names]


@pytest.mark.timeout(600)  # so many streams take long on a slow machine
@pytest.mark.parametrize("late", [0, 150], ids=["at-once", "late"])
async def test_streams_that_are_reset(late: int, simulator: Simulator, serve: Serve) -> None:
    most = 200
    service = await serve(upstream=(simulator.url,), max_calls_per_connection=most)
    held, block = 0, request(LIST)
    async with plain_channel(service) as channel, connected(service.port) as hostile:
        await channel.channel_ready()
        await hostile.until(Frame.SETTINGS)
        reading = asyncio.create_task(hostile.rest())
        idle = len(asyncio.all_tasks())
        for first in range(1, 40_000, 400):
            streams = range(first, first + 400, 2)
            begun = (begin(s, block) + message(s) + reset(max(s - 2 * late, 1)) for s in streams)
            await hostile.send(*begun)
            held = max(held, len(asyncio.all_tasks()) - idle)
            if first % 2000 == 1:
                assert (await stream(channel, chat())).code is Code.OK
        reading.cancel()
    assert hostile.received[Frame.RST_STREAM] > most  # refused without a call
    print(held, dict(hostile.received))
    assert held <= most + 10  # those of others and of gRPC itself


@pytest.mark.parametrize("limit", [LIMIT, 64 * 1024])
async def test_metadata_up_to_the_limit(limit: int, simulator: Simulator, serve: Serve) -> None:
    options = {} if limit == LIMIT else {"max_metadata_bytes": limit}
    service = await serve(upstream=(simulator.url,), **options)
    async with plain_channel(service) as channel:
        for share in (0.55, 0.75, 0.95):
            for _ in range(10):
                metadata = filler(int(limit * share) - ADDED)
                assert (await stream(channel, chat(), metadata=metadata)).code is Code.OK
        for share in (1.01, 1.5):
            for _ in range(10):
                result = await create(channel, chat(), metadata=filler(int(limit * share)))
                assert result.code is Code.RESOURCE_EXHAUSTED


BEYOND = {"large": filler(8 * MEBIBYTE), "many": filler(1_200_000, 20_000)}


@pytest.mark.parametrize("path", [LIST, HEALTH, "/penstock.v1.ModelService/Nothing"])
@pytest.mark.parametrize("metadata", BEYOND.values(), ids=BEYOND)
async def test_metadata_of_a_peer_that_acknowledges_nothing(
    path: str, metadata: list[tuple[str, str]], service: Service
) -> None:
    """The server's settings do not apply to it."""
    async with asyncio.timeout(BOUND_S), connected(service.port, acknowledge=False) as hostile:
        await hostile.send(begin(1, request(path, metadata)) + message(1))
        assert await hostile.until(Frame.HEADERS) == 1
    # RESOURCE_EXHAUSTED; gRPC sends it without Huffman codes.
    assert b"grpc-status\x018" in hostile.heard


async def test_a_peer_that_acknowledges_nothing_is_disconnected(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), handshake_timeout=0.2)
    async with asyncio.timeout(BOUND_S), connected(service.port, acknowledge=False) as hostile:
        await hostile.rest()


async def test_a_silent_connection_is_closed(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), handshake_timeout=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    async with asyncio.timeout(BOUND_S):
        await reader.read()
    writer.close()


async def test_a_connection_without_calls_is_closed(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_connection_idle=0.2)
    async with asyncio.timeout(BOUND_S), connected(service.port) as idle:
        await idle.until(Frame.GOAWAY)


async def test_one_connection_too_many(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_incoming_connections=2)
    async with asyncio.timeout(BOUND_S), plain_channel(service) as channel:
        assert (await stream(channel, chat())).code is Code.OK
        async with connected(service.port) as second, connected(service.port) as third:
            await second.until(Frame.SETTINGS)
            await third.rest()
            assert (await stream(channel, chat())).code is Code.OK


@pytest.mark.timeout(300)
async def test_idle_connections_leave_descriptors_for_upstreams(simulator: Simulator) -> None:
    arguments = f"--listen 127.0.0.1:0 --upstream {simulator.url} --handshake-timeout 600"
    command = f"ulimit -n 256 && exec {PENSTOCK} serve {arguments}"
    async with started("bash", "-c", command) as process:
        target = (await process.log("serving"))["address"]
        port = int(target.rpartition(":")[2])
        async with AsyncExitStack() as idle, aio.insecure_channel(target) as first:
            await first.channel_ready()
            for _ in range(260):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                idle.callback(writer.close)
            warning = await process.log("the limit of connections is reached")
            assert warning["limit"] == 256
            # Half of the file descriptors, and those that gRPC is about to close.
            assert 128 <= warning["connections"] < 140
            for _ in range(24):
                assert (await stream(first, chat())).code is Code.OK
            async with aio.insecure_channel(target) as later:
                assert (await stream(later, chat(), wait_for_ready=True)).code is Code.OK


async def test_continuous_pings_close_a_connection(service: Service) -> None:
    async with asyncio.timeout(BOUND_S), connected(service.port) as hostile:
        pings = [bytes((0, 0, 8, Frame.PING, 0, 0, 0, 0, 0)) + bytes(8)] * 10
        await hostile.send(*pings)
        await hostile.until(Frame.GOAWAY)
        assert hostile.refusal == b"too_many_pings"


async def test_an_old_connection_finishes_its_streams(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_connection_age=0.3)
    async with asyncio.timeout(BOUND_S), plain_channel(service) as channel:
        simulator.faults = "slow-first-event;seconds=1"
        old = asyncio.create_task(stream(channel, chat()))
        await simulator.wait_active(1)
        while (state := channel.get_state()) is ChannelConnectivity.READY:
            await channel.wait_for_state_change(state)
        result = await old
    assert result.code is Code.OK
    assert len(result.received) > 1


async def test_calls_continue_across_ageing_connections(serve: Serve, simulator: Simulator) -> None:
    """gRPC libraries retry calls that coincide with the end of a connection."""
    service = await serve(upstream=(simulator.url,), max_connection_age=0.2)
    async with aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        for _ in range(200):
            assert (await stream(channel, chat())).code is Code.OK


async def test_options_beyond_grpcs_range(simulator: Simulator) -> None:
    for name in ("pending-calls", "calls-per-connection", "incoming-connections"):
        result = await penstock("serve", f"--max-{name}", str(2**31 - 1))
        assert (result.code, "must be below" in result.err) == (3, True)
