"""Times and sizes that Envoy allows."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest
from conftest import FREE_PORT, Serve
from rpc.calls import BOUND_S, chat, stream
from servers import HOST

from mesh.calls import begun, held
from mesh.conftest import StartMesh
from mesh.gateway import envoy, opened
from mesh.relay import relay
from penstock_server.simulator import Simulator, SimulatorSettings

CHAT = "/penstock.v1.ChatCompletionService/CreateChatCompletion"
LATER_THAN_ENVOYS_DEFAULT = "slow-first-event seconds=16"
# The shortest that Penstock accepts.
SOON = {"connection_keepalive: { interval: 30s": "connection_keepalive: { interval: 6s"}
STREAMS = 1100
"""More than Envoy allows by default."""


async def test_a_stream_may_take_long(start: StartMesh) -> None:
    mesh = await start()
    result = await stream(mesh.channel, chat(fault=LATER_THAN_ENVOYS_DEFAULT))
    assert result.code is grpc.StatusCode.OK
    assert sum(mesh.requests) == 1


async def test_a_cancelled_call_is_cancelled_upstream(start: StartMesh) -> None:
    mesh = await start()
    async with held(mesh.channel):
        assert sum(one.active for one in mesh.simulators) == 1
    async with asyncio.timeout(BOUND_S):
        while sum(one.aborted for one in mesh.simulators) != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_deadline_ends_the_call_of_a_penstock_that_hangs(tmp_path: Path) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(2)]
        addresses = [f"{HOST}:{one.getsockname()[1]}" for one in silent]
        async with envoy(addresses, tmp_path) as front, httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                f"http://{front.address}{CHAT}",
                json={"messages": [{"role": "ROLE_USER", "content": [{"text": "Hi"}]}]},
                headers={"grpc-timeout": "500m"},
                timeout=BOUND_S,
            )
    assert answer.status_code == httpx.codes.GATEWAY_TIMEOUT


async def test_streams_of_a_penstock_that_vanished_end(serve: Serve, tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT)) as simulator:
        service = await serve(upstream=(simulator.url,))
        async with (
            relay(f"{HOST}:{service.port}") as network,
            envoy((network.address,) * 2, tmp_path, SOON) as front,
            opened(front.address) as channel,
        ):
            running = await begun(channel)
            network.freeze()
            with pytest.raises(grpc.aio.AioRpcError) as broken:
                async with asyncio.timeout(BOUND_S):
                    await running.read()
    # Envoy resets the stream.
    assert broken.value.code() is grpc.StatusCode.INTERNAL


async def test_calls_of_a_caller_that_vanished_are_cancelled(start: StartMesh) -> None:
    mesh = await start(changes=SOON)
    async with relay(mesh.envoy.address) as network, opened(network.address) as channel:
        await begun(channel)
        network.freeze()
        async with asyncio.timeout(BOUND_S):
            while sum(one.active for one in mesh.simulators):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_streams_are_many(start: StartMesh) -> None:
    mesh = await start()
    await asyncio.gather(*(begun(mesh.channel) for _ in range(STREAMS)))
    assert sum(one.active for one in mesh.simulators) == STREAMS
