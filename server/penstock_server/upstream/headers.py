"""The one place that builds the headers of requests to an upstream."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """What an RPC hands on to the upstream beside the body.

    Attributes:
        request_id: sent as X-Request-Id; vLLM makes it part of the answer's id.
        model: the model asked for; empty means the only one there is.
        traceparent: W3C trace context, if the caller sent one.
        tracestate: likewise.
        session_id: sent as X-Session-ID.
        priority: sent as X-Vllm-Priority; lower runs first.
        data_parallel_rank: sent as X-data-parallel-rank.
    """

    request_id: str
    model: str = ""
    traceparent: str = ""
    tracestate: str = ""
    session_id: str = ""
    priority: int | None = None
    data_parallel_rank: int | None = None


def build(call: Call, api_key: str, *, accept: str) -> dict[str, str]:
    """Returns the headers of one request; those without a value are left out."""
    headers = {
        "accept": accept,
        "accept-encoding": "identity",
        "authorization": f"Bearer {api_key}" if api_key else "",
        "x-request-id": call.request_id,
        "traceparent": call.traceparent,
        "tracestate": call.tracestate,
        "x-session-id": call.session_id,
        "x-vllm-priority": _number(call.priority),
        "x-data-parallel-rank": _number(call.data_parallel_rank),
    }
    return {name: value for name, value in headers.items() if value}


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
