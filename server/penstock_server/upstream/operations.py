"""The operations of vLLM's HTTP API that the service uses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: what a person calls it.
        path: its route, which exists on a vLLM only if the loaded model serves the operation.
    """

    name: str
    path: str


CHAT_COMPLETION = Operation("chat completion", "/v1/chat/completions")
