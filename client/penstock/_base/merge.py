"""Adding up the messages of a stream."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from penstock._base import json_documents
from penstock._base.call_info import NO_CALL, CallInfo

E = TypeVar("E")
R = TypeVar("R")


def merge(target: Message, source: Message, apart: Collection[str] = ()) -> None:
    """Takes over the fields that are set in `source` into the like-named ones of `target`.

    Lists are appended, `extra` is merged, everything else is replaced. What `source` does not
    set stays as it is.

    Args:
        target: what is added to.
        source: what is added.
        apart: fields that are left out.
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
    """A choice that grows piece by piece."""

    @property
    def finished(self) -> bool:
        """Whether it has its finish reason."""

    def add(self, piece: Any) -> None:
        """Takes the next piece."""

    def whole(self) -> Any:
        """Returns a copy of the choice as far as it came."""


class ChoicesAccumulator(Generic[E, R]):
    """Adds up the messages of a stream whose answer has choices, usage last."""

    def __init__(
        self,
        choices: int,
        answer: type[Message],
        choice: Callable[[int], Growing],
        event: Callable[[Any], E],
        result: Callable[[Any, CallInfo], R],
    ) -> None:
        """Takes the number of choices that were asked for, and what things are made of."""
        self._expected = choices
        self._answer: Any = answer()
        self._choices: dict[int, Growing] = {}
        self._usage_last = False
        self._choice, self._event, self._result = choice, event, result

    def add(self, message: Any) -> E:
        """Takes the next message; returns it as an event."""
        merge(self._answer, message, apart=("choices",))
        for piece in message.choices:
            if piece.index not in self._choices:
                self._choices[piece.index] = self._choice(piece.index)
            self._choices[piece.index].add(piece)
        self._usage_last = message.HasField("usage")
        return self._event(message)

    def result(self, call: CallInfo = NO_CALL) -> R:
        """Returns a copy of the answer as far as it came."""
        answer = type(self._answer)()
        answer.CopyFrom(self._answer)
        answer.choices.extend(self._choices[index].whole() for index in sorted(self._choices))
        return self._result(answer, call)

    def missing(self) -> str:
        """Says what a complete answer still needs."""
        finished = (index for index, choice in self._choices.items() if choice.finished)
        return unfinished(finished, self._expected, self._usage_last)


class Pieces:
    """A text that grows; its pieces are joined when it is read."""

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
    """Says what an answer lacks that should have so many finished choices and its usage last."""
    done = set(finished)
    if missing := [str(index) for index in range(choices) if index not in done]:
        return f"choice {', '.join(missing)} has no finish_reason"
    return "" if usage else "usage did not come last"
