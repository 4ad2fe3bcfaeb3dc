"""Converts the input of a response to messages as vLLM does."""

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import parameter_error

_PART_TYPES = {"input_text": "text", "output_text": "text", "input_image": "image_url"}
_UNFINISHED = ("in_progress", "incomplete")


def messages(given: Json) -> tuple[list[Json], bool]:
    """Returns the messages, and whether to continue the last one; raises ApiError."""
    if isinstance(given, str):
        return [{"role": "user", "content": given}], False
    made: list[Json] = []
    for item in given:
        _add(made, item)
    last = given[-1] if given else {}
    kind = last.get("type", "message")
    return made, kind == "message" and last.get("status") in _UNFINISHED


def _add(made: list[Json], item: Json) -> None:
    match item.get("type", "message"):
        case "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            _assistant(made, None).setdefault("tool_calls", []).append(call)
        case "reasoning":
            parts = item.get("content") or item.get("summary") or [{"text": ""}]
            _assistant(made, "reasoning")["reasoning"] = parts[0]["text"]
        case "function_call_output":
            result = {"tool_call_id": item["call_id"], "content": _content(item["output"])}
            made.append({"role": "tool", **result})
        case "message" if item.get("role") == "assistant":
            content = item["content"]
            text = content if isinstance(content, str) else content[0]["text"]
            _assistant(made, "content")["content"] = text
        case "message":
            made.append({"role": item["role"], "content": _content(item["content"])})
        case other:
            raise parameter_error(f"Unsupported input item type: {other}", "input")


def _assistant(made: list[Json], free: str | None) -> dict[str, Json]:
    """Returns the assistant's last message if it can be extended, otherwise a new one."""
    last: dict[str, Json] = made[-1] if made else {}
    if last.get("role") != "assistant" or (free and last.get(free) is not None):
        last = {"role": "assistant", "content": None}
        made.append(last)
    return last


def _content(content: Json) -> Json:
    if isinstance(content, str):
        return content
    return [_part(part) for part in content]


def _part(part: Json) -> Json:
    kind = _PART_TYPES.get(part["type"], part["type"])
    if kind == "text":
        return {"type": "text", "text": part["text"]}
    if kind == "image_url":
        return {"type": kind, kind: {"url": part["image_url"], "detail": part.get("detail")}}
    return part
