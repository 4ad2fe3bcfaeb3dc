"""Answers and events of the Responses API."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from penstock.v1 import response_pb2
from penstock_server.convert import document, extra, generation, timestamp, tool_calls
from penstock_server.convert.errors import MalformedAnswer, reads_answer
from penstock_server.convert.response import echoed_settings, native_items
from penstock_server.convert.response.chat_items import logprob_records
from penstock_server.convert.response.done_items import DoneItems
from penstock_server.convert.response.native_items import fill_status
from penstock_server.convert.usage import fill_details, fill_metrics
from penstock_server.json_numbers import integer

Json = Mapping[str, Any]
Event = response_pb2.StreamResponseResponse

_EVENT_KEYS = frozenset({"type", "sequence_number"})
_RESPONSE_KEYS = echoed_settings.KEYS | {
    "id",
    "object",
    "model",
    "created_at",
    "completed_at",
    "status",
    "output",
    "usage",
    "incomplete_details",
    "error",
    "metrics",
    "kv_transfer_params",
    "ec_transfer_params",
}
# With another status, the output may not have begun.
_NEED_OUTPUT = (None, "completed", "incomplete")
_USAGE_KEYS = frozenset({"input_tokens", "output_tokens", "total_tokens"})


@reads_answer
def response(data: Json) -> response_pb2.ModelResponse:
    """Returns the message for a response.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    output = data["output"] if data.get("status") in _NEED_OUTPUT else data.get("output") or ()
    return _response(data, output)


def _response(data: Json, output: Iterable[Json]) -> response_pb2.ModelResponse:
    made = response_pb2.ModelResponse()
    for name in ("id", "model"):
        extra.fill(made, name, data, extra.text)
    timestamp.fill(made.create_time, made, "created_at", data)
    if data.get("completed_at") is not None:
        timestamp.fill(made.complete_time, made, "completed_at", data)
    extra.keep(made, data, _RESPONSE_KEYS)
    fill_status(made, data)
    for item in filter(None, output):
        native_items.fill_item(made.output.add(), item)
    if (usage := data.get("usage")) is not None:
        _fill_usage(made.usage, usage)
    if data.get("incomplete_details"):
        extra.fill_with(made, "incomplete_details", data, partial(_fill_reason, made))
    if error := data.get("error"):
        made.error.code = str(error.get("code") or "")
        made.error.message = error.get("message") or ""
    echoed_settings.fill(made, data)
    if data.get("metrics"):
        extra.fill_with(made, "metrics", data, partial(fill_metrics, made.metrics))
    generation.fill_transfer(made, data)
    return made


def _fill_reason(target: response_pb2.ModelResponse, details: Json) -> None:
    target.incomplete_reason = details.get("reason") or ""


@reads_answer
def created(data: Json, *, background: bool) -> response_pb2.ModelResponse:
    """Returns the message for a response that was just created.

    Args:
        data: the upstream's object.
        background: whether the response may still be in progress.

    Raises:
        MalformedAnswer: the answer does not have the API's shape, or the response has not ended.
    """
    if not background and data.get("status") in ("in_progress", "queued"):
        raise MalformedAnswer("the response has not ended")
    return response(data)


def failed(message: Event) -> bool:
    """Returns whether a message reports a failed response, which vLLM may do in `completed`."""
    ended = message.completed if message.HasField("completed") else message.incomplete
    return message.HasField("failed") or ended.status == response_pb2.RESPONSE_STATUS_FAILED


def with_error(message: Event, text: str) -> Event:
    """Replaces the error text in a message that reports a failure; returns the message."""
    getattr(message, message.WhichOneof("event") or "failed").error.message = text
    return message


