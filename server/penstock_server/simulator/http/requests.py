"""A request as the simulator received it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property

from penstock_server.simulator.http.answers import Json


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    messages: AsyncIterator[bytes] | None = None
    """The messages of the websocket that it opens; None if it opens none."""

    @cached_property
    def json(self) -> Json:
        """The body parsed as JSON, as leniently as Python does; raises ValueError."""
        text = self.body.decode()
        try:
            return json.loads(text)
        except RecursionError:
            raise json.JSONDecodeError("Nested too deeply", text, 0) from None

    @property
    def content_type(self) -> str:
        """The media type of the body without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()
