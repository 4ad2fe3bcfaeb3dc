"""The operation POST /v1/completions."""

from penstock_server.simulator.completion.handler import create, prompt

__all__ = ["create", "prompt"]
