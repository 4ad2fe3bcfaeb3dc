"""One RPC in progress, as the interceptors and servicers of its task see it."""

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from os import urandom
from time import monotonic
from typing import Any

import grpc

from penstock_server.upstream import Attempts, any_model

_REQUEST_ID_LIMIT = 128


def _nothing() -> None:
    """Takes note of a message where nobody counts calls."""


@dataclass(slots=True)
class Rpc:
    """One RPC.

    Attributes:
        method: the full method name, such as "/penstock.v1.ModelService/ListModels".
        metadata: what the caller sent beside the request; the last of equal keys counts.
        request: what yields what the caller sends.
        model: the model that the request names.
        request_id: the caller's `x-request-id`, or one made here.
        started: when it came in, by the monotonic clock.
        deadline: when it must be over, by the monotonic clock.
        messages_sent: messages of its stream that were handed to gRPC.
        code: how it ended, as far as is known.
        reason: `ErrorInfo.reason`, if it ended in an error of ours.
        attempts: the requests that were sent upstream for it.
        caller: the name of the caller's key.
        may_use: whether the caller may use a model, by its name.
        authorization: the caller's own credentials, where they go upstream: see `Call`.
        arrived: called when the request, or a message of it, is there; it may refuse the call.
        admitted: whether its request, or a message of it, came and it was let in.
        debug: whether the caller may learn of a bug what developers see.
        large: whether its messages are so large that others would wait for work on them.
    """

    method: str
    metadata: Mapping[str, str | bytes] = field(repr=False)
    request: Any = field(default=None, repr=False)
    model: str = ""
    request_id: str = ""
    started: float = field(default_factory=monotonic)
    deadline: float = math.inf
    messages_sent: int = 0
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    attempts: Attempts = field(default_factory=Attempts)
    caller: str = ""
    may_use: Callable[[str], bool] = any_model
    authorization: str | None = field(default=None, repr=False)
    arrived: Callable[[], None] = field(default=_nothing, repr=False)
    admitted: bool = False
    debug: bool = False
    large: bool = False

    def __post_init__(self) -> None:
        given = self.text("x-request-id")
        usable = 0 < len(given) <= _REQUEST_ID_LIMIT and fits_header(given)
        self.request_id = given if usable else urandom(16).hex()

    def text(self, key: str) -> str:
        """Returns the text of a metadata key, empty if it is not there."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""

    @property
    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        """What every answer ends with: the request id, and where the request went, if anywhere."""
        named = (("x-request-id", self.request_id),)
        if not self.attempts.count:
            return named
        return (
            *named,
            ("x-penstock-upstream", self.attempts.upstream),
            ("x-penstock-attempts", str(self.attempts.count)),
        )


def fits_header(text: str) -> bool:
    """Whether HTTP can carry a text as the value of a header."""
    return text.isascii() and text.isprintable() and text == text.strip()


current: ContextVar[Rpc] = ContextVar("current_rpc")
"""The RPC that the running task serves."""
