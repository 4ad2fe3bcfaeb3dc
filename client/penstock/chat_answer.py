"""Answers of chats, whole and streamed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from penstock._base.call_info import CallInfo
from penstock._base.json_documents import WithExtra
from penstock._base.merge import ChoicesAccumulator, Pieces, merge
from penstock._base.result import ModelResult, finish_reason, parsed_text, stop_reason
from penstock.messages import text_of
from penstock.tools import ToolCall
from penstock.v1.chat_completion_pb2 import (
    ChatChoice,
    ChatChoiceDelta,
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock.v1.common_pb2 import TokenLogprob
from penstock.v1.message_pb2 import ChatMessage, ToolCallDelta
from penstock.v1.message_pb2 import ToolCall as ToolCallProto

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice(WithExtra):
    """One of the answers to a conversation.

    Attributes:
        proto: the choice as received.
    """

    proto: ChatChoice

    @property
    def index(self) -> int:
        """Number of the choice, from 0."""
        return self.proto.index

    @property
    def message(self) -> ChatMessage:
        """The answer as a message that the next request can repeat."""
        return self.proto.message

    @property
    def text(self) -> str:
        """The text; empty if the model wrote none."""
        return text_of(self.proto.message)

    @property
    def reasoning(self) -> str:
        """The model's reasoning before the answer."""
        return self.proto.message.reasoning

    @property
    def refusal(self) -> str:
        """The model's refusal to answer."""
        return self.proto.message.refusal

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls that the model requests."""
        return [ToolCall(call) for call in self.proto.message.tool_calls]

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, such as "stop", "length" or "tool_calls"; empty until it ends."""
        return finish_reason(self.proto)

    @property
    def stop_reason(self) -> str | int | None:
        """The stop string, or the id of the stop token, that ended the answer, if one did."""
        return stop_reason(self.proto)

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """Log probabilities, one entry per token, if requested."""
        return self.proto.logprobs


class ChatCompletion(ModelResult[CreateChatCompletionResponse]):
    """An answer to a conversation. Properties of a single choice refer to the first one."""

    @property
    def id(self) -> str:
        """Id of the answer."""
        return self.proto.id

    @property
    def choices(self) -> list[Choice]:
        """The answers, as many as `n` requested."""
        return [Choice(choice) for choice in self.proto.choices]

    @property
    def message(self) -> ChatMessage:
        """See `Choice.message`."""
        return self._first.message

    @property
    def text(self) -> str:
        """See `Choice.text`."""
        return self._first.text

    @property
    def reasoning(self) -> str:
        """See `Choice.reasoning`."""
        return self._first.reasoning

    @property
    def refusal(self) -> str:
        """See `Choice.refusal`."""
        return self._first.refusal

    @property
    def tool_calls(self) -> list[ToolCall]:
        """See `Choice.tool_calls`."""
        return self._first.tool_calls

    @property
    def finish_reason(self) -> str:
        """See `Choice.finish_reason`."""
        return self._first.finish_reason

    @property
    def stop_reason(self) -> str | int | None:
        """See `Choice.stop_reason`."""
        return self._first.stop_reason

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """See `Choice.logprobs`."""
        return self._first.logprobs

    def parse(self, kind: type[T]) -> T:
        """Parses the text as JSON that represents a value of a type.

            >>> stream = client.chat.stream("Two numbers?", response_format=list[int])
            >>> all(type(number) is int for number in stream.final().parse(list[int]))
            True

        Raises:
            AnswerParseError: the text is not a valid value of the type.
        """
        return parsed_text(kind, self, "answer", f"finish_reason {self.finish_reason}")

    @property
    def _first(self) -> Choice:
        choices = self.proto.choices
        return Choice(choices[0] if choices else ChatChoice())