class NativeStream:
    """Conversion and numbering of the events of one stream.

    Attributes:
        number: the number of the last event; -1 before the first.
    """

    def __init__(self, *, resumable: bool = False, stored: bool = False) -> None:
        """Creates a stream before its first event.

        Args:
            resumable: whether events keep the numbers that the upstream gave them.
            stored: whether the first event may be any event of a response, which only its number
                shows.
        """
        self.number = -1
        self._resumable = resumable
        self._needs_number = stored
        self._items = DoneItems()

    @reads_answer
    def message(self, event: Json) -> Event:
        """Returns the message for the next event; unknown events are passed on unchanged.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        self.number = self._number_of(event)
        made = Event(sequence_number=self.number)
        reader = _READERS.get(event.get("type") or "")
        if reader is None:
            made.other.CopyFrom(document.to_document(event))
            return made
        name, fill, keys = reader
        target = getattr(made, name)
        if fill is None:
            whole = event.get("response") or {}
            target.CopyFrom(_response(whole, self._items.output(whole.get("output"))))
        else:
            target.output_index = self._items.note(event)
            fill(target, event)
        extra.keep(made, event, keys | _EVENT_KEYS)
        return made

    def _number_of(self, event: Json) -> int:
        number = event.get("sequence_number") if self._resumable else None
        if number is not None:
            self._needs_number = False
            return integer(number)
        if self._needs_number:
            raise MalformedAnswer("an event has no sequence number")
        return self.number + 1


def _fill_usage(target: response_pb2.ResponseUsage, usage: Json) -> None:
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        extra.fill(target, name, usage, integer)
    rest = extra.unknown(usage, _USAGE_KEYS)
    for name in ("input_tokens_details", "output_tokens_details"):
        if (details := rest.pop(name, None)) is not None:
            rest[name] = fill_details(getattr(target, name), details) or None
    extra.keep(target, rest, frozenset())


def _fill_item_event(target: response_pb2.OutputItemEvent, event: Json) -> None:
    native_items.fill_item(target.item, event["item"])


def _fill_part_event(target: response_pb2.ContentPartEvent, event: Json) -> None:
    _fill_part_place(target, event)
    native_items.fill_part(target.part, event["part"])


def _fill_part_place(
    target: response_pb2.ContentPartEvent | response_pb2.TextEvent, event: Json
) -> None:
    target.content_index = integer(event.get("content_index") or 0)
    target.item_id = extra.text(event.get("item_id") or "")


def _fill_text(key: str) -> Callable[[response_pb2.TextEvent, Json], None]:
    def fill(target: response_pb2.TextEvent, event: Json) -> None:
        _fill_part_place(target, event)
        target.text = event[key] or ""
        target.logprobs.extend(logprob_records(event.get("logprobs") or ()))

    return fill


def _fill_arguments(key: str) -> Callable[[response_pb2.ArgumentsEvent, Json], None]:
    def fill(target: response_pb2.ArgumentsEvent, event: Json) -> None:
        target.item_id = extra.text(event.get("item_id") or "")
        target.arguments = tool_calls.arguments_text(event[key])
        target.name = extra.text(event.get("name") or "")

    return fill


_PLACE = frozenset({"output_index", "item_id"})
_PART_PLACE = _PLACE | {"content_index"}
Fill = Callable[[Any, Json], None] | None
"""A function that writes an event of an item; None for events of the whole response."""
Reader = tuple[str, Fill, frozenset[str]]


def _reader(name: str, fill: Fill, *keys: str) -> Reader:
    return name, fill, frozenset(keys)


_READERS: Mapping[str, Reader] = {
    **{
        f"response.{name}": _reader(name, None, "response")
        for name in ("created", "in_progress", "completed", "incomplete", "failed", "queued")
    },
    **{
        f"response.output_item.{when}": _reader(
            f"output_item_{when}", _fill_item_event, "output_index", "item"
        )
        for when in ("added", "done")
    },
    **{
        f"response.content_part.{when}": _reader(
            f"content_part_{when}", _fill_part_event, *_PART_PLACE, "part"
        )
        for when in ("added", "done")
    },
    **{
        f"response.{kind}.{when}": _reader(
            f"{kind}_{when}", _fill_text(key), *_PART_PLACE, key, "logprobs"
        )
        for kind, whole in (
            ("output_text", "text"),
            ("reasoning_text", "text"),
            ("refusal", "refusal"),
        )
        for when, key in (("delta", "delta"), ("done", whole))
    },
    **{
        f"response.function_call_arguments.{when}": _reader(
            f"function_call_arguments_{when}", _fill_arguments(key), *_PLACE, key, "name"
        )
        for when, key in (("delta", "delta"), ("done", "arguments"))
    },
}
"""Field of the message, function that writes it, and keys that it reads, by event type."""
