"""What the metadata of an answer tells of its call."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What is known of a call beside its answer.

    Attributes:
        request_id: names the call in the service's logs.
        upstream: name of the upstream that the last request was sent to; empty if none was.
        attempts: how many requests the service sent upstream for the call.
    """

    request_id: str = ""
    upstream: str = ""
    attempts: int = 0

    @classmethod
    def read(cls, metadata: Iterable[tuple[str, Any]] | None, request_id: str = "") -> Self:
        """Reads it from the metadata of an answer; takes the name under which it was sent."""
        # By its items: the metadata of grpc.aio has keys of its own kind in older versions.
        found = dict(iter(metadata or ()))
        return cls(
            request_id=found.get("x-request-id", request_id),
            upstream=found.get("x-penstock-upstream", ""),
            attempts=int(found.get("x-penstock-attempts", 0)),
        )


NO_CALL = CallInfo()
