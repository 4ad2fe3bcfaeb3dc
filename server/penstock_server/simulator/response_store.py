"""Stored responses, and those that are still running in the background."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penstock_server.simulator.http.answers import Document, Hangup, Json, Pause, Pieces
from penstock_server.simulator.http.errors import ApiError

_MOST = 1000


class StoredEvent(NamedTuple):
    """An event of a background stream, and the time at which it is generated."""

    time: float
    event: Json


@dataclass(slots=True)
class Kept:
    """One response.

    A response in the background is `whole` from the time `ready` on; before, it is the same
    without output.
    """

    whole: dict[str, Json]
    messages: list[Json]
    ready: float = 0.0
    events: Sequence[StoredEvent] = ()
    """The events, if it was requested as a stream in the background."""
    faults: str = ""
    """The faults of every stream of the events."""
    cancelled: float = math.inf
    """The time at which it was cancelled."""

    async def stream(self, starting_after: int = -1) -> Pieces:
        """Yields the events after one, as they are generated.

        As with vLLM, the connection is closed if there are none, and kept open without an end if no
        event follows that is the last one.
        """
        if not self.events:
            yield Hangup()
        for due, event in self.events[starting_after + 1 :]:
            if due > time.monotonic():
                yield Pause(due - time.monotonic())
            if due > self.cancelled:
                break
            yield Document(event)
            if event["type"] == "response.completed":
                return
        yield Pause(None)

    @property
    def document(self) -> Json:
        """The response in its current state."""
        if self.cancelled < math.inf:
            return {**self.whole, "status": "cancelled", "output": [], "usage": None}
        if time.monotonic() < self.ready:
            return {**self.whole, "status": "in_progress", "output": [], "usage": None}
        return self.whole


class Responses:
    """The responses that one simulator has stored."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def keep(
        self,
        conversation: Sequence[Json],
        whole: dict[str, Json],
        ready: float = 0.0,
        events: Sequence[StoredEvent] = (),
        faults: str = "",
    ) -> Kept:
        """Stores a response and the conversation that it answers; returns what is stored."""
        if len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept)))
        said = [message for message in conversation if message["role"] != "system"]
        texts = [item["content"][0]["text"] for item in whole["output"] if "role" in item]
        answers = [{"role": "assistant", "content": text} for text in texts]
        kept = Kept(whole, [*said, *answers], ready, events, faults)
        self._kept[whole["id"]] = kept
        return kept

    def find(self, response_id: str) -> Kept:
        """Returns a stored response; raises ApiError if the id is unknown."""
        if response_id not in self._kept:
            message = f"Response with id '{response_id}' not found."
            raise ApiError(message, "response_id", 404, "invalid_request_error")
        return self._kept[response_id]

    def cancel(self, response_id: str) -> Kept:
        """Cancels a background response; raises ApiError if it is not one."""
        kept = self.find(response_id)
        if kept.document["status"] not in ("queued", "in_progress"):
            message = "Cannot cancel a synchronous response."
            raise ApiError(message, "response_id", kind="invalid_request_error")
        kept.cancelled = time.monotonic()
        return kept
