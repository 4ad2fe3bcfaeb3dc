"""A call as its upstream receives it, apart from the body, and the record of its requests."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from penstock_server.upstream.failure import Stage
from penstock_server.upstream.observer import CallObserver


@dataclass(slots=True)
class Attempts:
    """A record of the requests that were sent for one call.

    Attributes:
        count: the number of requests.
        upstream: the name of the upstream of the last one.
        path: the path of the last one.
        stage: how far its exchange has come.
        status: the HTTP status of its answer; 0 before the answer.
        offset: byte offset of the last event's data in its stream; None before one.
        body_bytes: the size of the body, once it was read whole; 0 before, and of streams.
        model: the public name of the model requested; empty before a request, or to name none.
        asked: the time on the monotonic clock when the wait for an answer began; 0 while there is
            no wait.
        waited: the seconds waited so far, for answers and between requests; of a stream, up to its
            first event.
    """

    count: int = 0
    upstream: str = ""
    path: str = ""
    stage: Stage = Stage.REQUEST
    status: int = 0
    offset: int | None = None
    body_bytes: int = 0
    model: str = ""
    asked: float = 0.0
    waited: float = 0.0

    def begin(self, path: str) -> None:
        """Records that a request is about to be sent to a path."""
        self.path, self.stage, self.status, self.offset = path, Stage.HEADERS, 0, None
        self.body_bytes = 0
        # A wait that has not ended is that for a request that failed.
        self.asked = self.asked or monotonic()

    def answered(self) -> None:
        """Records that the wait for an answer has ended."""
        if self.asked:
            self.waited += monotonic() - self.asked
            self.asked = 0.0

    def add(self, upstream: str) -> None:
        """Records that a request is sent to an upstream."""
        self.count += 1
        self.upstream = upstream

    def adopt(self, other: "Attempts") -> None:
        """Copies the record of another request, which was sent at the same time and answered."""
        self.answered()
        self.upstream, self.path, self.stage = other.upstream, other.path, other.stage
        self.status, self.offset = other.status, other.offset
        self.body_bytes = other.body_bytes


def any_model(model: str) -> bool:
    """Allows every model: the default policy."""
    return True


@dataclass(slots=True)
class Call:
    """One call; only the record of its attempts changes.

    It is not frozen, because creating it would then take three times as long.

    Attributes:
        request_id: the beginning of each request's X-Request-Id, which vLLM makes part of the
            answer's id.
        model: the requested model; empty for the only one.
        traceparent: W3C trace context, if the caller sent one.
        tracestate: W3C trace state, if the caller sent it.
        session_id: sent as X-Session-ID.
        priority: sent as X-Vllm-Priority; lower runs first.
        data_parallel_rank: sent as X-data-parallel-rank.
        objective: sent as X-Gateway-Inference-Objective.
        fairness_id: sent as X-Gateway-Inference-Fairness-ID.
        prompt_cache_key: marks calls whose prompts begin alike; not sent.
        authorization: the caller's own, sent instead of the upstream's key, and empty if the
            caller sent none; None for the upstream's key.
        deadline: its deadline, by the monotonic clock.
        merge_within_s: seconds within which deltas of its stream are merged; None for the
            configuration of the upstream.
        may_use: whether the caller may use a model, by its public name.
        attempts: the record of the call's requests.
        observer: observes the requests; None for none.
    """

    request_id: str
    model: str = ""
    traceparent: str = ""
    tracestate: str = ""
    session_id: str = ""
    priority: int | None = None
    data_parallel_rank: int | None = None
    objective: str = ""
    fairness_id: str = ""
    prompt_cache_key: str = ""
    authorization: str | None = field(default=None, repr=False)
    deadline: float = math.inf
    merge_within_s: float | None = None
    may_use: Callable[[str], bool] = any_model
    attempts: Attempts = field(default_factory=Attempts)
    observer: CallObserver | None = None
