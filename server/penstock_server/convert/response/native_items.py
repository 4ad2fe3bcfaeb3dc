"""Items and parts in answers of the Responses API."""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.v1 import response_pb2
from penstock_server.convert import document, extra, tool_calls
from penstock_server.convert.response.chat_input import ROLES
from penstock_server.convert.response.chat_items import logprob_records
from penstock_server.convert.response.native_request import STATUSES_BY_NAME

Json = Mapping[str, Any]

_ROLES_BY_NAME = {name: role for role, name in ROLES.items()}
_ITEM_KEYS = frozenset({"type", "id", "status"})
_MESSAGE_KEYS = _ITEM_KEYS | {"role", "content", "phase"}
_CALL_KEYS = _ITEM_KEYS | {"call_id", "name", "arguments"}
_OUTPUT_KEYS = _ITEM_KEYS | {"call_id", "output"}
_REASONING_KEYS = _ITEM_KEYS | {"summary", "content", "encrypted_content"}
_TEXT_KEYS = frozenset({"type", "text", "annotations", "logprobs"})
_PLAIN_KEYS = frozenset({"type", "text"})


def fill_status(target: response_pb2.ModelResponse | response_pb2.ResponseItem, data: Json) -> None:
    """Writes a status; one without a value in the enum goes to `extra`."""
    name = data.get("status")
    if name in STATUSES_BY_NAME:
        target.status = STATUSES_BY_NAME[name]
    elif name is not None:
        document.add(target.extra, {"status": name})


def fill_item(target: response_pb2.ResponseItem, data: Json) -> None:
    """Writes an item; an item of an unknown type or form is kept unchanged."""
    match data.get("type"):
        case "message" if data.get("role") in _ROLES_BY_NAME:
            _fill_message(target.message, data)
            known = _MESSAGE_KEYS
        case "function_call":
            target.function_call.call_id = extra.text(data["call_id"])
            target.function_call.name = data["name"]
            arguments = tool_calls.arguments_text(data.get("arguments"))
            target.function_call.arguments = arguments
            known = _CALL_KEYS
        case "function_call_output":
            target.function_call_output.call_id = extra.text(data["call_id"])
            _fill_content(target.function_call_output.output, data.get("output"))
            known = _OUTPUT_KEYS
        case "reasoning" if _is_plain(data):
            _fill_reasoning(target.reasoning, data)
            known = _REASONING_KEYS
        case _:
            target.other.CopyFrom(document.to_document(data))
            return
    target.id = extra.text(data.get("id") or "")
    extra.keep(target, data, known)
    fill_status(target, data)


def fill_part(target: response_pb2.ResponseContentPart, data: Json) -> None:
    """Writes a part; a part of an unknown type is kept unchanged."""
    match data.get("type"):
        case "output_text" | "input_text":
            target.text = data.get("text") or ""
            for annotation in data.get("annotations") or ():
                target.annotations.append(document.to_document(annotation))
            target.logprobs.extend(logprob_records(data.get("logprobs") or ()))
            extra.keep(target, data, _TEXT_KEYS)
        case "refusal":
            target.refusal = data.get("refusal") or ""
            extra.keep(target, data, frozenset({"type", "refusal"}))
        case "reasoning_text":
            target.reasoning = data.get("text") or ""
            extra.keep(target, data, _PLAIN_KEYS)
        case _:
            target.other.CopyFrom(document.to_document(data))


def _fill_message(target: response_pb2.MessageItem, data: Json) -> None:
    target.role = _ROLES_BY_NAME[data["role"]]
    target.phase = data.get("phase") or ""
    _fill_content(target.content, data.get("content"))


def _fill_content(target: Any, content: str | Iterable[Json] | None) -> None:
    if isinstance(content, str):
        target.add(text=content)
        return
    for part in content or ():
        fill_part(target.add(), part)


def _is_plain(data: Json) -> bool:
    """Returns whether reasoning consists only of texts."""
    kinds = (("summary", "summary_text"), ("content", "reasoning_text"))
    return all(
        part.keys() == _PLAIN_KEYS and part["type"] == kind
        for key, kind in kinds
        for part in data.get(key) or ()
    )


def _fill_reasoning(target: response_pb2.ReasoningItem, data: Json) -> None:
    target.SetInParent()
    target.content.extend(part["text"] for part in data.get("content") or ())
    target.summary.extend(part["text"] for part in data.get("summary") or ())
    target.encrypted_content = data.get("encrypted_content") or ""
