"""The operation POST /v1/chat/completions, and the checks that others share with it."""

from penstock_server.simulator.chat.handler import create, prompt

__all__ = ["create", "prompt"]
