"""A vLLM-compatible upstream with no model: deterministic, and able to misbehave on request."""

from penstock_server.simulator.faults import FAULTS, Fault
from penstock_server.simulator.server import Simulator, serve
from penstock_server.simulator.settings import SimulatorSettings

__all__ = ["FAULTS", "Fault", "Simulator", "SimulatorSettings", "serve"]
