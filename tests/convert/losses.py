"""Values of an upstream's JSON that are missing in the message converted from it.

Every value that is not null must be in the field of the same name, in the place that `_PLACES`
names, or in `extra`. Empty values (`""`, `[]`, 0) need no field: an unset field is equivalent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from penstock.v1 import common_pb2, message_pb2
from penstock_server.convert.generation import FINISH_REASONS
from penstock_server.convert.message import ROLES

Place = Callable[[Any], Any]
"""Functions that return the value of a key from a message, in the upstream's form."""

_FINISHES = {number: name for name, number in FINISH_REASONS.items()}
NOT_SAID = object()
"""The place of a key that has the same value in every answer."""


def losses(data: Any, message: Any, path: str = "$") -> Iterator[str]:
    """Yields the path of each value that is lost."""
    if isinstance(message, common_pb2.PromptTokenLogprobs):
        message = {str(token): candidate for token, candidate in message.candidates.items()}
    if isinstance(message, message_pb2.ToolCall) and message.HasField("other"):
        message = orjson.loads(message.other.json)
    if isinstance(data, Mapping) and isinstance(message, Message):
        for key, value in data.items():
            if value is not None:
                yield from _losses_at(key, value, message, f"{path}.{key}")
    elif isinstance(data, Mapping) and isinstance(message, Mapping):
        for key, value in data.items():
            yield from losses(value, message.get(key), f"{path}.{key}")
    elif _is_list(data) and _is_list(message):
        if len(data) != len(message):
            yield f"{path}: {len(data)} entries, but {len(message)} in the message"
        for index, (value, part) in enumerate(zip(data, message, strict=False)):
            yield from losses(value, part, f"{path}[{index}]")
    elif data != message and not (data is None and not message):
        yield f"{path}: {data!r} became {message!r}"


def _losses_at(key: str, value: Any, message: Message, path: str) -> Iterator[str]:
    place = _PLACES.get(message.DESCRIPTOR.name, {}).get(key)
    if place is NOT_SAID:
        return
    if place is not None:
        yield from losses(value, place(message), path)
    elif key in message.DESCRIPTOR.fields_by_name:
        yield from losses(value, _plain(getattr(message, key)), path)
    else:
        yield from losses(value, _extra(message).get(key), path)


def _extra(message: Message) -> Mapping[str, Any]:
    extra = getattr(message, "extra", None)
    unknown: dict[str, Any] = orjson.loads(extra.json) if extra and extra.json else {}
    return unknown


def _plain(value: Any) -> Any:
    if isinstance(value, common_pb2.JsonDocument):
        return orjson.loads(value.json)
    if isinstance(value, bytes):
        return list(value)
    if hasattr(value, "items"):
        return dict(value)
    return value if isinstance(value, str | Message) or not _is_list(value) else list(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _finish(choice: Any) -> str | None:
    return choice.native_finish_reason or _FINISHES.get(choice.finish_reason)


def _stop(choice: Any) -> Any:
    chosen = choice.WhichOneof("stop_reason")
    return getattr(choice, chosen) if chosen else None


def _role(message: Any) -> str:
    return message.custom_role or ROLES.get(message.role, "")


def _by_column(choice: Any) -> Any:
    """Returns the log probabilities of a text completion as lists of equal length."""
    entries = choice.logprobs
    return {
        "text_offset": [entry.text_offset for entry in entries],
        "tokens": [entry.token for entry in entries],
        "token_logprobs": [
            entry.logprob if entry.HasField("logprob") else None for entry in entries
        ],
        "top_logprobs": [
            {top.token: top.logprob for top in entry.top_logprobs} or None for entry in entries
        ],
    }


def _milliseconds(name: str) -> Place:
    def read(message: Any) -> float:
        duration: Duration = getattr(message, name)
        return duration.ToNanoseconds() / 1e6

    return read


def _details(name: str) -> Place:
    """Returns a reader of the details of a usage; those without a field are in `extra`."""

    def read(usage: Any) -> Mapping[str, Any]:
        details = getattr(usage, name)
        fields = {
            field.name: _plain(getattr(details, field.name)) for field in details.DESCRIPTOR.fields
        }
        unknown: Mapping[str, Any] = _extra(usage).get(name, {})
        return {**fields, **unknown}

    return read


_ANSWER: Mapping[str, Any] = {
    "object": NOT_SAID,
    "created": lambda message: message.create_time.seconds,
}
_GENERATED: Mapping[str, Any] = {
    **_ANSWER,
    "request_id": lambda message: message.id,
    "output_mode": lambda message: (
        message.DESCRIPTOR.fields_by_name["output_mode"]
        .enum_type.values_by_number[message.output_mode]
        .name.rpartition("_")[2]
        .lower()
    ),
}
_CHOICE: Mapping[str, Any] = {
    "finish_reason": _finish,
    "stop_reason": _stop,
    "logprobs": lambda choice: {"content": choice.logprobs},
}
_COMPLETION_CHOICE: Mapping[str, Any] = {
    "finish_reason": _finish,
    "stop_reason": _stop,
    "logprobs": _by_column,
}
_PLACES: Mapping[str, Mapping[str, Any]] = {
    "CreateChatCompletionResponse": _ANSWER,
    "StreamChatCompletionResponse": _ANSWER,
    "ChatChoice": _CHOICE,
    "ChatChoiceDelta": _CHOICE,
    "CreateCompletionResponse": _ANSWER,
    "StreamCompletionResponse": _ANSWER,
    "CompletionChoice": _COMPLETION_CHOICE,
    "CompletionChoiceDelta": _COMPLETION_CHOICE,
    "GenerateResponse": _GENERATED,
    "StreamGenerateResponse": _GENERATED,
    "GenerateChoice": _CHOICE,
    "GenerateChoiceDelta": _CHOICE,
    "TokenizeResponse": {
        "tokens": lambda message: list(message.token_ids),
        "token_strs": lambda message: list(message.token_strings),
    },
    "DetokenizeResponse": {"prompt": lambda message: message.text},
    # The document is that of the request.
    "RerankResult": {"document": NOT_SAID},
    "ScoreResponse": {**_ANSWER, "data": lambda message: list(message.results)},
    "ScoreResult": {"object": NOT_SAID},
    "ChatMessage": {
        "role": _role,
        "content": lambda message: "".join(part.text for part in message.content),
        "reasoning_content": lambda message: message.reasoning,
    },
    "ChatDelta": {"role": _role, "reasoning_content": lambda delta: delta.reasoning},
    "ToolCall": {"type": NOT_SAID},
    "ToolCallDelta": {
        "type": NOT_SAID,
        "function": lambda call: {"name": call.name, "arguments": call.arguments},
    },
    "Usage": {
        name: _details(name) for name in ("prompt_tokens_details", "completion_tokens_details")
    },
    "RequestMetrics": {
        "time_to_first_token_ms": _milliseconds("time_to_first_token"),
        "generation_time_ms": _milliseconds("generation_time"),
        "queue_time_ms": _milliseconds("queue_time"),
        "mean_itl_ms": _milliseconds("mean_inter_token_latency"),
    },
    "Model": _ANSWER,
}
