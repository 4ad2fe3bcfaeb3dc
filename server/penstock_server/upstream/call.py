"""What an RPC hands on to its upstream beside the body, and what it learns of the way."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Attempts:
    """The requests that were sent for one call, written down as they are made.

    Attributes:
        count: how many there were.
        upstream: the name of the upstream that the last went to.
    """

    count: int = 0
    upstream: str = ""

    def add(self, upstream: str) -> None:
        """Writes down that a request is sent to an upstream."""
        self.count += 1
        self.upstream = upstream


def any_model(model: str) -> bool:
    """Whether a caller who is not restricted may use a model: yes."""
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        request_id: sent as X-Request-Id; vLLM makes it part of the answer's id. Where the call
            takes another request, that has `-2` added, the next one `-3`.
        model: the model asked for; empty means the only one there is.
        traceparent: W3C trace context, if the caller sent one.
        tracestate: likewise.
        session_id: sent as X-Session-ID.
        priority: sent as X-Vllm-Priority; lower runs first.
        data_parallel_rank: sent as X-data-parallel-rank.
        authorization: the caller's own, sent instead of the upstream's key, and empty if the
            caller sent none; None for the upstream's key.
        deadline: when it must be over, by the monotonic clock.
        may_use: whether the caller may use a model, by its public name.
        attempts: what is written down on the way.
    """

    request_id: str
    model: str = ""
    traceparent: str = ""
    tracestate: str = ""
    session_id: str = ""
    priority: int | None = None
    data_parallel_rank: int | None = None
    authorization: str | None = field(default=None, repr=False)
    deadline: float = math.inf
    may_use: Callable[[str], bool] = any_model
    attempts: Attempts = field(default_factory=Attempts)
