"""Items of a response while they are being built, and the events that report them."""

from collections.abc import Sequence
from typing import Any

from penstock.v1 import common_pb2, message_pb2, response_pb2
from penstock_server.convert import generation

Logprobs = Sequence[common_pb2.TokenLogprob]


class Events:
    """Events for the caller, numbered when they are taken."""

    def __init__(self) -> None:
        """Creates an empty sequence."""
        self._waiting: list[response_pb2.StreamResponseResponse] = []
        self._sent = 0

    def add(self, **event: Any) -> None:
        """Adds an event, passed as the member of the message that holds it."""
        self._waiting.append(response_pb2.StreamResponseResponse(**event))

    def discard(self) -> None:
        """Discards the pending events."""
        self._waiting.clear()

    def take(self) -> list[response_pb2.StreamResponseResponse]:
        """Removes and returns the pending events."""
        taken, self._waiting = self._waiting, []
        for event in taken:
            event.sequence_number = self._sent
            self._sent += 1
        return taken


class Item:
    """One item of the output.

    Attributes:
        index: position in the output.
        item: the item's message, without content until the item is closed.
    """

    def __init__(self, events: Events, index: int, item: response_pb2.ResponseItem) -> None:
        """Adds an empty item and its event."""
        self.index = index
        self.item = item
        self._events = events
        item.status = response_pb2.RESPONSE_STATUS_IN_PROGRESS
        events.add(output_item_added=self._event())

    def close(self, status: response_pb2.ResponseStatus.ValueType) -> None:
        """Completes the item and adds the events that contain all of it."""
        self._complete()
        self.item.status = status
        self._events.add(output_item_done=self._event())

    def _complete(self) -> None:
        """Writes the content."""

    def _event(self) -> response_pb2.OutputItemEvent:
        return response_pb2.OutputItemEvent(output_index=self.index, item=self.item)


class Message(Item):
    """A message: parts of text and of refusal, one after the other."""

    def __init__(
        self,
        events: Events,
        index: int,
        item: response_pb2.ResponseItem,
        role: message_pb2.Role.ValueType,
    ) -> None:
        """Adds a message without parts and its event."""
        item.message.role = role
        super().__init__(events, index, item)
        self._part: response_pb2.ResponseContentPart | None = None
        self._pieces: list[str] = []

    def write_text(self, piece: str, logprobs: Logprobs) -> None:
        """Adds to the text."""
        self._write("text", piece)
        self._keep(logprobs)
        event = self._piece(piece, logprobs)
        self._events.add(output_text_delta=event)

    def write_refusal(self, piece: str) -> None:
        """Adds to the refusal."""
        self._write("refusal", piece)
        self._events.add(refusal_delta=self._piece(piece))

    def end_text(self, logprobs: Logprobs) -> None:
        """Adds entries of tokens that end the text and are not visible in it."""
        if logprobs and self._part and self._part.WhichOneof("part") == "text":
            self.write_text("", logprobs)

    def _complete(self) -> None:
        self._close_part()

    def _write(self, kind: str, piece: str) -> None:
        if self._part is None or self._part.WhichOneof("part") != kind:
            self._close_part()
            self._part = response_pb2.ResponseContentPart(**{kind: ""})  # type: ignore[arg-type]
            added = self._part_event(self._part)
            self._events.add(content_part_added=added)
        self._pieces.append(piece)

    def _keep(self, logprobs: Logprobs) -> None:
        if self._part:
            self._part.logprobs.extend(logprobs)

    def _close_part(self) -> None:
        part = self._part
        if part is None:
            return
        whole = "".join(self._pieces)
        if part.WhichOneof("part") == "text":
            part.text = whole
            done = self._piece(whole, part.logprobs)
            self._events.add(output_text_done=done)
        else:
            part.refusal = whole
            self._events.add(refusal_done=self._piece(whole))
        self._events.add(content_part_done=self._part_event(part))
        self.item.message.content.append(part)
        self._part = None
        self._pieces.clear()

    def _piece(self, text: str, logprobs: Logprobs = ()) -> response_pb2.TextEvent:
        return response_pb2.TextEvent(
            output_index=self.index,
            content_index=len(self.item.message.content),
            item_id=self.item.id,
            text=text,
            logprobs=logprobs,
        )

    def _part_event(self, part: response_pb2.ResponseContentPart) -> response_pb2.ContentPartEvent:
        return response_pb2.ContentPartEvent(
            output_index=self.index,
            content_index=len(self.item.message.content),
            item_id=self.item.id,
            part=part,
        )


class Reasoning(Item):
    """Reasoning, in one part."""

    def __init__(self, events: Events, index: int, item: response_pb2.ResponseItem) -> None:
        """Adds empty reasoning with one part, and their events."""
        item.reasoning.SetInParent()
        super().__init__(events, index, item)
        self._pieces: list[str] = []
        events.add(content_part_added=self._part_event(""))

    def write(self, piece: str) -> None:
        """Adds to the reasoning."""
        self._pieces.append(piece)
        self._events.add(reasoning_text_delta=self._piece(piece))

    def _complete(self) -> None:
        whole = "".join(self._pieces)
        self._events.add(reasoning_text_done=self._piece(whole))
        self._events.add(content_part_done=self._part_event(whole))
        self.item.reasoning.content.append(whole)

    def _piece(self, text: str) -> response_pb2.TextEvent:
        return response_pb2.TextEvent(output_index=self.index, item_id=self.item.id, text=text)

    def _part_event(self, text: str) -> response_pb2.ContentPartEvent:
        part = response_pb2.ResponseContentPart(reasoning=text)
        return response_pb2.ContentPartEvent(
            output_index=self.index, item_id=self.item.id, part=part
        )


class Call(Item):
    """A call of a function."""

    def __init__(
        self, events: Events, index: int, item: response_pb2.ResponseItem, call_id: str, name: str
    ) -> None:
        """Adds a call without arguments and its event."""
        item.function_call.call_id = call_id
        item.function_call.name = name
        super().__init__(events, index, item)
        self._pieces: list[str] = []

    def write(self, piece: str) -> None:
        """Adds to the arguments."""
        self._pieces.append(piece)
        event = self._arguments(piece)
        self._events.add(function_call_arguments_delta=event)

    def _complete(self) -> None:
        whole = "".join(self._pieces)
        self.item.function_call.arguments = whole
        event = self._arguments(whole)
        event.name = self.item.function_call.name
        self._events.add(function_call_arguments_done=event)

    def _arguments(self, text: str) -> response_pb2.ArgumentsEvent:
        return response_pb2.ArgumentsEvent(
            output_index=self.index, item_id=self.item.id, arguments=text
        )


def logprob_records(entries: Sequence[Any]) -> list[common_pb2.TokenLogprob]:
    """Converts the log probabilities of a chat's tokens."""
    records: list[common_pb2.TokenLogprob] = []
    generation.fill_logprobs(records, entries)
    return records
