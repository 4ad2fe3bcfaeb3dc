"""A vLLM-compatible upstream with no model: deterministic, and able to misbehave on request.

A request comes in by `http`, is read as its version of vLLM would by `dialects`, and goes to its
operation by `routes`; the answer comes back as data, which dialects and `faults` bend before it is
written. Imports point down this list:

- `server`, then `routes`;
- the operations, each a subpackage, or a module if one is enough: `completion`, `response`,
  `pooling`, `transcription`, `tokenization`, `introspection`, and below them `chat`, whose parts
  some of them share;
- `state`, what is remembered between requests, with `response_store`; `generation`, what the
  model says, from `prompts` and under the demands of `structured`;
- `settings`, then `dialects` and `faults`, and `http` at the bottom.
"""

from penstock_server.simulator.faults import FAULTS, Fault
from penstock_server.simulator.server import Simulator, serve
from penstock_server.simulator.settings import SimulatorSettings

__all__ = ["FAULTS", "Fault", "Simulator", "SimulatorSettings", "serve"]
