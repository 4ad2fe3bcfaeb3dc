"""A service on a simulator, as a process of its own: prints its ports, ends with its input."""

import asyncio
import sys

from penstock_server.app import Service
from penstock_server.configuration.settings import Settings
from penstock_server.simulator import Simulator, SimulatorSettings

FREE_PORT = "127.0.0.1:0"


async def main() -> None:
    settings = SimulatorSettings(listen=FREE_PORT, kind="all", multimodal=True)
    async with (
        Simulator(settings) as simulator,
        Service(
            Settings(
                upstream=(simulator.url,),
                listen=FREE_PORT,
                admin_listen=FREE_PORT,
                slow_start=0.0,
            )
        ) as service,
    ):
        print(service.port, service.admin.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
