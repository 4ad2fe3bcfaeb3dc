"""Conversion of requests for responses to the form of the Responses API."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from penstock.v1 import message_pb2, response_pb2
from penstock_server import routes
from penstock_server.convert import document, extra, fields, message, option_messages
from penstock_server.convert.errors import (
    UnsupportedRequest,
    Violation,
    invalid,
    unsupported,
)
from penstock_server.convert.response import words
from penstock_server.convert.response.chat_input import NEEDS_NATIVE, require, role
from penstock_server.convert.response.chat_request import (
    LOGPROBS,
    check,
    wants_logprobs,
)

JsonObject = dict[str, Any]

_LONGEST_ID = 512

_NEEDS_CHAT = "is supported only for responses that are converted to chat completions"
# Shared options that the Responses API has.
_SHARED: Mapping[str, frozenset[str]] = {
    name: fields.names_under(routes.RESPONSES, name)
    for name in ("sampling", "logprobs", "template")
}
_STATUSES: Mapping[response_pb2.ResponseStatus.ValueType, str] = {
    response_pb2.RESPONSE_STATUS_QUEUED: "queued",
    response_pb2.RESPONSE_STATUS_IN_PROGRESS: "in_progress",
    response_pb2.RESPONSE_STATUS_COMPLETED: "completed",
    response_pb2.RESPONSE_STATUS_INCOMPLETE: "incomplete",
    response_pb2.RESPONSE_STATUS_FAILED: "failed",
    response_pb2.RESPONSE_STATUS_CANCELLED: "cancelled",
}
STATUSES_BY_NAME = {name: status for status, name in _STATUSES.items()}
_SAME = option_messages.plain_names(response_pb2.CreateResponseRequest.DESCRIPTOR) - {"input_text"}


def body(request: response_pb2.CreateResponseRequest, *, stream: bool) -> JsonObject:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
        UnsupportedRequest: a field requests something that the Responses API does not support.
    """
    check(request, stream=stream)
    if asked := [Violation(path, _NEEDS_CHAT) for path in _chat_fields(request, stream=stream)]:
        raise UnsupportedRequest(*asked)
    made: JsonObject = {"input": request.input_text or _items(request.input)}
    option_messages.require_tokens(request.sampling)
    made |= option_messages.sampling(request.sampling, max_tokens="max_output_tokens")
    made |= option_messages.engine(request.engine)
    made |= option_messages.template(request.template)
    present = {field.name for field, _ in request.ListFields()}
    made |= {name: getattr(request, name) for name in _SAME if name in present}
    made |= _form(request) | _reasoning(request)
    if request.truncation:
        made["truncation"] = words.TRUNCATIONS[request.truncation]
    if request.HasField("prompt_cache_options"):
        made["prompt_cache_options"] = document.from_object(
            request.prompt_cache_options, "prompt_cache_options"
        )
    if request.metadata:
        made["metadata"] = dict(request.metadata)
    if request.engine.request_id:
        made["request_id"] = request.engine.request_id
    if stream:
        made["stream"] = True
    if request.HasField("extra_body"):
        # The Responses API would silently ignore the keys of chats.
        fields.merge_extra(fields.CONVERTED, made, request.extra_body)
    return made


def stored_path(response_id: str, *, native: bool, action: str = "") -> str:
    """Returns the path of a stored response, or of an action on it.

    Raises:
        InvalidRequest: the id is missing or not valid.
        UnsupportedRequest: responses are converted to chats, which are not stored.
    """
    if not native:
        raise unsupported("response_id", f"a stored response {NEEDS_NATIVE}")
    if len(require(response_id, "response_id")) > _LONGEST_ID:
        raise invalid("response_id", f"must not be longer than {_LONGEST_ID} characters")
    if not response_id.strip("."):
        # In a URL's path, dots would lead elsewhere.
        raise invalid("response_id", "is not a valid id")
    return f"{routes.stored_response(response_id)}{action}"


