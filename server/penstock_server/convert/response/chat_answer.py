"""Conversion of chat answers to responses, unary and streamed."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal
from uuid import uuid4

from penstock.v1 import response_pb2
from penstock_server.convert import document, extra, generation
from penstock_server.convert.errors import UNREADABLE, MalformedAnswer, reads_answer
from penstock_server.convert.response import echoed_settings
from penstock_server.convert.response.chat_choice import ResponseChoice
from penstock_server.convert.response.chat_items import Events
from penstock_server.convert.usage import USAGE_KEYS, fill_details, fill_metrics
from penstock_server.json_numbers import integer, position


@reads_answer
def response(
    data: Mapping[str, Any], request: response_pb2.CreateResponseRequest
) -> response_pb2.CreateResponseResponse:
    """Returns the message for a unary chat answer, which is read as a stream of one event.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    stream = ResponseStream(request)
    stream.read(data, key="message")
    if not data["choices"]:
        raise MalformedAnswer("it has no choices")
    return response_pb2.CreateResponseResponse(response=stream.finished())


class ResponseStream:
    """Turns the events of one chat stream into those of a response."""

    def __init__(self, request: response_pb2.CreateResponseRequest) -> None:
        """Creates the response with the settings of a request."""
        self._response = response_pb2.ModelResponse(settings=echoed_settings.of_request(request))
        self._events = Events()
        self._items: list[response_pb2.ResponseItem] = []
        self._choices: dict[int, ResponseChoice] = {}
        self._beginning = generation.Beginning()

    @reads_answer
    def messages(self, event: Mapping[str, Any]) -> list[response_pb2.StreamResponseResponse]:
        """Returns the messages for the next event, which may be none, one or several.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        self.read(event, key="delta")
        return self._events.take()

    def end(self) -> list[response_pb2.StreamResponseResponse]:
        """Returns the messages after a complete chat stream; the last is the terminal event."""
        whole = self.finished()
        if whole.status == response_pb2.RESPONSE_STATUS_INCOMPLETE:
            self._events.add(incomplete=whole)
        else:
            self._events.add(completed=whole)
        return self._events.take()

    def failure(self, code: str, message: str) -> list[response_pb2.StreamResponseResponse]:
        """Returns the messages after a failure of the upstream; none before the answer began."""
        if not self._beginning.begun:
            return []
        for found in self._choices.values():
            found.end(response_pb2.RESPONSE_STATUS_INCOMPLETE)
        self._events.discard()
        self._response.output.extend(self._items)
        self._response.status = response_pb2.RESPONSE_STATUS_FAILED
        self._response.error.code = code
        self._response.error.message = message
        self._events.add(failed=self._response)
        return self._events.take()

    def read(self, data: Mapping[str, Any], *, key: str) -> None:
        """Reads an event or a unary answer.

        Args:
            data: the upstream's object.
            key: key of the message in a choice.
        """
        beginning = self._beginning
        if not beginning.begun:
            if key == "delta" and beginning.is_awaited(data):
                return
            self._begin(data)
        for place, item in enumerate(data.get("choices") or ()):
            choice = self._choice(position(item, place))
            whole = key == "message"
            # An event may report only the end; a unary answer requires its message.
            choice.read(item, item[key] if whole else item.get(key) or {}, whole=whole)
        self._note(data)

    def finished(self) -> response_pb2.ModelResponse:
        """Returns the response with everything that has arrived."""
        whole = self._response
        found = sorted(self._choices.items())
        for _, one in found:
            one.end(one.ended.status)
        whole.output.extend(self._items)
        ends = [one.ended for _, one in found]
        early = next((end for end in ends if end.reason), ends[0])
        whole.status, whole.incomplete_reason = early.status, early.reason
        if rest := [{"index": index, **one.rest} for index, one in found if one.rest]:
            document.add(whole.extra, {"choices": rest})
        return whole

    def _begin(self, data: Mapping[str, Any]) -> None:
        self._beginning.fill(self._response, data, generation.ANSWER_KEYS)
        # A chat without an id gets one here, because the ids of items are derived from it.
        chat = self._response.id or uuid4().hex
        self._response.id = "resp_" + chat.removeprefix("chatcmpl-")
        self._response.status = response_pb2.RESPONSE_STATUS_IN_PROGRESS
        self._events.add(created=self._response)
        self._events.add(in_progress=self._response)

    def _set_tier(self, name: Any) -> None:
        self._response.settings.service_tier = extra.text(name)

    def _choice(self, index: int) -> ResponseChoice:
        if index not in self._choices:
            suffix = self._response.id.removeprefix("resp_")
            self._choices[index] = ResponseChoice(self._events, self._items, suffix, index)
        return self._choices[index]

    def _note(self, data: Mapping[str, Any]) -> None:
        """Records the fields of an event that belong to the whole response."""
        target = self._response
        if (usage := data.get("usage")) is not None:
            target.ClearField("usage")
            _fill_usage(target.usage, usage)
        if data.get("system_fingerprint"):
            extra.fill(target, "system_fingerprint", data, extra.text)
        if data.get("service_tier"):
            extra.fill_with(target, "service_tier", data, self._set_tier)
        if data.get("metrics"):
            extra.fill_with(target, "metrics", data, partial(fill_metrics, target.metrics))
        generation.fill_transfer(target, data)
        extra.keep(target, data, generation.ANSWER_KEYS)


_RENAMED: Mapping[str, Literal["input_tokens", "output_tokens", "total_tokens"]] = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
}
_INPUT_NAMES = {"created_cache_tokens": "cache_write_tokens"}


def _fill_usage(target: response_pb2.ResponseUsage, usage: Mapping[str, Any]) -> None:
    rest = extra.unknown(usage, USAGE_KEYS)
    for key, name in _RENAMED.items():
        try:
            setattr(target, name, integer(usage.get(key) or 0))
        except UNREADABLE:
            rest[key] = usage[key]
    if prompt := usage.get("prompt_tokens_details"):
        details = fill_details(target.input_tokens_details, prompt, _INPUT_NAMES)
        rest["prompt_tokens_details"] = details or None
    if completion := usage.get("completion_tokens_details"):
        details = fill_details(target.output_tokens_details, completion)
        rest["completion_tokens_details"] = details or None
    extra.keep(target, rest, frozenset())
