"""Adds up the messages of a stream."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from penstock._base import json_documents
from penstock._base.call_info import NO_CALL, CallInfo

E = TypeVar("E")
R = TypeVar("R")


def merge(target: Message, source: Message, apart: Collection[str] = ()) -> None:
    """Copies the fields that are set in `source` to the fields of the same name in `target`.

    Appends lists, merges `extra`, and replaces everything else. Fields that `source` does not
    set keep their value.

    Args:
        target: message to copy to.
        source: message to copy from.
        apart: names of fields to leave out.
    """
    for field, value in source.ListFields():
        if field.name in apart:
            continue
        if field.is_repeated:
            getattr(target, field.name).MergeFrom(value)
        elif field.name == "extra":
            json_documents.merge(getattr(target, field.name), value)
        elif field.message_type is not None:
            getattr(target, field.name).CopyFrom(value)
        else:
            setattr(target, field.name, value)


class Growing(Protocol):
    """A choice that is assembled piece by piece."""

    @property
    def finished(self) -> bool:
        """Whether the finish reason has arrived."""

    def add(self, piece: Any) -> None:
        """Adds the next piece."""

    def whole(self) -> Any:
        """Returns a copy of the choice as received so far."""


class ChoicesAccumulator(Generic[E, R]):
    """Adds up the messages of a stream whose answer has choices and ends with usage.

    Args:
        choices: number of choices requested.
        answer: message class of the answer.
        choice: creates the choice with an index.
        event: creates the event for a message.
        result: creates the result.
    """

    def __init__(
        self,
        choices: int,
        answer: type[Message],
        choice: Callable[[int], Growing],
        event: Callable[[Any], E],
        result: Callable[[Any, CallInfo], R],
    ) -> None:
        self._expected = choices
        self._answer: Any = answer()
        self._choices: dict[int, Growing] = {}
        self._usage_last = False
        self._choice, self._event, self._result = choice, event, result

    def add(self, message: Any) -> E:
        """Adds the next message and returns it as an event."""
        merge(self._answer, message, apart=("choices",))
        for piece in message.choices:
            if piece.index not in self._choices:
                self._choices[piece.index] = self._choice(piece.index)
            self._choices[piece.index].add(piece)
        self._usage_last = message.HasField("usage")
        return self._event(message)

    def result(self, call: CallInfo = NO_CALL) -> R:
        """Returns a copy of the answer as received so far."""
        answer = type(self._answer)()
        answer.CopyFrom(self._answer)
        answer.choices.extend(self._choices[index].whole() for index in sorted(self._choices))
        return self._result(answer, call)

    def missing(self) -> str:
        """Describes what a complete answer still lacks."""
        finished = (index for index, choice in self._choices.items() if choice.finished)
        return unfinished(finished, self._expected, self._usage_last)


class Pieces:
    """A growing text; its pieces are joined when the text is read."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Appends a piece."""
        if piece:
            self._pieces.append(piece)

    def __str__(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return "".join(self._pieces)


def unfinished(finished: Iterable[int], choices: int, usage: bool) -> str:
    """Describes what an answer lacks; empty if it is complete.

    Args:
        finished: indexes of the choices that have a finish reason.
        choices: number of choices requested.
        usage: whether usage came last.
    """
    done = set(finished)
    if missing := [str(index) for index in range(choices) if index not in done]:
        return f"choice {', '.join(missing)} has no finish_reason"
    return "" if usage else "usage did not come last"
