"""Three services on simulators in a separate process; prints their ports, ends with its input.

The first serves everything, including AdminService. The upstream of the second stores responses
and is slow. The third has an operator, who may change the engine of its upstream, `vllm-0`.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock_server.app import Service
from penstock_server.configuration import Settings, UpstreamTable
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream.config import NativeResponses

FREE_PORT = "127.0.0.1:0"
OPERATOR = """
[[caller]]
name = "operator"
keys = ["key-of-the-operator"]
admin = true
"""


def main() -> None:
    with TemporaryDirectory() as folder:
        callers = Path(folder, "callers.toml")
        callers.write_text(OPERATOR)
        callers.chmod(0o600)
        asyncio.run(serve(str(callers)))


async def serve(callers: str) -> None:
    everything = SimulatorSettings(listen=FREE_PORT, kind="all", multimodal=True)
    keeping = SimulatorSettings(listen=FREE_PORT, response_store=True, inter_token_latency=0.05)
    changed = SimulatorSettings(listen=FREE_PORT, development_mode=True, runtime_lora_updating=True)
    async with (
        Simulator(everything) as simulator,
        Simulator(keeping) as store,
        Simulator(changed) as engine,
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
        Service(
            Settings(
                upstream=(UpstreamTable(engine.url, name="vllm-0"),),
                listen=FREE_PORT,
                admin_listen=FREE_PORT,
                metrics_listen="",
                callers_file=callers,
                admin_requires_caller=True,
            )
        ) as operated,
    ):
        ports = (service.port, service.admin.port, storing.port, operated.admin.port)
        print(*ports, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    main()