class ParsedChatCompletion(ChatCompletion, Generic[T]):
    """An answer parsed as a value of a type.

    Args:
        answer: the answer.
        kind: the type.

    Raises:
        AnswerParseError: the text is not a valid value of the type.
    """

    _parsed: T

    def __init__(self, answer: ChatCompletion, kind: type[T]) -> None:
        super().__init__(answer.proto, answer.call)
        # Results are frozen, and the `__setattr__` of dataclasses does not support subclasses.
        object.__setattr__(self, "_parsed", answer.parse(kind))

    @property
    def parsed(self) -> T:
        """The parsed value."""
        return self._parsed

    def __reduce__(self) -> tuple[Any, ...]:
        # `copy` and `pickle` would lose the attribute: the base class has slots.
        return _with_parsed, (type(self), self.proto, self.call, self._parsed)


def _with_parsed(
    kind: type[ParsedChatCompletion[T]],
    proto: CreateChatCompletionResponse,
    call: CallInfo,
    parsed: T,
) -> ParsedChatCompletion[T]:
    made = kind.__new__(kind)
    ChatCompletion.__init__(made, proto, call)
    object.__setattr__(made, "_parsed", parsed)
    return made


@dataclass(frozen=True, slots=True)
class ChatEvent(WithExtra):
    """One message of a stream. Properties of a single choice refer to the first one.

    Attributes:
        proto: the message as received.
    """

    proto: StreamChatCompletionResponse

    @property
    def text(self) -> str:
        """The next piece of the text."""
        return "".join(choice.delta.content for choice in self._first)

    @property
    def reasoning(self) -> str:
        """The next piece of the reasoning."""
        return "".join(choice.delta.reasoning for choice in self._first)

    @property
    def tool_calls(self) -> list[ToolCallDelta]:
        """The next pieces of tool calls."""
        return [call for choice in self._first for call in choice.delta.tool_calls]

    @property
    def finish_reason(self) -> str:
        """Why the choice ended; empty until it ends."""
        return "".join(finish_reason(choice) for choice in self._first)

    @property
    def _first(self) -> list[ChatChoiceDelta]:
        return [choice for choice in self.proto.choices if not choice.index]


class ChatAccumulator(ChoicesAccumulator[ChatEvent, ChatCompletion]):
    """Adds up the messages of a chat stream, by the contract of StreamChatCompletion.

    Args:
        choices: number of choices requested.
    """

    def __init__(self, choices: int = 1) -> None:
        answer = CreateChatCompletionResponse
        super().__init__(choices, answer, _Choice, ChatEvent, ChatCompletion)


class _Choice:
    """A choice that is assembled piece by piece."""

    def __init__(self, index: int) -> None:
        self._choice = ChatChoice(index=index)
        self._texts = {name: Pieces() for name in ("content", "reasoning", "refusal")}
        self._calls: dict[int, _Call] = {}

    @property
    def finished(self) -> bool:
        return bool(self._choice.finish_reason)

    def add(self, piece: ChatChoiceDelta) -> None:
        merge(self._choice, piece, apart=("index", "delta"))
        delta = piece.delta
        merge(self._choice.message, delta, apart=(*self._texts, "tool_calls"))
        for name, text in self._texts.items():
            text.add(getattr(delta, name))
        for call in delta.tool_calls:
            self._calls.setdefault(call.index, _Call()).add(call)

    def whole(self) -> ChatChoice:
        made = ChatChoice()
        made.CopyFrom(self._choice)
        text, reasoning, refusal = map(str, self._texts.values())
        if text:
            made.message.content.add(text=text)
        if reasoning:
            made.message.reasoning = reasoning
        if refusal:
            made.message.refusal = refusal
        made.message.tool_calls.extend(self._calls[index].whole() for index in sorted(self._calls))
        return made


class _Call:
    """A tool call that is assembled piece by piece."""

    def __init__(self) -> None:
        self._call = ToolCallProto()
        self._arguments = Pieces()

    def add(self, piece: ToolCallDelta) -> None:
        self._call.id = piece.id or self._call.id
        self._call.function.name = piece.name or self._call.function.name
        self._arguments.add(piece.arguments)
        merge(self._call, piece, apart=("index", "id", "name", "arguments"))

    def whole(self) -> ToolCallProto:
        made = ToolCallProto()
        made.CopyFrom(self._call)
        made.function.arguments = str(self._arguments)
        return made
