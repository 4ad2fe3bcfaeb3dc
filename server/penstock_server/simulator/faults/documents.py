"""Faults inside the JSON: fields missing, unknown, renamed, of the wrong type or too large."""

from collections.abc import Callable

from penstock_server.simulator.faults.table import fault
from penstock_server.simulator.http.answers import Answer, Json

_OUTSIDE_INT32 = 2**40
_UNKNOWN = {"note": "not in any schema", "depth": [1, {"two": 2.5}]}


@fault
def wrong_type(answer: Answer) -> None:
    """Makes the text of each message, delta or completion a number."""
    _edit_choices(answer, _number_for_text)


@fault
def missing_choices(answer: Answer) -> None:
    """Leaves out the list of choices."""
    _edit_object(answer, lambda data: data.pop("choices", None))


@fault
def huge_int(answer: Answer) -> None:
    """Counts more tokens in usage than an int32 holds."""
    _edit_object(answer, _huge_usage)


@fault
def unknown_fields(answer: Answer) -> None:
    """Adds unknown keys to the body, its choices and their messages."""
    _edit_object(answer, lambda data: data.update(penstock_unknown=_UNKNOWN))
    _edit_choices(answer, _unknown_in_choice)


@fault
def unknown_finish(answer: Answer, reason: str = "galactic") -> None:
    """Gives a finish reason that nobody knows."""
    _edit_choices(answer, lambda choice: _set_if_true(choice, "finish_reason", reason))


@fault
def reasoning_content(answer: Answer, both: bool = False) -> None:
    """Names the reasoning as vLLM did up to 0.11, or by both names as up to 0.15."""
    _edit_choices(answer, lambda choice: _rename_reasoning(_said(choice), both))


@fault
def no_role(answer: Answer) -> None:
    """Leaves out the role of messages and deltas."""
    _edit_choices(answer, lambda choice: _said(choice).pop("role", None))


@fault
def missing_index(answer: Answer) -> None:
    """Leaves out the index of choices."""
    _edit_choices(answer, lambda choice: choice.pop("index", None))


def _edit_object(answer: Answer, change: Callable[[dict[str, Json]], object]) -> None:
    def edit(data: Json) -> Json:
        if isinstance(data, dict):
            change(data)
        return data

    answer.edit(edit)


def _edit_choices(answer: Answer, change: Callable[[dict[str, Json]], object]) -> None:
    def edit(data: dict[str, Json]) -> None:
        for choice in data.get("choices") or []:
            change(choice)

    _edit_object(answer, edit)


def _said(choice: dict[str, Json]) -> dict[str, Json]:
    said: dict[str, Json] = choice.get("message") or choice.get("delta") or {}
    return said


def _number_for_text(choice: dict[str, Json]) -> None:
    for holder, key in ((_said(choice), "content"), (choice, "text")):
        _set_if_true(holder, key, 42)


def _huge_usage(data: dict[str, Json]) -> None:
    if data.get("usage"):
        data["usage"] = {**data["usage"], "prompt_tokens": _OUTSIDE_INT32}


def _unknown_in_choice(choice: dict[str, Json]) -> None:
    choice["penstock_unknown"] = _UNKNOWN
    _said(choice).update(penstock_unknown=_UNKNOWN)


def _rename_reasoning(said: dict[str, Json], both: bool) -> None:
    if "reasoning" in said:
        said["reasoning_content"] = said["reasoning"] if both else said.pop("reasoning")


def _set_if_true(holder: dict[str, Json], key: str, value: Json) -> None:
    if holder.get(key):
        holder[key] = value
