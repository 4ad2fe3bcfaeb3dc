"""SIGTERM of each service behind Envoy in turn, with default settings, under steady load."""

import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from conftest import FREE_PORT

from mesh.gateway import envoy, opened
from mesh.load import OK, Load
from mesh.processes import penstock, penstocks
from penstock_server.configuration.settings import Settings
from penstock_server.simulator import Simulator, SimulatorSettings

# The tests of the command line do without this delay.
DEFAULTS = ("--drain-delay", str(Settings().drain_delay))
SLOW = SimulatorSettings(listen=FREE_PORT, inter_token_latency=0.05)
CALLS = 60


async def test_no_call_fails_and_no_stream_breaks(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(SLOW))
        options = ("--upstream", simulator.url, *DEFAULTS)
        services = await stack.enter_async_context(penstocks(*options))
        addresses = [service.address for service in services]
        front = await stack.enter_async_context(envoy(addresses, tmp_path))
        channel = await stack.enter_async_context(opened(front.address))
        async with Load(channel) as load:
            for leaving in services:
                await load.more(CALLS)
                leaving.process.signal(signal.SIGTERM)
                await leaving.process.log("stopped")
                await leaving.process.end()
                await load.more(CALLS)
                again = penstock(*options, listen=leaving.address)
                await stack.enter_async_context(again)
                await front.until_healthy(2)
        for service in services:
            served = Counter(line["event"] for line in service.process.logged)
            assert served["rpc"] > CALLS / 4  # Envoy sent it its share
    assert set(load.ends) == {OK}, load.ends