def starting_after(request: response_pb2.StreamStoredResponseRequest) -> int | None:
    """Returns the number of the last event that the caller has; None for none.

    Raises:
        InvalidRequest: it is negative.
    """
    if request.starting_after < 0:
        raise invalid("starting_after", "must not be negative")
    return request.starting_after if request.HasField("starting_after") else None


def require_event(starting_after: int | None, last: int) -> None:
    """Checks that an ended response has the event that a caller has received last.

    Args:
        starting_after: the number of that event; None for none.
        last: the number of the terminal event.

    Raises:
        InvalidRequest: it has not.
    """
    if starting_after is not None and starting_after > last:
        raise invalid("starting_after", f"must not be above {last}, the number of the last event")


def _chat_fields(request: response_pb2.CreateResponseRequest, *, stream: bool) -> Iterator[str]:
    """Yields the paths of fields that require a chat."""
    for name, known in _SHARED.items():
        shared: Message = getattr(request, name)
        for field, _ in shared.ListFields():
            if field.name not in known:
                yield f"{name}.{field.name}"
    if request.text_format.HasField("structural_tag"):
        yield "text_format.structural_tag"
    if stream and request.stream_options.HasField("stream_interval"):
        yield "stream_options.stream_interval"


def _form(request: response_pb2.CreateResponseRequest) -> JsonObject:
    made: JsonObject = {}
    if request.tools:
        made["tools"] = [_flat(one, "function") for one in message.tools(request.tools)]
    if request.HasField("tool_choice"):
        made["tool_choice"] = _flat(message.tool_choice(request.tool_choice), "function")
    if request.HasField("structured_outputs"):
        made["structured_outputs"] = option_messages.structured_outputs(request.structured_outputs)
    include = list(request.include)
    if wants_logprobs(request):
        include = [*(name for name in include if name != LOGPROBS), LOGPROBS]
        made["top_logprobs"] = request.logprobs.top_logprobs
    if include:
        made["include"] = include
    if text := _text(request):
        made["text"] = text
    return made


def _text(request: response_pb2.CreateResponseRequest) -> JsonObject:
    made: JsonObject = {}
    # Free text is the default; with structured_outputs, vLLM would treat it as a second format.
    given = request.HasField("text_format") and not request.HasField("structured_outputs")
    if given:
        form = message.response_format(request.text_format, "text_format")
        made["format"] = _flat(form, "json_schema")
    if request.text_verbosity:
        made["verbosity"] = words.VERBOSITIES[request.text_verbosity]
    return made


def _flat(value: Any, kind: str) -> Any:
    """Returns an object without the nesting under the name of its type that chats have."""
    if not isinstance(value, dict) or value.get("type") != kind:
        return value
    nested = value.get(kind)
    return {"type": kind, **nested} if isinstance(nested, dict) else value


def _reasoning(request: response_pb2.CreateResponseRequest) -> JsonObject:
    if not request.HasField("reasoning"):
        return {}
    made = option_messages.scalars(request.reasoning, "reasoning", skip=("summary", "extra"))
    if request.reasoning.summary:
        made["summary"] = words.SUMMARIES[request.reasoning.summary]
    extra.add(request.reasoning, made, "reasoning", frozenset({"effort", "summary"}))
    return {"reasoning": made}


def _items(items: Sequence[response_pb2.ResponseItem]) -> list[Any]:
    return [_item(item, f"input[{index}]") for index, item in enumerate(items)]


def _item(item: response_pb2.ResponseItem, path: str) -> Any:
    if item.WhichOneof("item") == "other":
        if item.id or item.status:
            raise invalid(
                f"{path}.other",
                "must contain its id and status itself; leave the item's unset",
            )
        return document.from_document(item.other, f"{path}.other")
    made = _item_body(item, path)
    if item.id:
        made["id"] = item.id
    if item.status:
        made["status"] = option_messages.known(_STATUSES.get(item.status), f"{path}.status")
    extra.add(item, made, path, frozenset({*made, "id", "status"}))
    return made


