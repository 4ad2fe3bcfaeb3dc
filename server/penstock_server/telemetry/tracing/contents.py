"""Contents of requests and answers in the JSON of the conventions, with a bounded length.

Only texts, names and addresses are recorded: no data of images or recordings, and no query of an
address, which may contain a key.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from penstock_server import routes
from penstock_server.telemetry.tracing import names

JsonObject: TypeAlias = dict[str, Any]

_DEFAULT_LENGTH = 8192
# An empty message has as many characters.
_SHORTEST_MESSAGE = 24
_SHORTEST_TEXT = 16
_MOST_PARTS = 64
_CUT = "…"
_LENGTHS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_INTO_SPANS = frozenset({"span_only", "span_and_event", "true"})
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal"})
_MEDIA = {"image": "image", "input_image": "image", "input_audio": "audio"}


def most_characters(environment: Mapping[str, str]) -> int:
    """Returns the length of the longest attribute of contents; 0 if none are to be recorded."""
    wanted = environment.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")
    if wanted.strip().lower() not in _INTO_SPANS:
        return 0
    given = (environment.get(name, "").strip() for name in _LENGTHS)
    return next((int(length) for length in given if length.isdecimal()), _DEFAULT_LENGTH)


def of_request(path: str, body: Mapping[str, Any], most: int) -> dict[str, str]:
    """Returns the attributes with the contents of a request.

    Args:
        path: the path of the request.
        body: the request.
        most: the length of the longest attribute.
    """
    read = _REQUESTS.get(path)
    if not read:
        return {}
    instructions = list(_parts(body.get("instructions"))) if path == routes.RESPONSES else []
    found = {
        names.SYSTEM_INSTRUCTIONS: _bounded(instructions, most),
        names.INPUT_MESSAGES: _bounded(read(body, most // _SHORTEST_MESSAGE), most),
    }
    return {name: text for name, text in found.items() if text}


def of_answer(choices: Sequence[Mapping[str, Any]], most: int) -> dict[str, str]:
    """Returns the attribute with the contents of an answer.

    Args:
        choices: messages as vLLM has them in JSON, each with its `finish_reason`.
        most: the length of the longest attribute.
    """
    messages = [_message(choice) | {"finish_reason": _finish(choice)} for choice in choices]
    text = _bounded(messages, most)
    return {names.OUTPUT_MESSAGES: text} if text else {}


def _finish(choice: Mapping[str, Any]) -> str:
    reason = str(choice["finish_reason"])
    return names.MESSAGE_FINISH_REASONS.get(reason, reason)


def _last(found: Any, most: int) -> Sequence[Any]:
    """Returns the last entries of a list; earlier ones would not fit into the attribute."""
    return found[-most:] if isinstance(found, list) and most else ()


def _chat(body: Mapping[str, Any], most: int) -> list[JsonObject]:
    messages = _last(body.get("messages"), most)
    return [_message(message) for message in messages if isinstance(message, Mapping)]


def _completion(body: Mapping[str, Any], most: int) -> list[JsonObject]:
    prompt = body.get("prompt")
    prompts = [prompt] if isinstance(prompt, str) else _last(prompt, most)
    return [_message({"content": text}) for text in prompts if isinstance(text, str)]


def _response(body: Mapping[str, Any], most: int) -> list[JsonObject]:
    given = body.get("input")
    items = [{"content": given}] if isinstance(given, str) else _last(given, most)
    return [_message(_as_message(item)) for item in items if isinstance(item, Mapping)]


_REQUESTS: Mapping[str, Callable[[Mapping[str, Any], int], list[JsonObject]]] = {
    routes.CHAT_COMPLETIONS: _chat,
    routes.COMPLETIONS: _completion,
    routes.RESPONSES: _response,
}


def _as_message(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns an item of the Responses API as a message of a chat."""
    kind, call_id = item.get("type"), item.get("call_id")
    if kind == "function_call":
        return {"role": "assistant", "tool_calls": [{"id": call_id, "function": item}]}
    if kind == "function_call_output":
        return {"role": "tool", "tool_call_id": call_id, "content": item.get("output")}
    if kind == "reasoning":
        return {"role": "assistant", "reasoning": _joined(item.get("content"))}
    return item


def _message(message: Mapping[str, Any]) -> JsonObject:
    role, name = message.get("role"), message.get("name")
    made: JsonObject = {"role": _text(role) or "user", "parts": list(_message_parts(message))}
    return made | {"name": name} if isinstance(name, str) and name else made


def _message_parts(message: Mapping[str, Any]) -> Iterator[JsonObject]:
    if reasoning := _text(message.get("reasoning")):
        yield {"type": "reasoning", "content": reasoning}
    content = message.get("content")
    if call_id := _text(message.get("tool_call_id")):
        yield {"type": "tool_call_response", "id": call_id, "response": _joined(content)}
    else:
        yield from _parts(content)
    for call in _objects(message.get("tool_calls")):
        yield _tool_call(call)


def _tool_call(call: Mapping[str, Any]) -> JsonObject:
    function = call.get("function")
    called = function if isinstance(function, Mapping) else {}
    return {
        "type": "tool_call",
        "id": _text(call.get("id")),
        "name": _text(called.get("name")),
        "arguments": _text(called.get("arguments")),
    }


def _parts(content: Any) -> Iterator[JsonObject]:
    if isinstance(content, str):
        if content:
            yield {"type": "text", "content": content}
        return
    for part in _objects(content):
        kind = _text(part.get("type"))
        if kind in _TEXTS:
            yield {"type": "text", "content": _part_text(part)}
        elif kind == "thinking":
            yield {"type": "reasoning", "content": _text(part.get("thinking"))}
        else:
            yield _medium(part, kind)


def _medium(part: Mapping[str, Any], kind: str) -> JsonObject:
    """Returns a part that is not text, without its data."""
    given = part.get(kind.removeprefix("input_") if kind == "input_image" else kind)
    given = part.get("image_url") if given is None else given
    address = _text(given.get("url") if isinstance(given, Mapping) else given)
    modality = _MEDIA.get(kind, kind.removesuffix("_url"))
    if not address.startswith(("http://", "https://")):
        return {"type": "blob", "modality": modality, "content": ""}
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    clean = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}".partition("?")[0].partition("#")[0]
    return {"type": "uri", "modality": modality, "uri": clean}


def _part_text(part: Mapping[str, Any]) -> str:
    return _text(part.get("text")) or _text(part.get("refusal"))


def _joined(content: Any) -> str:
    """Returns the text of contents, which may have parts."""
    return _text(content) or "".join(map(_part_text, _objects(content)))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """Returns the parts or the calls of a message, without those beyond what is recorded."""
    entries = value[:_MOST_PARTS] if isinstance(value, list) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _bounded(entries: list[JsonObject], most: int) -> str:
    """Returns the JSON of messages or parts, at most so long; empty if there are none.

    Long texts are cut; if that is not enough, the first entries are left out.
    """
    longest = most
    while entries:
        text = orjson.dumps(_cut(entries, longest)).decode()
        if len(text) <= most:
            return text
        if longest > _SHORTEST_TEXT:
            longest //= 2
        else:
            entries = entries[(len(entries) + 1) // 2 :]
    return ""


def _cut(value: Any, longest: int) -> Any:
    """Returns JSON whose texts are at most so long, and a mark where one was cut."""
    if isinstance(value, str):
        return value if len(value) <= longest else value[:longest] + _CUT
    if isinstance(value, list):
        return [_cut(entry, longest) for entry in value]
    return {key: _cut(entry, longest) for key, entry in value.items()}
