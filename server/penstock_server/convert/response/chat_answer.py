"""Answers of chats as responses, whole and in events."""

from collections.abc import Mapping
from typing import Any

from penstock.v1 import response_pb2
from penstock_server.convert import document, extra
from penstock_server.convert.errors import MalformedAnswer, reads_answer
from penstock_server.convert.response import echoed_settings
from penstock_server.convert.response.chat_choice import ResponseChoice
from penstock_server.convert.response.chat_items import Events
from penstock_server.convert.usage import USAGE_KEYS, fill_metrics

_KEYS = frozenset(
    {
        "id",
        "object",
        "model",
        "created",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "metrics",
        "kv_transfer_params",
        "ec_transfer_params",
    }
)


@reads_answer
def response(
    data: Mapping[str, Any], request: response_pb2.CreateResponseRequest
) -> response_pb2.CreateResponseResponse:
    """Returns the message for a whole chat answer: it is read as a stream of one event.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    stream = ResponseStream(request)
    stream.read(data, said="message")
    if not data["choices"]:
        raise MalformedAnswer("it has no choices")
    return response_pb2.CreateResponseResponse(response=stream.finished())


class ResponseStream:
    """Turns the events of one chat stream into those of a response."""

    def __init__(self, request: response_pb2.CreateResponseRequest) -> None:
        """Takes the request, whose settings the response tells."""
        self._response = response_pb2.ModelResponse(settings=echoed_settings.of_request(request))
        self._events = Events()
        self._items: list[response_pb2.ResponseItem] = []
        self._choices: dict[int, ResponseChoice] = {}

    @reads_answer
    def messages(self, event: Mapping[str, Any]) -> list[response_pb2.StreamResponseResponse]:
        """Returns the messages for the next event: none, one or several.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        self.read(event, said="delta")
        return self._events.take()

    def end(self) -> list[response_pb2.StreamResponseResponse]:
        """Returns what follows when the chat stream is complete: the terminal event."""
        whole = self.finished()
        if whole.status == response_pb2.RESPONSE_STATUS_INCOMPLETE:
            self._events.add("incomplete", incomplete=whole)
        else:
            self._events.add("completed", completed=whole)
        return self._events.take()

    def failure(self, code: str, message: str) -> list[response_pb2.StreamResponseResponse]:
        """Returns what follows when the upstream reports that it failed; nothing before a start."""
        if not self._response.id:
            return []
        for found in self._choices.values():
            found.end(response_pb2.RESPONSE_STATUS_INCOMPLETE)
        self._events.discard()
        self._response.output.extend(self._items)
        self._response.status = response_pb2.RESPONSE_STATUS_FAILED
        self._response.error.code = code
        self._response.error.message = message
        self._events.add("failed", failed=self._response)
        return self._events.take()

    def read(self, data: Mapping[str, Any], *, said: str) -> None:
        """Takes an event or a whole answer in; `said` is the key of what a choice says."""
        if not self._response.id:
            self._begin(data)
        for item in data["choices"]:
            choice = self._choice(item.get("index") or 0)
            choice.read(item, item.get(said) or {}, whole=said == "message")
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
            document.to_struct(whole.extra, {"choices": rest})
        return whole

    def _begin(self, data: Mapping[str, Any]) -> None:
        self._response.id = "resp_" + data["id"].removeprefix("chatcmpl-")
        self._response.model = data.get("model") or ""
        self._response.create_time.FromSeconds(data.get("created") or 0)
        self._response.status = response_pb2.RESPONSE_STATUS_IN_PROGRESS
        self._events.add("created", created=self._response)
        self._events.add("in_progress", in_progress=self._response)

    def _choice(self, index: int) -> ResponseChoice:
        if index not in self._choices:
            suffix = self._response.id.removeprefix("resp_")
            self._choices[index] = ResponseChoice(self._events, self._items, suffix, index)
        return self._choices[index]

    def _note(self, data: Mapping[str, Any]) -> None:
        """Keeps what an event tells of the whole."""
        target = self._response
        if (usage := data.get("usage")) is not None:
            target.ClearField("usage")
            _fill_usage(target.usage, usage)
        if fingerprint := data.get("system_fingerprint"):
            target.system_fingerprint = fingerprint
        if tier := data.get("service_tier"):
            target.settings.service_tier = tier
        if metrics := data.get("metrics"):
            fill_metrics(target.metrics, metrics)
        for name in ("kv_transfer_params", "ec_transfer_params"):
            if (params := data.get(name)) is not None:
                getattr(target, name).CopyFrom(document.to_document(params))
        extra.keep(target, data, _KEYS)


_PROMPT_KEYS = {"cached_tokens": "cached_tokens", "created_cache_tokens": "cache_write_tokens"}


def _fill_usage(target: response_pb2.ResponseUsage, usage: Mapping[str, Any]) -> None:
    target.input_tokens = usage.get("prompt_tokens") or 0
    target.output_tokens = usage.get("completion_tokens") or 0
    target.total_tokens = usage.get("total_tokens") or 0
    rest = {key: value for key, value in usage.items() if key not in USAGE_KEYS}
    if prompt := usage.get("prompt_tokens_details"):
        rest["prompt_tokens_details"] = _fill_input(target.input_tokens_details, prompt)
    if completion := usage.get("completion_tokens_details"):
        known = {"reasoning_tokens"}
        if (thought := completion.get("reasoning_tokens")) is not None:
            target.output_tokens_details.reasoning_tokens = thought
        rest["completion_tokens_details"] = _others(completion, known) or None
    extra.keep(target, rest, frozenset())


def _fill_input(
    target: response_pb2.ResponseInputTokensDetails, details: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Writes the parts of the input; returns those without a field."""
    for key, name in _PROMPT_KEYS.items():
        if (count := details.get(key)) is not None:
            setattr(target, name, count)
    for modality, tokens in (details.get("multimodal_tokens") or {}).items():
        target.multimodal_tokens[modality] = tokens
    return _others(details, {*_PROMPT_KEYS, "multimodal_tokens"}) or None


def _others(data: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in known and value is not None}
