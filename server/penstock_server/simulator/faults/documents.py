"""Faults in the JSON: missing, unknown and renamed fields, wrong types, large values."""

from collections.abc import Callable

from penstock_server.simulator.faults.table import fault, harmless
from penstock_server.simulator.http.answers import Answer, Json

_OUTSIDE_INT32 = 2**40
_UNKNOWN = {"note": "not in any schema", "depth": [1, {"two": 2.5}]}


@fault
def wrong_type(answer: Answer) -> None:
    """Makes the text of each message, delta or completion a number."""
    edit_choices(answer, _number_for_text)


@fault
def missing_choices(answer: Answer) -> None:
    """Leaves out the list of choices."""
    edit_object(answer, lambda data: data.pop("choices", None))


@fault
def huge_int(answer: Answer) -> None:
    """Reports more tokens in usage than an int32 can represent."""
    edit_object(answer, _huge_usage)


@harmless
def unknown_fields(answer: Answer) -> None:
    """Adds unknown keys to all objects of an answer, such as usage, choices and tool calls."""
    edit_object(answer, _unknown_in_object)
    edit_choices(answer, _unknown_in_choice)


@fault
def unknown_finish(answer: Answer, reason: str = "galactic") -> None:
    """Returns an unknown finish reason."""
    edit_choices(answer, lambda choice: _set_if_true(choice, "finish_reason", reason))


@harmless
def reasoning_content(answer: Answer, both: bool = False, empty: bool = False) -> None:
    """Uses the older key of reasoning (vLLM up to 0.11), or both keys (up to 0.15)."""
    edit_choices(answer, lambda choice: _rename_reasoning(said(choice), both, empty))


@harmless
def no_role(answer: Answer) -> None:
    """Leaves out the role of messages and deltas."""
    edit_choices(answer, lambda choice: said(choice).pop("role", None))


@fault
def missing_index(answer: Answer) -> None:
    """Leaves out the index of choices."""
    edit_choices(answer, lambda choice: choice.pop("index", None))


@harmless
def no_zeros(answer: Answer) -> None:
    """Leaves out zero indices of choices, items and parts."""
    edit_object(answer, _without_zeros)
    edit_choices(answer, _without_zeros)


def edit_object(answer: Answer, change: Callable[[dict[str, Json]], object]) -> None:
    """Applies a function to every JSON object."""

    def edit(data: Json) -> Json:
        if isinstance(data, dict):
            change(data)
        return data

    answer.edit(edit)


def edit_choices(answer: Answer, change: Callable[[dict[str, Json]], object]) -> None:
    """Applies a function to every choice."""

    def edit(data: dict[str, Json]) -> None:
        for choice in data.get("choices") or []:
            change(choice)

    edit_object(answer, edit)


def said(choice: dict[str, Json]) -> dict[str, Json]:
    """Returns the message or delta of a choice."""
    for key in ("message", "delta"):
        if isinstance(words := choice.get(key), dict):
            return words
    return {}


def _number_for_text(choice: dict[str, Json]) -> None:
    for holder, key in ((said(choice), "content"), (choice, "text")):
        _set_if_true(holder, key, 42)


def _huge_usage(data: dict[str, Json]) -> None:
    if data.get("usage"):
        data["usage"] = {**data["usage"], "prompt_tokens": _OUTSIDE_INT32}


def _unknown_in_object(data: dict[str, Json]) -> None:
    inner = [data.get(key) for key in ("usage", "response", "item", "part")]
    for holder in (data, *(one for one in inner if isinstance(one, dict))):
        holder["penstock_unknown"] = _UNKNOWN


def _unknown_in_choice(choice: dict[str, Json]) -> None:
    words = said(choice)
    for holder in (choice, words, *(words.get("tool_calls") or ())):
        holder["penstock_unknown"] = _UNKNOWN


def _rename_reasoning(words: dict[str, Json], both: bool, empty: bool) -> None:
    if "reasoning" in words:
        words["reasoning_content"] = words["reasoning"] if both else words.pop("reasoning")
        if empty:
            words["reasoning"] = ""


def _without_zeros(data: dict[str, Json]) -> None:
    for key in ("index", "output_index", "content_index"):
        if data.get(key) == 0:
            del data[key]


def _set_if_true(holder: dict[str, Json], key: str, value: Json) -> None:
    if holder.get(key):
        holder[key] = value
