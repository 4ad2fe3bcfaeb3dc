"""Asking for chats through the generated stubs, and the stream contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from documents import document
from grpc import aio

from penstock.v1.chat_completion_pb2 import (
    ChatChoice,
    ChatChoiceDelta,
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.common_pb2 import JsonDocument, SamplingParams, Usage
from penstock.v1.message_pb2 import (
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_USER,
    ChatMessage,
    ContentPart,
    FunctionDefinition,
    Tool,
)

from .refusals import Refusal, read, refused

HELLO = "Hello! How can I help you today?"
"""What the models say to "Say hello."."""


def said(text: str, role: Any = ROLE_USER) -> ChatMessage:
    """A message of one text."""
    return ChatMessage(role=role, content=[ContentPart(text=text)])


def system(text: str) -> ChatMessage:
    """A system message."""
    return said(text, ROLE_SYSTEM)


def asking(
    *messages: ChatMessage | str, sampling: SamplingParams | None = None, **fields: Any
) -> CreateChatCompletionRequest:
    """A request whose answer the models know by heart; `sampling` adds to temperature 0."""
    request = CreateChatCompletionRequest(
        messages=[said(one) if isinstance(one, str) else one for one in messages],
        sampling=SamplingParams(temperature=0),
        **fields,
    )
    if sampling:
        request.sampling.MergeFrom(sampling)
    return request


def story(tokens: int) -> CreateChatCompletionRequest:
    """A request whose answer has so many tokens: much work, though the model is small."""
    sampling = SamplingParams(temperature=0.5, seed=1, ignore_eos=True, max_tokens=tokens)
    return asking("Tell me a story.", sampling=sampling)


def function(name: str, parameters: Any = None, **fields: Any) -> Tool:
    """A tool; the parameters are a JSON schema."""
    definition = FunctionDefinition(name=name, description=f"the {name}", **fields)
    if parameters is not None:
        definition.parameters.CopyFrom(document(parameters))
    return Tool(function=definition)


def members(**values: Any) -> JsonDocument:
    """A document with a JSON object of these members."""
    return document(values)


def text_of(choice: ChatChoice) -> str:
    """The text of an answer."""
    return "".join(part.text for part in choice.message.content)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole or put together from a stream.

    Attributes:
        choices: in the order of their numbers.
        usage: the usage.
    """

    id: str
    model: str
    choices: Sequence[ChatChoice]
    usage: Usage

    @property
    def choice(self) -> ChatChoice:
        """The only choice."""
        assert len(self.choices) == 1
        return self.choices[0]

    @property
    def text(self) -> str:
        """The text of the only choice."""
        return text_of(self.choice)


