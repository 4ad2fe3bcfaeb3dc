"""Chats with a model: whole answers, streamed answers, and answers parsed as a type."""

from collections.abc import Sequence
from typing import Self, TypeVar, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.generation import FormatLike, LogprobsLike, generation_fields
from penstock._base.option_docs import documented
from penstock._base.options import (
    SamplingOptions,
    StreamedOptions,
    StructuredOptions,
    TemplateOption,
    UserOptions,
    build,
)
from penstock._base.stream import AsyncStream, Stream
from penstock.chat_answer import (
    ChatAccumulator,
    ChatCompletion,
    ChatEvent,
    ParsedChatCompletion,
)
from penstock.messages import Messages, conversation
from penstock.tools import ToolChoiceLike, ToolLike, as_tool_choice, as_tools
from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub

T = TypeVar("T")


@documented
class ChatOptions(
    UserOptions, SamplingOptions, StructuredOptions, StreamedOptions, TemplateOption, total=False
):
    """Options of a chat; see `CreateChatCompletionRequest` in `penstock.v1`.

    Attributes:
        tools: Python functions, messages, or OpenAI's JSON form; see `penstock.tools`.
        tool_choice: "auto", "none", "required", the name of a function, or OpenAI's JSON form.
        parallel_tool_calls: whether one answer may contain several tool calls.
        response_format: "text", "json_object", a type, or a JSON Schema.
        logprobs: True to return log probabilities, or the number of alternatives per position.
        reasoning_effort: how much the model reasons, such as "none", "low" or "high".
        include_reasoning: whether to return the reasoning.
    """

    tools: Sequence[ToolLike] | None
    tool_choice: ToolChoiceLike | None
    parallel_tool_calls: bool | None
    response_format: FormatLike | None
    logprobs: LogprobsLike | None
    reasoning_effort: str | None
    include_reasoning: bool | None


class Chat(Resource):
    """Conversations with a model."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ChatCompletionServiceStub(caller.channel)

    @property
    def completions(self) -> Self:
        """These same methods, under the name that they have in openai-python."""
        return self

    def create(self, messages: Messages, **options: Unpack[ChatOptions]) -> ChatCompletion:
        """Returns the answer to a conversation.

            >>> client.chat.create("What is 2+2?", temperature=0).text
            '2+2 equals 4.'

        Args:
            messages: the conversation; a string is a message of the user.
            **options: see `ChatOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        return self._caller.call(
            self._stub.CreateChatCompletion,
            chat_request(messages, **options),
            options,
            ChatCompletion,
        )

    def stream(
        self, messages: Messages, **options: Unpack[ChatOptions]
    ) -> Stream[ChatEvent, ChatCompletion]:
        """Starts an answer that arrives piece by piece.

            >>> with client.chat.stream("Count to ten.", max_tokens=8) as stream:
            ...     for event in stream:
            ...         done = stream.snapshot.text
            >>> done, stream.final().finish_reason
            ('1, 2, 3, 4,', 'length')

        Args:
            messages: the conversation; a string is a message of the user.
            **options: see `ChatOptions`.
        """
        request = chat_request(messages, **options)
        return self._caller.stream(
            self._stub.StreamChatCompletion, request, options, _accumulator(request)
        )

    def parse(
        self, kind: type[T], messages: Messages, **options: Unpack[ChatOptions]
    ) -> ParsedChatCompletion[T]:
        """Returns an answer parsed as a value of a type.

            >>> from dataclasses import dataclass
            >>> @dataclass
            ... class City:
            ...     name: str
            ...     population: int
            >>> city = client.chat.parse(City, "The capital of France?").parsed
            >>> type(city) is City, type(city.population)
            (True, <class 'int'>)

        Args:
            kind: a type that can be represented in JSON; other than a list, a dict or a scalar, it
                requires the extra `pydantic`.
            messages: the conversation; a string is a message of the user.
            **options: see `ChatOptions`; `response_format` is replaced.

        Raises:
            AnswerParseError: the answer is not a valid value, for example because it was cut off.
            CallError: the call ended with a status other than OK.
            TypeError: the type cannot be represented in JSON, or requires pydantic.
        """
        options["response_format"] = kind
        return ParsedChatCompletion(self.create(messages, **options), kind)


class AsyncChat(AsyncResource):
    """Asynchronous counterpart of `Chat`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ChatCompletionServiceStub(caller.channel)

    @property
    def completions(self) -> Self:
        """See `Chat.completions`."""
        return self

    async def create(self, messages: Messages, **options: Unpack[ChatOptions]) -> ChatCompletion:
        """See `Chat.create`."""
        return await self._caller.call(
            self._stub.CreateChatCompletion,
            chat_request(messages, **options),
            options,
            ChatCompletion,
        )

    def stream(
        self, messages: Messages, **options: Unpack[ChatOptions]
    ) -> AsyncStream[ChatEvent, ChatCompletion]:
        """See `Chat.stream`; iterate over the result with `async for`, without `await`."""
        request = chat_request(messages, **options)
        return self._caller.stream(
            self._stub.StreamChatCompletion, request, options, _accumulator(request)
        )

    async def parse(
        self, kind: type[T], messages: Messages, **options: Unpack[ChatOptions]
    ) -> ParsedChatCompletion[T]:
        """See `Chat.parse`."""
        options["response_format"] = kind
        return ParsedChatCompletion(await self.create(messages, **options), kind)


def chat_request(messages: Messages, **options: Unpack[ChatOptions]) -> CreateChatCompletionRequest:
    """Returns the request message of a chat, for calls through the generated stubs.

    >>> chat_request("Hi", temperature=0).sampling.HasField("temperature")
    True

    Raises:
        TypeError: an option does not exist, or its value has the wrong type.
        ValueError: an enum name is unknown, or a number is out of range.
    """
    fields = generation_fields(options)
    if tools := options.get("tools"):
        fields["tools"] = as_tools(tools)
    if tool_choice := options.get("tool_choice"):
        fields["tool_choice"] = as_tool_choice(tool_choice)
    fields["messages"] = conversation(messages)
    return build(CreateChatCompletionRequest, options, "sampling", **fields)


def _accumulator(request: CreateChatCompletionRequest) -> ChatAccumulator:
    return ChatAccumulator(max(1, request.sampling.n))
