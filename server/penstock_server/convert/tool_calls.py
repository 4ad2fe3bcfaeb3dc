"""Assignment of the pieces of a stream to the tool calls of a choice.

Upstreams number the calls of a choice by `index`. Some use one index for several calls or none at
all, and some repeat the id and the name of a call in each of its pieces.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from penstock_server.convert import extra
from penstock_server.convert.errors import UNREADABLE
from penstock_server.json_numbers import integer

KEYS = frozenset({"index", "id", "type", "function"})
"""Keys of a call that have a field."""

_FUNCTION_KEYS = frozenset({"name", "arguments"})
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a call.

    Attributes:
        number: number of its call in the choice, from 0.
        id: id of the call, in the first piece that has one; empty in others.
        name: name of the function, in the first piece that has one; empty in others.
        arguments: next piece of the arguments.
    """

    number: int
    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class _Call:
    number: int
    index: int | None
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    nesting: "_Nesting" = field(default_factory=lambda: _Nesting())


class Calls:
    """The calls of one choice of a stream, as received so far."""

    def __init__(self) -> None:
        """Creates a choice without calls."""
        self._calls: list[_Call] = []
        self._numbers: set[int] = set()

    def pieces(self, calls: Any) -> Iterator[tuple[Piece, Mapping[str, Any]]]:
        """Yields the pieces of the calls in a delta, each with the upstream's object."""
        found = [call for call in calls or () if call is not None]
        begun: set[int] = set()
        for place, data in enumerate(found):
            piece = self._piece(data, place if len(found) > 1 else None, begun)
            begun.add(piece.number)
            yield piece, data

    def _piece(self, data: Mapping[str, Any], place: int | None, begun: set[int]) -> Piece:
        call_id, name, arguments = _contents(data)
        index = _index(data)
        call = self._known(index, place, call_id, name)
        if call is None or _is_another(call, call_id, name, in_delta=call.number in begun):
            call = self._add(index)
        elif call.index is None:
            call.index = index
        call.arguments.append(arguments)
        reported_id, reported_name = "" if call.id else call_id, "" if call.name else name
        call.id, call.name = call.id or call_id, call.name or name
        return Piece(call.number, reported_id, reported_name, arguments)

    def _known(self, index: int | None, place: int | None, call_id: str, name: str) -> _Call | None:
        """Returns the call that a piece continues; None if the piece begins another call."""
        latest = self._calls[-1] if self._calls else None
        if index is None:
            return self._with_id(self._calls, call_id) or self._at(place, call_id, name) or latest
        same = [call for call in self._calls if call.index == index]
        if same:
            return self._with_id(same, call_id) or same[-1]
        # The first piece of the call may have had no index.
        loose = [call for call in self._calls if call.index is None]
        if call_id or name:
            return self._with_id(loose, call_id)
        return loose[-1] if loose else None

    @staticmethod
    def _with_id(calls: list[_Call], call_id: str) -> _Call | None:
        return next((call for call in reversed(calls) if call_id and call.id == call_id), None)

    def _at(self, place: int | None, call_id: str, name: str) -> _Call | None:
        """Returns the call at a place in the delta, which counts if nothing else names the call."""
        if place is None or call_id or name or place >= len(self._calls):
            return None
        return self._calls[place]

    def _add(self, index: int | None) -> _Call:
        number = index
        if number is None or number in self._numbers:
            number = max(self._numbers, default=-1) + 1
        self._numbers.add(number)
        self._calls.append(_Call(number, index))
        return self._calls[-1]


def whole_calls(calls: Any) -> Iterator[tuple[Piece, Mapping[str, Any]]]:
    """Yields complete calls, each as a piece with the upstream's object."""
    for number, data in enumerate(call for call in calls or () if call is not None):
        yield Piece(number, *_contents(data)), data


def keep_unknown(target: extra.HasExtra, call: Mapping[str, Any]) -> None:
    """Keeps the keys of a call without a field; those of its function under `function`."""
    extra.keep(target, call, KEYS)
    extra.keep_under("function", target, call.get("function") or {}, _FUNCTION_KEYS)


def arguments_text(value: Any) -> str:
    """Returns arguments as JSON text; some upstreams send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def _contents(data: Mapping[str, Any]) -> tuple[str, str, str]:
    """Returns the id, name and arguments of a call or of a piece of one."""
    function = data.get("function") or {}
    return (
        extra.text(data.get("id") or ""),
        extra.text(function.get("name") or ""),
        arguments_text(function.get("arguments")),
    )


def _index(data: Mapping[str, Any]) -> int | None:
    """Returns the index of a call; None if it is missing or cannot be read."""
    try:
        index = integer(data.get("index"))
    except UNREADABLE:
        return None
    return index if 0 <= index <= _LARGEST else None


def _is_another(call: _Call, call_id: str, name: str, *, in_delta: bool) -> bool:
    """Returns whether a piece that seems to continue a call begins another one.

    A different name begins another call. With the same name, some servers send each piece of one
    call with a new id, or with none: then the call continues until its arguments are complete.
    However, two ids in one delta belong to two calls.

    Args:
        call: the call.
        call_id: the id in the piece.
        name: the name in the piece.
        in_delta: whether an earlier piece of the delta belongs to the call.
    """
    if not name or not call.name or (call_id and call_id == call.id):
        return False
    if name != call.name or (in_delta and call_id and call.id):
        return True
    return call.nesting.is_whole(call.arguments)


class _Nesting:
    """Nesting depth at the end of a JSON text that arrives in pieces; reads each piece once."""

    def __init__(self) -> None:
        self._seen = 0
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._begun = False

    def is_whole(self, pieces: list[str]) -> bool:
        """Returns whether the pieces form a complete object or array."""
        for piece in pieces[self._seen :]:
            for character in piece:
                self._read(character)
        self._seen = len(pieces)
        return self._begun and not self._depth and not self._quoted

    def _read(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._quoted:
            self._escaped = character == "\\"
            self._quoted = character != '"'
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._depth, self._begun = self._depth + 1, True
        elif character in "}]":
            self._depth -= 1
