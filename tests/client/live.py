"""Two services on simulators in a separate process; prints their ports, ends with its input.

The first serves everything, including AdminService. The upstream of the second stores responses
and is slow.
"""

import asyncio
import sys

from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.config import NativeResponses

FREE_PORT = "127.0.0.1:0"


async def main() -> None:
    everything = SimulatorSettings(listen=FREE_PORT, kind="all", multimodal=True)
    keeping = SimulatorSettings(listen=FREE_PORT, response_store=True, inter_token_latency=0.05)
    async with (
        Simulator(everything) as simulator,
        Simulator(keeping) as store,
        Service(
            Settings(
                upstream=(simulator.url,),
                listen=FREE_PORT,
                admin_listen=FREE_PORT,
                metrics_listen="",
                slow_start=0.0,
            )
        ) as service,
        Service(
            Settings(
                upstream=(store.url,),
                listen=FREE_PORT,
                admin_listen="",
                metrics_listen="",
                native_responses=NativeResponses.ALWAYS,
            )
        ) as storing,
    ):
        print(service.port, service.admin.port, storing.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
