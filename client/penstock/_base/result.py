"""Base classes of results: the message, and information about its call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, overload

from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.json_documents import WithExtra
from penstock._base.options import enum_name
from penstock.errors import AnswerParseError
from penstock.v1.common_pb2 import FinishReason, Usage
from penstock.values import from_json

_SHOWN = 200

P = TypeVar("P")
T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, repr=False)
class Result(WithExtra, Generic[P]):
    """The result of a call.

    Attributes:
        proto: the message as received.
        call: information about the call.
    """

    proto: P
    call: CallInfo = NO_CALL

    def __repr__(self) -> str:
        shown = str(self.proto).replace("\n", " ")
        return f"<{type(self).__name__} {shown[:_SHOWN]}{'…' if shown[_SHOWN:] else ''}>"

    @property
    def request_id(self) -> str:
        """Identifies the call in the service's logs."""
        return self.call.request_id

    @property
    def upstream(self) -> str:
        """Name of the upstream that answered; empty if the service does not report it."""
        return self.call.upstream

    @property
    def attempts(self) -> int:
        """Number of requests that the service sent upstream; 0 if it does not report it."""
        return self.call.attempts


class _Message(Protocol):
    """Fields that the answers of most models have besides their content."""

    @property
    def model(self) -> str: ...
    @property
    def usage(self) -> Usage: ...


A = TypeVar("A", bound=_Message)


class ModelResult(Result[A]):
    """A result produced by a model."""

    @property
    def model(self) -> str:
        """Model that answered."""
        return self.proto.model

    @property
    def usage(self) -> Usage:
        """Tokens used by all inputs together."""
        return self.proto.usage


class Items(Sequence[Item]):
    """A result that is a sequence."""

    __slots__ = ()

    def _items(self) -> Sequence[Item]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items())

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        return self._items()[index]


def parsed_text(kind: type[T], answer: Any, what: str, state: str) -> T:
    """Parses an answer's text as a value of a type.

    Args:
        kind: the type.
        answer: the result.
        what: noun for the result in error messages.
        state: how the answer ended, for error messages.

    Raises:
        AnswerParseError: the text is not a valid value of the type.
    """
    try:
        return from_json(kind, answer.text)
    except ValueError as error:
        name = getattr(kind, "__name__", kind)
        why = f"its text is empty{_said_elsewhere(answer)}" if not answer.text.strip() else error
        message = f"the {what} is not a valid {name} ({state}): {why}"
        raise AnswerParseError(message, answer) from error


def _said_elsewhere(answer: Any) -> str:
    """Names the parts of an answer that are not empty, besides its text."""
    places = ("reasoning", "refusal", "tool_calls")
    filled = [place for place in places if getattr(answer, place, None)]
    return f", but not its {' and '.join(filled)}" if filled else ""


def finish_reason(choice: Any) -> str:
    """Returns why a choice ended, such as "stop" or "length"; empty if it has not ended."""
    native: str = choice.native_finish_reason
    return native or enum_name(FinishReason.DESCRIPTOR, choice.finish_reason)


def stop_reason(choice: Any) -> str | int | None:
    """Returns the stop string or the id of the stop token that ended a choice, if one did."""
    which = choice.WhichOneof("stop_reason")
    return getattr(choice, which) if which else None
