"""Answers of the Responses API, whole and streamed."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.json_documents import WithExtra, value_of
from penstock._base.options import enum_name
from penstock._base.result import Result, parsed_text
from penstock.tools import ToolCall
from penstock.v1.message_pb2 import FunctionCall
from penstock.v1.message_pb2 import ToolCall as ToolCallProto
from penstock.v1.response_pb2 import (
    ArgumentsEvent,
    ContentPartEvent,
    ModelResponse,
    OutputItemEvent,
    ResponseItem,
    ResponseStatus,
    ResponseUsage,
    StreamResponseResponse,
    StreamStoredResponseRequest,
    TextEvent,
)

T = TypeVar("T")

_LAST_PART = re.compile("_(?=(?:added|done|delta)$)")


class Response(Result[ModelResponse]):
    """The model's response. With `n` above 1, `text` is that of the first choice."""

    @property
    def id(self) -> str:
        """Id of the response."""
        return self.proto.id

    @property
    def model(self) -> str:
        """Model that answered."""
        return self.proto.model

    @property
    def status(self) -> str:
        """State of the response, such as "completed" or "incomplete"."""
        return enum_name(ResponseStatus.DESCRIPTOR, self.proto.status)

    @property
    def incomplete_reason(self) -> str:
        """Why the response is incomplete, such as "max_output_tokens"; empty if it is complete."""
        return self.proto.incomplete_reason

    @property
    def output(self) -> Sequence[ResponseItem]:
        """The output items, which the next request can repeat."""
        return self.proto.output

    @property
    def text(self) -> str:
        """The text."""
        return "".join(part.text for item in self._first for part in item.message.content)

    @property
    def reasoning(self) -> str:
        """The model's reasoning before the answer."""
        return "".join(text for item in self._first for text in item.reasoning.content)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The function calls that the model requests."""
        calls = (item.function_call for item in self._first if item.HasField("function_call"))
        return [
            ToolCall(
                ToolCallProto(
                    id=call.call_id, function=FunctionCall(name=call.name, arguments=call.arguments)
                )
            )
            for call in calls
        ]

    @property
    def usage(self) -> ResponseUsage:
        """Tokens used."""
        return self.proto.usage

    def parse(self, kind: type[T]) -> T:
        """Parses the text as JSON that represents a value of a type.

            >>> response = client.responses.create("Two numbers?", text_format=list[int])
            >>> all(type(number) is int for number in response.parse(list[int]))
            True

        Raises:
            AnswerParseError: the text is not a valid value of the type.
        """
        return parsed_text(kind, self, "response", f"status {self.status}")

    @property
    def _first(self) -> list[ResponseItem]:
        return [item for item in self.proto.output if not item.choice_index]


@dataclass(frozen=True, slots=True)
class ResponseEvent(WithExtra):
    """One event of a stream.

    Attributes:
        proto: the event as received.
        first: whether the event belongs to the first choice, or to the whole response.
    """

    proto: StreamResponseResponse
    first: bool = True

    @property
    def type(self) -> str:
        """Type of the event, such as "response.output_text.delta"."""
        member: str = self.proto.WhichOneof("event") or ""
        if member == "other":
            return str(value_of(self.proto.other).get("type", ""))
        return f"response.{_LAST_PART.sub('.', member)}"

    @property
    def text(self) -> str:
        """The next piece of the text of the first choice; empty in events without text."""
        return self.proto.output_text_delta.text if self.first else ""

    @property
    def reasoning(self) -> str:
        """The next piece of the reasoning of the first choice; empty in events without it."""
        return self.proto.reasoning_text_delta.text if self.first else ""


class ResponseAccumulator:
    """Adds up the events of a response stream, by the contract of StreamResponse."""

    def __init__(self) -> None:
        self._response = ModelResponse()
        self._complete = False

    def add(self, message: StreamResponseResponse) -> ResponseEvent:
        """Adds the next event and returns it."""
        which: str = message.WhichOneof("event") or ""
        first = True
        if which in _STATES:
            self._take(getattr(message, which))
            self._complete = which in ("completed", "incomplete")
        elif which in _ITEM_EVENTS:
            event = getattr(message, which)
            item = self._item(event.output_index)
            _ITEM_EVENTS[which](item, event)
            first = not item.choice_index
        return ResponseEvent(message, first)

    def result(self, call: CallInfo = NO_CALL) -> Response:
        """Returns a copy of the response as received so far."""
        response = ModelResponse()
        response.CopyFrom(self._response)
        return Response(response, call)

    def missing(self) -> str:
        """Describes what a complete answer still lacks."""
        return "" if self._complete else "no completed or incomplete event came"

    def _take(self, new: ModelResponse) -> None:
        """Copies a response; keeps earlier items that it lacks or leaves empty."""
        before = list(self._response.output)
        self._response.CopyFrom(new)
        for index, item in enumerate(before):
            if index >= len(new.output) or (_is_empty(new.output[index]) and not _is_empty(item)):
                self._item(index).CopyFrom(item)

    def _item(self, index: int) -> ResponseItem:
        output = self._response.output
        while len(output) <= index:
            output.add()
        return output[index]


class ResponseProgress:
    """The events of a background response that have been received.

    Args:
        response_id: id of the response; empty if an event will contain it.
        number: sequence number of the last event received; -1 before the first.
        model: model that the request names.
    """

    def __init__(self, response_id: str = "", number: int = -1, model: str = "") -> None:
        self._id = response_id
        self._number = number
        self._model = model

    @property
    def request(self) -> StreamStoredResponseRequest | None:
        """The request for the events that follow; None before the id is known."""
        if not self._id:
            return None
        after = self._number if self._number >= 0 else None
        return StreamStoredResponseRequest(
            model=self._model, response_id=self._id, starting_after=after
        )

    def follows(self, message: StreamResponseResponse) -> bool | None:
        """Records the next event; returns whether it is new, or None if events are missing."""
        before, self._number = self._number, max(self._number, message.sequence_number)
        if not self._id and (which := message.WhichOneof("event")) in _STATES:
            self._id = getattr(message, which).id
        return None if self._number > before + 1 else self._number > before


def _is_empty(item: ResponseItem) -> bool:
    """Returns whether an item has neither content nor arguments."""
    said = item.message.content or item.reasoning.content or item.reasoning.summary
    called = item.function_call.arguments or item.function_call_output.output
    return not (said or called or item.HasField("other"))


_STATES = ("created", "queued", "in_progress", "completed", "incomplete", "failed")


def _set_item(item: ResponseItem, event: OutputItemEvent) -> None:
    item.CopyFrom(event.item)


def _set_part(item: ResponseItem, event: ContentPartEvent) -> None:
    if not item.HasField("reasoning"):
        _at(item.message.content, event.content_index).CopyFrom(event.part)


def _add_text(item: ResponseItem, event: TextEvent) -> None:
    part = _at(item.message.content, event.content_index)
    part.text += event.text
    part.logprobs.extend(event.logprobs)


def _add_refusal(item: ResponseItem, event: TextEvent) -> None:
    _at(item.message.content, event.content_index).refusal += event.text


def _add_reasoning(item: ResponseItem, event: TextEvent) -> None:
    content = item.reasoning.content
    while len(content) <= event.content_index:
        content.append("")
    content[event.content_index] += event.text


def _add_arguments(item: ResponseItem, event: ArgumentsEvent) -> None:
    item.function_call.arguments += event.arguments


def _at(parts: Any, index: int) -> Any:
    while len(parts) <= index:
        parts.add()
    return parts[index]


# Done events are left out: they repeat the deltas of their part.
_ITEM_EVENTS: Mapping[str, Callable[[ResponseItem, Any], None]] = {
    "output_item_added": _set_item,
    "output_item_done": _set_item,
    "content_part_added": _set_part,
    "content_part_done": _set_part,
    "output_text_delta": _add_text,
    "refusal_delta": _add_refusal,
    "reasoning_text_delta": _add_reasoning,
    "function_call_arguments_delta": _add_arguments,
}


def of_reply(reply: Any, call: CallInfo) -> Response:
    """Returns the response that a reply contains."""
    return Response(reply.response, call)
