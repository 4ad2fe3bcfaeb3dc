"""HTTP requests, ready to be sent."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from penstock_server.upstream.call import Attempts
from penstock_server.upstream.operations import Method
from penstock_server.upstream.request_id import unique


@dataclass(slots=True)
class Request:
    """One HTTP request, ready to send.

    Attributes:
        content: the body; what yields it is an upload.
        attempts: the record of the call's requests.
        only_once: whether it must not reach the upstream twice.
    """

    method: Method
    path: str
    headers: Mapping[str, str]
    content: bytes | AsyncGenerator[bytes, None] = b""
    attempts: Attempts = field(default_factory=Attempts)
    only_once: bool = False

    @property
    def id(self) -> str:
        """Its id; empty for none."""
        return self.headers.get("x-request-id", "")

    def rename(self) -> None:
        """Replaces its id, because it may have reached the upstream under the first."""
        self.headers = {**self.headers, "x-request-id": unique(self.id)}

    @property
    def is_upload(self) -> bool:
        """Whether the content is sent as it arrives."""
        return not isinstance(self.content, bytes)