def _item_body(item: response_pb2.ResponseItem, path: str) -> JsonObject:
    match item.WhichOneof("item"):
        case "message":
            return _message(item.message, f"{path}.message")
        case "function_call":
            call, inner = item.function_call, f"{path}.function_call"
            return {
                "type": "function_call",
                "call_id": require(call.call_id, f"{inner}.call_id"),
                "name": require(call.name, f"{inner}.name"),
                "arguments": call.arguments,
            }
        case "function_call_output":
            result, inner = item.function_call_output, f"{path}.function_call_output"
            return {
                "type": "function_call_output",
                "call_id": require(result.call_id, f"{inner}.call_id"),
                "output": _content(result.output, "input_text", f"{inner}.output") or "",
            }
        case "reasoning":
            return _reasoning_item(item.reasoning)
    raise invalid(path, "the item is empty")


def _reasoning_item(item: response_pb2.ReasoningItem) -> JsonObject:
    made: JsonObject = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in item.summary],
    }
    if item.content:
        made["content"] = [{"type": "reasoning_text", "text": text} for text in item.content]
    if item.encrypted_content:
        made["encrypted_content"] = item.encrypted_content
    return made


def _message(item: response_pb2.MessageItem, path: str) -> JsonObject:
    if not item.content:
        raise invalid(f"{path}.content", "must contain at least one part")
    own = item.role == message_pb2.ROLE_ASSISTANT
    name, inner = role(item, path), f"{path}.content"
    content = _parts(item.content, "output_text", inner) if own else None
    made = {
        "type": "message",
        "role": name,
        "content": content or _content(item.content, "input_text", inner),
    }
    return made | ({"phase": item.phase} if item.phase else {})


def _content(parts: Sequence[response_pb2.ResponseContentPart], text_type: str, path: str) -> Any:
    """Returns a single plain text as a string, other content as a list."""
    made = _parts(parts, text_type, path)
    if len(made) == 1 and isinstance(made[0], dict) and made[0].keys() == {"type", "text"}:
        return made[0]["text"]
    return made


def _parts(
    parts: Sequence[response_pb2.ResponseContentPart], text_type: str, path: str
) -> list[Any]:
    return [_part(part, text_type, f"{path}[{index}]") for index, part in enumerate(parts)]


def _part(part: response_pb2.ResponseContentPart, text_type: str, path: str) -> Any:
    if part.WhichOneof("part") == "other":
        return document.from_document(part.other, f"{path}.other")
    made = _part_body(part, text_type, path)
    if part.annotations:
        made["annotations"] = [
            document.from_document(one, f"{path}.annotations[{index}]")
            for index, one in enumerate(part.annotations)
        ]
    extra.add(part, made, path, frozenset({*made, "annotations", "logprobs"}))
    return made


def _part_body(part: response_pb2.ResponseContentPart, text_type: str, path: str) -> JsonObject:
    match part.WhichOneof("part"):
        case "text":
            return {"type": text_type, "text": part.text}
        case "refusal":
            return {"type": "refusal", "refusal": part.refusal}
        case "image":
            chat = message.content_part(message_pb2.ContentPart(image=part.image), path)
            image = chat["image_url"]
            detail = image.get("detail", "auto")
            return {"type": "input_image", "image_url": image["url"], "detail": detail}
        case "audio":
            made = message.content_part(message_pb2.ContentPart(audio=part.audio), path)
            if made["type"] != "input_audio":
                raise unsupported(f"{path}.audio", f"other than MP3 and WAV data, it {_NEEDS_CHAT}")
            return made
        case "video":
            raise unsupported(f"{path}.video", _NEEDS_CHAT)
        case "reasoning":
            raise invalid(f"{path}.reasoning", "must be a separate item, not a part")
    raise invalid(path, "the part is empty")
