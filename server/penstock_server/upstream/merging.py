"""Merges events with text that wait for a slow reader."""

from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]

_EVENT_KEYS = frozenset({"id", "object", "created", "model", "choices"})
_CHOICE_KEYS = frozenset({"index", "delta", "text"})
_TEXTS = frozenset({"content", "reasoning", "reasoning_content"})


def merged_text(first: JsonObject, second: JsonObject) -> JsonObject | None:
    """Returns one event with the texts of two; None if either adds more than text to one choice.

    Log probabilities, token ids, parts of tool calls, finish reasons, roles and usage each keep a
    separate event.
    """
    before, after = _choice(first), _choice(second)
    if before is None or after is None or before.get("index") != after.get("index"):
        return None
    if isinstance(before.get("text"), str) and isinstance(after.get("text"), str):
        return {**first, "choices": [{**before, "text": before["text"] + after["text"]}]}
    key, other = _text_key(before.get("delta")), _text_key(after.get("delta"))
    if not key or key != other:
        return None
    delta = {**before["delta"], key: before["delta"][key] + after["delta"][key]}
    return {**first, "choices": [{**before, "delta": delta}]}


def _choice(event: JsonObject) -> JsonObject | None:
    """Returns the only choice of an event; None if the event has other content."""
    choices = event.get("choices")
    if not _only(event, _EVENT_KEYS) or not isinstance(choices, list) or len(choices) != 1:
        return None
    [choice] = choices
    return choice if _only(choice, _CHOICE_KEYS) else None


def _text_key(delta: Any) -> str:
    """Returns the key of the only value of a delta if that is a text; else an empty string."""
    if not isinstance(delta, dict):
        return ""
    [key, *more] = [key for key, value in delta.items() if value is not None] or [""]
    return key if not more and key in _TEXTS and isinstance(delta[key], str) else ""


def _only(data: Mapping[str, Any], keys: frozenset[str]) -> bool:
    return all(value is None or key in keys for key, value in data.items())
