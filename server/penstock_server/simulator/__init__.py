"""A vLLM-compatible upstream without a model: deterministic, with faults on request.

`http` reads a request, `dialects` interprets it as the simulated version would, and `route_table`
finds its operation. The answer is returned as data, which dialects and `faults` change before it is
written. Imports point down this list:

- `server`, then `route_table`;
- the operations, each a subpackage, or a module if one is enough: `completion`,
  `token_generation`, `response`, `pooling`, `transcription`, `tokenization`, `introspection`, and
  below them `chat`, whose parts some of them share;
- `state` with `response_store`, the data kept between requests; `generation`, the output of the
  model, from `prompts` and under the constraints of `structured`;
- `vllm_settings`, then `dialects` and `faults`, and `http` at the bottom.
"""

from typing import TYPE_CHECKING, Any

from penstock_server.simulator.vllm_settings import SimulatorSettings

if TYPE_CHECKING:
    from penstock_server.simulator.faults import FAULTS, Fault
    from penstock_server.simulator.server import Simulator, serve

__all__ = ["FAULTS", "Fault", "Simulator", "SimulatorSettings", "serve"]


def __getattr__(name: str) -> Any:
    # Every command reads the settings, for its help, and should not load the simulator for them.
    if name not in __all__:
        raise AttributeError(name)
    from penstock_server.simulator import faults, server

    return getattr(faults if hasattr(faults, name) else server, name)
