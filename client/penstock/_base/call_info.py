"""Information about a call, read from the metadata of its answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Information about a call, apart from its answer.

    Attributes:
        request_id: identifies the call in the service's logs.
        upstream: name of the upstream that received the last request; empty if none did.
        attempts: number of requests that the service sent upstream for the call.
    """

    request_id: str = ""
    upstream: str = ""
    attempts: int = 0

    @classmethod
    def read(cls, metadata: Iterable[tuple[str, Any]] | None, request_id: str = "") -> Self:
        """Reads the information from the metadata of an answer.

        Args:
            metadata: the metadata.
            request_id: request id that was sent with the call, used if the metadata has none.
        """
        # Iterate over items: in older versions of grpc.aio, Metadata has keys of another type.
        found = dict(iter(metadata or ()))
        return cls(
            request_id=found.get("x-request-id", request_id),
            upstream=found.get("x-penstock-upstream", ""),
            attempts=int(found.get("x-penstock-attempts", 0)),
        )


NO_CALL = CallInfo()
