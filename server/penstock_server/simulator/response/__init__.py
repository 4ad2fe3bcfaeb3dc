"""The operations under /v1/responses: a chat in the form of the Responses API."""

from penstock_server.simulator.response.handler import cancel, create, prompt, retrieve

__all__ = ["cancel", "create", "prompt", "retrieve"]