class Chats:
    """Chats with one model."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = ChatCompletionServiceStub(channel)

    def call(
        self, request: CreateChatCompletionRequest, timeout_s: float | None = None
    ) -> aio.UnaryUnaryCall[CreateChatCompletionRequest, CreateChatCompletionResponse]:
        """Begins a unary call."""
        return self._stub.CreateChatCompletion(request, timeout=timeout_s)

    def open(
        self, request: CreateChatCompletionRequest, timeout_s: float | None = None
    ) -> aio.UnaryStreamCall[CreateChatCompletionRequest, StreamChatCompletionResponse]:
        """Begins a stream."""
        return self._stub.StreamChatCompletion(request, timeout=timeout_s)

    async def whole(self, request: CreateChatCompletionRequest) -> CreateChatCompletionResponse:
        """Asks for an answer in one message."""
        return await self.call(request)

    async def stream(
        self, request: CreateChatCompletionRequest
    ) -> list[StreamChatCompletionResponse]:
        """Asks for an answer in pieces, which must keep the stream contract."""
        messages = [message async for message in self.open(request)]
        check_contract(messages, max(1, request.sampling.n))
        return messages

    async def both(self, request: CreateChatCompletionRequest) -> Answer:
        """Asks in both ways; the answers must say the same. Returns it."""
        whole = answer(await self.whole(request))
        joined = join(await self.stream(request))
        assert joined.model == whole.model
        assert [_essence(choice) for choice in joined.choices] == [
            _essence(choice) for choice in whole.choices
        ]
        assert _counts(joined.usage) == _counts(whole.usage)
        return whole

    async def refused(self, request: CreateChatCompletionRequest) -> Refusal:
        """Asks in both ways, which must fail alike, the stream before its first message."""
        whole = await refused(self.whole(request))
        messages, stream = await self.broken(request)
        assert messages == []
        for one in ("code", "reason", "fields", "resource"):
            assert getattr(stream, one) == getattr(whole, one)
        return whole

    async def broken(
        self, request: CreateChatCompletionRequest
    ) -> tuple[list[StreamChatCompletionResponse], Refusal]:
        """Reads a stream that must fail; returns what came before, and how it failed."""
        messages = []
        try:
            async for message in self.open(request):
                messages.append(message)
        except aio.AioRpcError as error:
            return messages, read(error)
        raise AssertionError(f"the stream did not fail after {len(messages)} messages")


def answer(response: CreateChatCompletionResponse) -> Answer:
    """Reads a unary answer."""
    assert response.id.startswith("chatcmpl-")
    assert response.create_time.seconds > 1_600_000_000
    return Answer(response.id, response.model, list(response.choices), response.usage)


def join(messages: Sequence[StreamChatCompletionResponse]) -> Answer:
    """Puts a stream together as the contract says."""
    choices: dict[int, ChatChoice] = {}
    for message in messages:
        for piece in message.choices:
            _add(choices.setdefault(piece.index, ChatChoice(index=piece.index)), piece)
    ordered = [choices[index] for index in sorted(choices)]
    return Answer(messages[0].id, messages[0].model, ordered, messages[-1].usage)


def check_contract(messages: Sequence[StreamChatCompletionResponse], choices: int) -> None:
    """Checks what StreamChatCompletion promises of every stream."""
    assert messages[0].model
    assert messages[0].create_time.seconds
    assert len({message.id for message in messages}) == 1
    assert not any(message.model or message.HasField("create_time") for message in messages[1:])
    assert messages[-1].HasField("usage")
    pieces = [piece for message in messages for piece in message.choices]
    assert {piece.index for piece in pieces} == set(range(choices))
    for index in range(choices):
        own = [piece for piece in pieces if piece.index == index]
        assert [piece.delta.role for piece in own] == [ROLE_ASSISTANT] + [0] * (len(own) - 1)
        finishes = [bool(piece.finish_reason) for piece in own]
        assert finishes == [False] * (len(own) - 1) + [True]


def _add(choice: ChatChoice, piece: ChatChoiceDelta) -> None:
    delta, message = piece.delta, choice.message
    message.role = delta.role or message.role
    if delta.content:
        part = message.content[0] if message.content else message.content.add()
        part.text += delta.content
    if delta.reasoning:
        message.reasoning += delta.reasoning
    for call in delta.tool_calls:
        if call.index == len(message.tool_calls):
            assert call.id
            assert call.name
            message.tool_calls.add(id=call.id).function.name = call.name
        else:
            assert not call.id
            assert not call.name
        message.tool_calls[call.index].function.arguments += call.arguments
    for name in ("finish_reason", "native_finish_reason", "stop_string", "stop_token_id"):
        if value := getattr(piece, name):
            setattr(choice, name, value)
    choice.logprobs.extend(piece.logprobs)
    choice.token_ids.extend(piece.token_ids)


def _essence(choice: ChatChoice) -> Any:
    """What of a choice does not depend on how it was asked for."""
    message = choice.message
    return {
        "index": choice.index,
        "role": message.role,
        "text": text_of(choice),
        "reasoning": message.reasoning,
        "calls": [(call.function.name, call.function.arguments) for call in message.tool_calls],
        "finish": (choice.finish_reason, choice.native_finish_reason),
        "stop": (choice.stop_string, choice.stop_token_id),
        "tokens": [(entry.token, entry.bytes) for entry in choice.logprobs],
        "token_ids": list(choice.token_ids),
    }


def _counts(usage: Usage) -> tuple[int, ...]:
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.completion_tokens_details.reasoning_tokens,
    )
