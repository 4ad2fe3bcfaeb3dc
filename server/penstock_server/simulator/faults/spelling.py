"""Faults that change the form of the JSON: numbers, nulls, ids, names and indices."""

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from penstock_server.simulator.faults.documents import edit_choices, edit_object, said
from penstock_server.simulator.faults.table import FaultError, harmless
from penstock_server.simulator.http.answers import Answer, Json

Object = dict[str, Json]

_NUMBERS = frozenset(
    {"created", "created_at", "completed_at", "sequence_number"}
    | {"index", "output_index", "content_index", "summary_index"}
)
_NUMBER_FORMS: Mapping[str, Callable[[int], Json]] = {
    "float": float,
    "text": str,
    "fraction": lambda number: number + 0.5,
}
_ABSENT_OF_EVENT = ("usage", "system_fingerprint", "service_tier", "prompt_token_ids", "error")
_ABSENT_OF_CHOICE = ("logprobs", "finish_reason", "stop_reason", "token_ids")
_ABSENT_OF_SAID = ("role", "content", "reasoning", "reasoning_content", "refusal", "tool_calls")
_ABSENT_OF_CALL = ("id", "type", "function")
_ABSENT_OF_FUNCTION = ("name", "arguments")
_EMPTY: Mapping[str, Json] = {
    "content": "",
    "reasoning": "",
    "reasoning_content": "",
    "refusal": "",
    "tool_calls": [],
    "name": "",
    "arguments": "",
    "id": "",
    "finish_reason": "",
}
_ENVELOPE = ("id", "object", "created", "model")


@harmless
def numbers(answer: Answer, form: str = "float") -> None:
    """Writes counts, indices and times as floats or strings; times with a fraction."""
    if form not in _NUMBER_FORMS:
        raise FaultError(f"unknown form {form!r}; valid forms: {', '.join(_NUMBER_FORMS)}")
    write = _NUMBER_FORMS[form]
    wanted = _is_time if form == "fraction" else _is_number
    answer.edit(lambda data: _numbers(data, wanted, write))


@harmless
def nulls(answer: Answer) -> None:
    """Writes null for absent values."""
    _fill(answer, lambda key: None)


@harmless
def empties(answer: Answer) -> None:
    """Writes empty strings and lists for absent values."""
    _fill(answer, lambda key: _EMPTY[key], _EMPTY)


@harmless
def no_nulls(answer: Answer) -> None:
    """Leaves out all keys that are null."""
    answer.edit(_without_nulls)


@harmless
def first_only(answer: Answer) -> None:
    """Writes id, model, object and time only in the first event, and no sequence numbers."""
    numbers = count()

    def change(data: Object) -> None:
        data.pop("sequence_number", None)
        if next(numbers) and "type" not in data:
            for key in _ENVELOPE:
                data.pop(key, None)

    if answer.streamed:
        edit_object(answer, change)


@harmless
def roles(answer: Answer) -> None:
    """Writes the role in every event of a choice."""
    edit_choices(answer, lambda choice: _add_role(choice))


@harmless
def repeated_calls(answer: Answer) -> None:
    """Writes id, type and function in every piece of a tool call."""
    known: dict[Any, Object] = {}

    def change(choice: Object) -> None:
        for call in said(choice).get("tool_calls") or ():
            place = choice.get("index"), call.get("index")
            first = known.get(place)
            if first is None or call.get("id"):
                known[place] = call
            else:
                names = {"name": first["function"].get("name")}
                call["function"] = (call.get("function") or {}) | names
                call |= {key: first[key] for key in ("id", "type") if key in first}

    if answer.streamed:
        edit_choices(answer, change)


@harmless
def call_index(answer: Answer, form: str = "none") -> None:
    """Leaves out the index of tool calls, or writes zero for all."""
    if form not in ("none", "zero"):
        raise FaultError(f"unknown form {form!r}; valid forms: none, zero")
    if answer.streamed:
        edit_choices(answer, lambda choice: _index_calls(choice, form))


@harmless
def bare_responses(answer: Answer) -> None:
    """Leaves out the response in the first events of a response, and the output in the last."""
    if answer.streamed:
        edit_object(answer, _bare_response)


@harmless
def no_items(answer: Answer) -> None:
    """Leaves out the item id of response events, but keeps their index."""
    edit_object(answer, lambda data: data.pop("item_id", None))


@harmless
def escapes(answer: Answer) -> None:
    """Writes JSON with blanks, and escapes all non-ASCII characters."""
    answer.code(lambda data: [b"".join(map(_escaped, data.splitlines(keepends=True)))])


def _fill(
    answer: Answer, value: Callable[[str], Json], among: Mapping[str, Json] | None = None
) -> None:
    """Adds missing keys to each part of an answer."""

    def add(holder: Object | None, keys: tuple[str, ...]) -> None:
        for key in keys:
            if holder is not None and (among is None or key in among):
                holder.setdefault(key, value(key))

    def change(data: Object) -> None:
        if "choices" not in data:
            return
        add(data, _ABSENT_OF_EVENT)
        for choice in data["choices"] or ():
            words = said(choice)
            add(choice, _ABSENT_OF_CHOICE)
            for call in words.get("tool_calls") or ():
                add(call, _ABSENT_OF_CALL)
                add(call.get("function"), _ABSENT_OF_FUNCTION)
            if str(data.get("object")).startswith("chat"):
                add(words, _ABSENT_OF_SAID)

    edit_object(answer, change)


def _is_time(key: str, inside_usage: bool) -> bool:
    return key in ("created", "created_at", "completed_at")


def _is_number(key: str, inside_usage: bool) -> bool:
    return key in _NUMBERS or inside_usage


def _numbers(
    data: Json,
    wanted: Callable[[str, bool], bool],
    write: Callable[[int], Json],
    inside_usage: bool = False,
) -> Json:
    if isinstance(data, list):
        return [_numbers(one, wanted, write, inside_usage) for one in data]
    if not isinstance(data, dict):
        return data
    return {
        key: write(value)
        if type(value) is int and wanted(key, inside_usage)
        else _numbers(value, wanted, write, inside_usage or key == "usage")
        for key, value in data.items()
    }


def _without_nulls(data: Json) -> Json:
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    return data if not isinstance(data, list) else [_without_nulls(one) for one in data]


def _add_role(choice: Object) -> None:
    if "text" not in choice:
        said(choice).setdefault("role", "assistant")


def _index_calls(choice: Object, form: str) -> None:
    for call in said(choice).get("tool_calls") or ():
        if form == "zero":
            call["index"] = 0
        else:
            call.pop("index", None)


def _bare_response(data: Object) -> None:
    kind = data.get("type")
    if kind in ("response.created", "response.in_progress"):
        data.pop("response", None)
    elif kind in ("response.completed", "response.incomplete"):
        data["response"] = {**data["response"], "output": []}


def _escaped(line: bytes) -> bytes:
    head, found, data = line.partition(b"{")
    if head not in (b"", b"data: ", b"data:"):
        return line
    try:
        value = json.loads(found + data)
    except ValueError:
        return line
    end = data[len(data.rstrip(b"\r\n")) :]
    return head + json.dumps(value, separators=(" , ", " : ")).encode() + end
