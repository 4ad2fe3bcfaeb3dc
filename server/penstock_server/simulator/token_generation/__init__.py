"""The operation POST /inference/v1/generate."""

from penstock_server.simulator.token_generation.handler import create, prompt

__all__ = ["create", "prompt"]
