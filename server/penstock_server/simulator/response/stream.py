"""The events of a streamed response, one open item at a time, as vLLM sends them."""

import math
import time
from collections.abc import Iterator

from penstock_server.simulator.generation.generation import Channel, Generation, Step
from penstock_server.simulator.http.answers import Document, Hangup, Json, Pause, Piece, Pieces
from penstock_server.simulator.http.errors import ApiError
from penstock_server.simulator.response import documents
from penstock_server.simulator.response.request import Asked
from penstock_server.simulator.response_store import Kept, StoredEvent

_COMPLETED = "response.completed"


async def events(asked: Asked) -> Pieces:
    """Yields all events, and stores the response."""
    for piece in _pieces(asked):
        if isinstance(piece, Document) and piece.data["type"] == _COMPLETED:
            asked.keep(piece.data["response"])
        yield piece


def in_background(asked: Asked, faults: str) -> Kept:
    """Stores all events, each with its time; returns what is stored.

    Without a last event, the response remains in progress, because vLLM does not notice.
    """
    due, found = time.monotonic(), []
    for piece in _pieces(asked):
        if isinstance(piece, Pause):
            due += piece.seconds or 0.0
        elif isinstance(piece, Document):
            found.append(StoredEvent(due, piece.data))
    last = found[-1].event
    ready = due if last["type"] == _COMPLETED else math.inf
    talk = asked.chat.talk.messages
    return asked.state.responses.keep(talk, last["response"], ready, found, faults)


def _pieces(asked: Asked) -> Iterator[Piece]:
    """Yields all events; an error of the engine cuts the body, because no event can report it."""
    stream = Stream(asked)
    begun = documents.response(asked, "in_progress", [])
    yield stream.event("created", response=begun)
    yield stream.event("in_progress", response=begun)
    try:
        generation = asked.chat.generate()
    except ApiError:
        yield Hangup()
        return
    yield Pause(asked.chat.settings.time_to_first_token)
    for position, step in enumerate(generation.steps):
        if position:
            yield Pause(asked.chat.settings.inter_token_latency)
        yield from stream.token(step, generation)
    yield from stream.close()
    status = documents.status_of(generation)
    whole = documents.response(asked, status, stream.items, generation)
    yield stream.event("completed", response=whole)


class Stream:
    """Numbers events and tracks the open item."""

    def __init__(self, asked: Asked) -> None:
        self.items: list[Json] = []
        self._asked = asked
        self._sent = 0
        self._open: tuple[str, int] | None = None
        self._id = ""
        self._name = ""
        self._text = ""
        self._entries: list[Json] = []

    def event(self, name: str, /, **fields: Json) -> Document:
        """Returns the next event."""
        event = {**fields, "sequence_number": self._sent, "type": f"response.{name}"}
        self._sent += 1
        # The order of OpenAI's types, which vLLM sends: optional fields come last.
        ordered = sorted(event.items(), key=lambda one: (one[0] == "name", one[0]))
        return Document(dict(ordered))

    def token(self, step: Step, generation: Generation) -> Iterator[Document]:
        """Yields the events of one token, if the token is visible."""
        kind = _KINDS.get(step.channel)
        hidden = kind == "reasoning" and self._asked.chat.hides_thought
        if not step.text or kind is None or hidden:
            return
        if self._open != (kind, step.call):
            yield from self.close()
            yield from self._begin(kind, step, generation)
        if step.channel is not Channel.TOOL_NAME:
            yield self._delta(kind, step)

    def close(self) -> Iterator[Document]:
        """Yields the events that end the open item."""
        if self._open is None:
            return
        kind, call = self._open
        if kind == "call":
            yield self._placed(
                "function_call_arguments.done", arguments=self._text, name=self._name
            )
            function = {"name": self._name, "arguments": self._text}
            call_id = self._asked.chat.call_id(0, call)
            item = documents.call_item(self._id, call_id, function, "completed")
        else:
            part = self._part(self._text, self._entries or None)
            event = "reasoning_text" if kind == "reasoning" else "output_text"
            more: dict[str, Json] = {} if kind == "reasoning" else {"logprobs": []}
            yield self._placed(f"{event}.done", content_index=0, text=self._text, **more)
            yield self._placed("content_part.done", content_index=0, part=part)
            item = self._item(kind, [part], "completed")
        yield self.event("output_item.done", item=item, output_index=len(self.items))
        self.items.append(item)
        self._open = None

    def _begin(self, kind: str, step: Step, generation: Generation) -> Iterator[Document]:
        self._open, self._text, self._entries = (kind, step.call), "", []
        self._id = self._asked.new_id({"reasoning": "rs", "call": "fc"}.get(kind, "msg"))
        if kind == "call":
            self._name = step.text
            function = {"name": self._name, "arguments": ""}
            call_id = self._asked.chat.call_id(0, step.call)
            item = documents.call_item(self._id, call_id, function, "in_progress")
        else:
            item = self._item(kind, [], "in_progress")
        yield self.event("output_item.added", item=item, output_index=len(self.items))
        if kind != "call":
            yield self._placed("content_part.added", content_index=0, part=self._part("", []))

    def _delta(self, kind: str, step: Step) -> Document:
        self._text += step.text
        if kind == "call":
            return self._placed("function_call_arguments.delta", delta=step.text)
        if kind == "reasoning":
            return self._placed("reasoning_text.delta", content_index=0, delta=step.text)
        shown = not self._asked.chat.hides_thought
        entries = (documents.logprobs(self._asked, [step]) or []) if shown else []
        self._entries += entries
        short = [_without_bytes(entry) for entry in entries]
        return self._placed("output_text.delta", content_index=0, delta=step.text, logprobs=short)

    def _item(self, kind: str, content: list[Json], status: str) -> Json:
        if kind == "reasoning":
            text = content[0]["text"] if content else None
            return documents.reasoning_item(self._id, text, status)
        return documents.message_item(self._id, content, status)

    def _part(self, text: str, entries: list[Json] | None) -> Json:
        if self._open and self._open[0] == "reasoning":
            return {"text": text, "type": "reasoning_text"}
        return documents.text_part(text, entries)

    def _placed(self, name: str, /, **fields: Json) -> Document:
        place = {"item_id": self._id, "output_index": len(self.items)}
        return self.event(name, **fields, **place)


_KINDS = {
    Channel.CONTENT: "message",
    Channel.REASONING: "reasoning",
    Channel.TOOL_NAME: "call",
    Channel.TOOL_ARGUMENTS: "call",
}


def _without_bytes(entry: Json) -> Json:
    tops = [{"token": top["token"], "logprob": top["logprob"]} for top in entry["top_logprobs"]]
    return {"token": entry["token"], "logprob": entry["logprob"], "top_logprobs": tops}
