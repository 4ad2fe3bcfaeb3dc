"""SIGTERM of one of two services behind Envoy, with default settings, under steady load."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from cli.process import serving, started
from conftest import FREE_PORT
from grpc import aio
from server_process import free_port
from servers import HOST, cache_folder

from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator, SimulatorSettings

API = "type.googleapis.com/envoy.extensions"
BOUND_S = 120.0
# Other tests of the command line disable this delay.
DEFAULTS = ("--drain-delay", str(Settings().drain_delay))
BEFORE, AFTER = 100, 200


def configuration(port: int, services: Sequence[str]) -> Mapping[str, Any]:
    """Returns a configuration of Envoy that balances gRPC over services and checks their health."""
    manager = {
        "@type": f"{API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "grpc",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{API}.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {"cluster": "penstock", "timeout": "0s"},
                        }
                    ],
                }
            ]
        },
    }
    options = f"{API}.upstreams.http.v3.HttpProtocolOptions"
    cluster = {
        "name": "penstock",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            options.removeprefix("type.googleapis.com/"): {
                "@type": options,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "health_checks": [
            {
                "timeout": "10s",
                "interval": "0.5s",
                # The default is a minute, longer than the test.
                "no_traffic_interval": "0.5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "load_assignment": {
            "cluster_name": "penstock",
            "endpoints": [{"lb_endpoints": [{"endpoint": at(service)} for service in services]}],
        },
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    listener = {**at(f"{HOST}:{port}"), "filter_chains": [{"filters": [http]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def at(address: str) -> Mapping[str, Any]:
    host, _, port = address.rpartition(":")
    return {"address": {"socket_address": {"address": host, "port_value": int(port)}}}


@asynccontextmanager
async def envoy(services: Sequence[str], folder: Path) -> AsyncIterator[aio.Channel]:
    """Runs Envoy in front of services; yields a channel to it once it forwards calls."""
    port, file = free_port(), folder / "envoy.json"
    file.write_text(json.dumps(configuration(port, services)))
    program = str(cache_folder() / "routers" / "bin" / "envoy")
    options = ("--disable-hot-restart", "--log-level", "error", "--concurrency", "1")
    async with (
        started(program, "--config-path", str(file), *options),
        aio.insecure_channel(f"{HOST}:{port}") as channel,
    ):
        await channel.channel_ready()
        while await answered(channel) != "OK":  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0.05)
        yield channel


async def answered(channel: aio.Channel) -> str:
    try:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(chat_request("Hi"))
    except aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK"


async def streamed(channel: aio.Channel) -> str:
    try:
        messages = [
            message
            async for message in ChatCompletionServiceStub(channel).StreamChatCompletion(
                chat_request("Hi")
            )
        ]
    except aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    return "OK" if messages[-1].HasField("usage") else "cut"


class Load:
    """Callers, some of which wait for each answer, while others never wait."""

    def __init__(self, channel: aio.Channel) -> None:
        self.ends = Counter[str]()
        self._channel, self._over = channel, False
        self._calls = asyncio.TaskGroup()

    async def __aenter__(self) -> "Load":
        await self._calls.__aenter__()
        for number in range(10):
            self._calls.create_task(self._in_turn(streamed if number % 2 else answered))
        self._calls.create_task(self._steady())
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._over = True
        await self._calls.__aexit__(*error)

    async def more(self, count: int) -> None:
        """Returns once this many more calls have ended."""
        goal = self.ends.total() + count
        while self.ends.total() < goal:  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0.01)

    async def _in_turn(self, call: Any) -> None:
        while not self._over:
            self.ends[await call(self._channel)] += 1

    async def _steady(self) -> None:
        while not self._over:
            self._calls.create_task(self._one())
            await asyncio.sleep(0.02)

    async def _one(self) -> None:
        self.ends[await answered(self._channel)] += 1


async def test_no_call_fails(tmp_path: Path) -> None:
    slow = SimulatorSettings(listen=FREE_PORT, inter_token_latency=0.05)
    async with AsyncExitStack() as stack, asyncio.timeout(BOUND_S):
        simulator = await stack.enter_async_context(Simulator(slow))
        command = ("--upstream", simulator.url, *DEFAULTS)
        leaving, first = await stack.enter_async_context(serving(*command))
        _, second = await stack.enter_async_context(serving(*command))
        channel = await stack.enter_async_context(envoy((first, second), tmp_path))
        async with Load(channel) as load:
            await load.more(BEFORE)
            leaving.signal(signal.SIGTERM)
            await leaving.log("stopped")
            await load.more(AFTER)
    served = Counter(line["event"] for line in leaving.logged)
    assert served["rpc"] > BEFORE / 4  # Envoy had balanced calls to it
    assert set(load.ends) == {"OK"}, load.ends
