"""Observers of the requests of a call, such as its trace."""

from collections.abc import Mapping
from typing import Any, Protocol


class RequestObserver(Protocol):
    """An observer of one request.

    Attributes:
        traceparent: W3C trace context for the upstream.
        tracestate: W3C trace state for the upstream.
    """

    @property
    def traceparent(self) -> str:
        """See the class."""

    @property
    def tracestate(self) -> str:
        """See the class."""

    def end(self, path: str, status: int, error: str) -> None:
        """Records the end of the request.

        Args:
            path: its path.
            status: the HTTP status of the answer; 0 if there was none.
            error: why it failed, or `cancelled`; empty if it succeeded.
        """


class CallObserver(Protocol):
    """An observer of a call."""

    def describe(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Records what is requested.

        Args:
            method: the HTTP method of the requests.
            path: their path, with placeholders.
            body: the request.
        """

    def begin_request(
        self, upstream: str, address: str, model: str, *, hedge: bool
    ) -> RequestObserver:
        """Records that a request is sent to an upstream.

        Args:
            upstream: the name of the upstream.
            address: its host and port, or the path of its socket.
            model: the upstream's own name for the model; empty for none.
            hedge: whether another request of the call is late.
        """

    def record_retry(self, upstream: str, error: str) -> None:
        """Records that a request is retried because one to an upstream failed."""

    def record_hedge(self, upstream: str) -> None:
        """Records that another upstream is asked because a request is late."""
