"""The one place that builds the headers of requests to an upstream."""

from penstock_server.upstream.call import Call


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
