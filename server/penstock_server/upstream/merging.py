"""Merges consecutive events that only continue texts, without loss."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

JsonObject = dict[str, Any]
Thread: TypeAlias = tuple[Hashable, ...]
"""A text that arrives in pieces: such as the content of a choice, or the arguments of a call."""

_USAGE = "usage"
_REPEATED = frozenset({"id", "request_id", "object", "created", "model", "output_mode"})
_REPEATED_IF_EQUAL = ("system_fingerprint", "service_tier")
_EVENT_KEYS = _REPEATED | {*_REPEATED_IF_EQUAL, "choices", _USAGE}
_CHOICE_KEYS = frozenset({"index", "delta", "text", "logprobs", "token_ids"})
_TEXTS = frozenset({("content",), ("reasoning",), ("reasoning_content",), ("refusal",)})
# Some versions of vLLM send reasoning under both names.
_REASONING_TWICE = ("reasoning", "reasoning_content")
_COLUMNS = frozenset({"content", "tokens", "token_logprobs", "top_logprobs", "text_offset"})
_CALL_KEYS = frozenset({"index", "function"})
_FUNCTION_KEYS = frozenset({"arguments"})
_NOT_A_TEXT: tuple[Thread, None] = (), None
_DELTA_TYPES = frozenset(
    f"response.{kind}.delta"
    for kind in ("output_text", "reasoning_text", "refusal", "function_call_arguments")
)
_PLACE = ("type", "item_id", "output_index", "content_index")
_DELTA_KEYS = frozenset({*_PLACE, "delta", "logprobs", "sequence_number"})


class Piece(NamedTuple):
    """A piece of a text.

    Attributes:
        thread: the text that it belongs to.
        text: the piece; the token ids as a text, if nothing else arrives.
    """

    thread: Thread
    text: str


_NONE: Sequence[Piece] = ()


def pieces_of_choices(event: JsonObject) -> Sequence[Piece]:
    """Returns the piece of each choice of an event; none if the event has other content.

    A piece may have log probabilities and token ids. Roles, finish reasons and the beginnings of
    tool calls are other content.
    """
    choices = event.get("choices")
    if not isinstance(choices, list) or not _only(event, _EVENT_KEYS):
        return _NONE
    pieces = [_piece(choice) for choice in choices]
    return [piece for piece in pieces if piece] if all(pieces) else _NONE


def merged_choices(first: JsonObject, second: JsonObject) -> JsonObject | None:
    """Returns one event with the pieces of two; None if either has other content.

    A choice that only the second has is added to those of the first.
    """
    before, after = pieces_of_choices(first), pieces_of_choices(second)
    if not before or not after or not _same_frame(first, second):
        return None
    choices: list[Any] = [*first["choices"]]
    places = {piece.thread[0]: place for place, piece in enumerate(before)}
    for piece, choice in zip(after, second["choices"], strict=True):
        place = places.get(piece.thread[0])
        if place is None:
            choices.append(choice)
        elif before[place].thread == piece.thread:
            choices[place] = _joined_choice(choices[place], choice)
        else:
            return None
    usage = {_USAGE: second[_USAGE]} if _USAGE in second else {}
    return {**first, **usage, "choices": choices}


def pieces_of_delta(event: JsonObject) -> Sequence[Piece]:
    """Returns the piece of an event of the Responses API; none if it is not a delta of a text."""
    delta, kind = event.get("delta"), event.get("type")
    if kind not in _DELTA_TYPES or not isinstance(delta, str) or not _only(event, _DELTA_KEYS):
        return _NONE
    place = tuple(event.get(key) for key in _PLACE)
    logprobs = event.get("logprobs")
    if not all(value is None or isinstance(value, str | int) for value in place):
        return _NONE
    return [Piece(place, delta)] if isinstance(logprobs, list | None) else _NONE


def merged_deltas(first: JsonObject, second: JsonObject) -> JsonObject | None:
    """Returns one delta with the text of two; None if they do not continue the same text."""
    before, after = pieces_of_delta(first), pieces_of_delta(second)
    if not before or not after or before[0].thread != after[0].thread:
        return None
    joined = {**first, "delta": first["delta"] + second["delta"]}
    if logprobs := _joined_list(first, second, "logprobs"):
        joined["logprobs"] = logprobs
    return joined


class BegunTexts:
    """The texts of one stream that have begun."""

    def __init__(self) -> None:
        """Creates a stream in which no text has begun."""
        self._threads: set[Thread] = set()

    def continued_by(self, pieces: Sequence[Piece]) -> bool:
        """Records the pieces of an event; returns whether each text had begun before it."""
        begun = bool(pieces) and all(piece.thread in self._threads for piece in pieces)
        if not begun:
            self._threads.update(piece.thread for piece in pieces if piece.text)
        return begun


def _piece(choice: Any) -> Piece | None:
    if not isinstance(choice, dict) or not _only(choice, _CHOICE_KEYS):
        return None
    index, logprobs = choice.get("index"), choice.get("logprobs") or {}
    if not isinstance(index, int | None) or not isinstance(choice.get("token_ids"), list | None):
        return None
    columns = _columns(logprobs) if isinstance(logprobs, dict) else None
    kind, text = _text_of(choice)
    readable = columns is not None and isinstance(text, str)
    return Piece((index, *kind, columns), text) if readable else None


def _columns(logprobs: Mapping[str, Any]) -> Thread | None:
    """Returns the keys of the lists in log probabilities; None if they contain anything else."""
    found = {key: value for key, value in logprobs.items() if value is not None}
    known = found.keys() <= _COLUMNS and all(isinstance(value, list) for value in found.values())
    return tuple(sorted(found)) if known else None


def _text_of(choice: JsonObject) -> tuple[Thread, Any]:
    """Returns the kind of text that a choice has, and the text; None if it is not a text."""
    text, delta = choice.get("text"), choice.get("delta")
    if delta is None:
        token_ids = choice.get("token_ids")
        only_tokens = text is None and token_ids
        return (("token_ids",), str(token_ids)) if only_tokens else (("text",), text)
    if text is not None or not isinstance(delta, dict):
        return _NOT_A_TEXT
    role = delta.get("role")
    keys = tuple(sorted(key for key, value in delta.items() if value is not None and key != "role"))
    if keys == ("tool_calls",):
        return _NOT_A_TEXT if role else _arguments_of(delta["tool_calls"])
    if keys in _TEXTS or (keys == _REASONING_TWICE and delta[keys[0]] == delta[keys[1]]):
        return (str(role), *keys), delta[keys[0]]
    return _NOT_A_TEXT


def _arguments_of(calls: Any) -> tuple[Thread, Any]:
    """Returns the call that a delta continues, and the piece of its arguments."""
    call = calls[0] if isinstance(calls, list) and len(calls) == 1 else None
    if not isinstance(call, dict) or not _only(call, _CALL_KEYS):
        return _NOT_A_TEXT
    index, function = call.get("index"), call.get("function")
    if not isinstance(index, int | None) or not isinstance(function, dict):
        return _NOT_A_TEXT
    known = _only(function, _FUNCTION_KEYS)
    return (("call", index), function.get("arguments")) if known else _NOT_A_TEXT


def _joined_choice(before: JsonObject, after: JsonObject) -> JsonObject:
    """Returns one choice with the pieces of two, which belong to the same text."""
    joined = {**before}
    if before.get("delta") is not None:
        joined["delta"] = _joined_delta(before["delta"], after["delta"])
    elif before.get("text") is not None:
        joined["text"] = before["text"] + after["text"]
    if token_ids := _joined_list(before, after, "token_ids"):
        joined["token_ids"] = token_ids
    if logprobs := before.get("logprobs"):
        joined["logprobs"] = {
            key: _joined_list(logprobs, after["logprobs"], key) for key in logprobs
        }
    return joined


def _joined_delta(before: JsonObject, after: JsonObject) -> JsonObject:
    joined = {**before}
    for key, text in before.items():
        if key == "tool_calls" and text is not None:
            joined[key] = [_joined_call(text[0], after[key][0])]
        elif key != "role" and text is not None:
            joined[key] = text + after[key]
    return joined


def _joined_call(before: JsonObject, after: JsonObject) -> JsonObject:
    arguments = before["function"]["arguments"] + after["function"]["arguments"]
    return {**before, "function": {**before["function"], "arguments": arguments}}


def _joined_list(before: JsonObject, after: JsonObject, key: str) -> list[Any] | None:
    """Returns the elements of two lists, either of which may be missing."""
    first, second = before.get(key), after.get(key)
    if first is None or second is None:
        return second if first is None else first
    return [*first, *second]


def _same_frame(first: JsonObject, second: JsonObject) -> bool:
    """Returns whether the second of two events repeats what the first has besides its choices."""
    if (first.get(_USAGE) is None) != (second.get(_USAGE) is None):
        return False
    return all(second.get(key) in (None, first.get(key)) for key in _REPEATED_IF_EQUAL)


def _only(data: Mapping[str, Any], keys: frozenset[str]) -> bool:
    return all(value is None or key in keys for key, value in data.items())
