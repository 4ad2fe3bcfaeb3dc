"""The one place that builds the headers of requests to an upstream."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from penstock_server.upstream.call import Call

_NONE: Mapping[str, str] = MappingProxyType({})

OWN = frozenset(
    (
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-data-parallel-rank",
        "x-request-id",
        "x-session-id",
        "x-vllm-priority",
    )
)
"""Names of headers, in lower case, that the service or HTTP itself sets."""


def is_token(name: str) -> bool:
    """Whether a header may have this name."""
    return re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None


def build(
    call: Call, api_key: str, *, accept: str, configured: Mapping[str, str] = _NONE
) -> dict[str, str]:
    """Returns the headers of one request; those without a value are left out.

    Those that are configured for the upstream have names other than the service's own.
    """
    headers = {
        "user-agent": "penstock",
        **{name.lower(): value for name, value in configured.items()},
        "accept": accept,
        "accept-encoding": "identity",
        "authorization": _authorization(call, api_key),
        "x-request-id": call.request_id,
        "traceparent": call.traceparent,
        "tracestate": call.tracestate,
        "x-session-id": call.session_id,
        "x-vllm-priority": _number(call.priority),
        "x-data-parallel-rank": _number(call.data_parallel_rank),
    }
    return {name: value for name, value in headers.items() if value}


def _authorization(call: Call, api_key: str) -> str:
    if call.authorization is not None:
        return call.authorization
    return f"Bearer {api_key}" if api_key else ""


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
