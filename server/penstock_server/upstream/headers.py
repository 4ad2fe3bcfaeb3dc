"""The one place that builds the headers of requests to an upstream."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from penstock_server.upstream.call import Call
from penstock_server.upstream.request_id import unique

_NONE: Mapping[str, str] = MappingProxyType({})

OWN_HEADERS = frozenset(
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
"""The names of headers that the service or HTTP itself sets, in lower case."""


def is_token(name: str) -> bool:
    """Returns whether a name is valid for a header."""
    return re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is not None


class Headers:
    """Builds the headers of the requests to one upstream."""

    def __init__(
        self, api_key: str = "", configured: Mapping[str, str] = _NONE, host: str = ""
    ) -> None:
        """Creates the builder.

        Args:
            api_key: the key of the upstream; empty for none.
            configured: other headers; none of them is in `OWN_HEADERS`.
            host: the header Host; empty for none.
        """
        self._same = {
            **({"host": host} if host else {}),
            "user-agent": "penstock",
            **{name.lower(): value for name, value in configured.items() if value},
            "accept-encoding": "identity",
        }
        self._authorization = f"Bearer {api_key}" if api_key else ""

    def build(self, call: Call, accept: str) -> dict[str, str]:
        """Returns the headers of one request; omits those without a value."""
        headers = {**self._same, "accept": accept, "x-request-id": unique(call.request_id)}
        given = call.authorization
        if authorization := self._authorization if given is None else given:
            headers["authorization"] = authorization
        if call.traceparent:
            headers["traceparent"] = call.traceparent
        if call.tracestate:
            headers["tracestate"] = call.tracestate
        if call.session_id:
            headers["x-session-id"] = call.session_id
        if call.priority is not None:
            headers["x-vllm-priority"] = str(call.priority)
        if call.data_parallel_rank is not None:
            headers["x-data-parallel-rank"] = str(call.data_parallel_rank)
        if call.objective:
            headers["x-gateway-inference-objective"] = call.objective
        if call.fairness_id:
            headers["x-gateway-inference-fairness-id"] = call.fairness_id
        return headers
