"""Chats through the generated stubs, and the contract of their streams."""

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
"""The models' answer to "Say hello."."""

MARK = "<think>"
"""The mark in front of reasoning, which streams of vLLM before 0.16 contain on a busy machine.

Their parser only removes it from a piece that consists of no other token.
"""


def said(text: str, role: Any = ROLE_USER) -> ChatMessage:
    """Returns a message of one text."""
    return ChatMessage(role=role, content=[ContentPart(text=text)])


def system(text: str) -> ChatMessage:
    """Returns a system message."""
    return said(text, ROLE_SYSTEM)


def asking(
    *messages: ChatMessage | str, sampling: SamplingParams | None = None, **fields: Any
) -> CreateChatCompletionRequest:
    """Returns a request with a fixed answer; `sampling` is merged into a temperature of 0."""
    request = CreateChatCompletionRequest(
        messages=[said(one) if isinstance(one, str) else one for one in messages],
        sampling=SamplingParams(temperature=0),
        **fields,
    )
    if sampling:
        request.sampling.MergeFrom(sampling)
    return request


def story(tokens: int) -> CreateChatCompletionRequest:
    """Returns a request for an answer of this many tokens, which keeps a small model busy."""
    sampling = SamplingParams(temperature=0.5, seed=1, ignore_eos=True, max_tokens=tokens)
    return asking("Tell me a story.", sampling=sampling)


def function(name: str, parameters: Any = None, **fields: Any) -> Tool:
    """Returns a tool; its parameters are a JSON schema."""
    definition = FunctionDefinition(name=name, description=f"the {name}", **fields)
    if parameters is not None:
        definition.parameters.CopyFrom(document(parameters))
    return Tool(function=definition)


def members(**values: Any) -> JsonDocument:
    """Returns a document that is a JSON object of these members."""
    return document(values)


def reasoning_of(choice: ChatChoice) -> str:
    """Returns the reasoning of a choice, without the mark in front of it."""
    return choice.message.reasoning.removeprefix(MARK)


def text_of(choice: ChatChoice) -> str:
    """Returns the text of a choice."""
    return "".join(part.text for part in choice.message.content)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole or joined from a stream.

    Attributes:
        choices: the choices, in the order of their indexes.
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
        """Returns a unary answer."""
        return await self.call(request)

    async def stream(
        self, request: CreateChatCompletionRequest
    ) -> list[StreamChatCompletionResponse]:
        """Returns the messages of a stream, which must keep the contract."""
        messages = [message async for message in self.open(request)]
        check_contract(messages, max(1, request.sampling.n))
        return messages

    async def both(self, request: CreateChatCompletionRequest) -> Answer:
        """Returns the answer, which must be the same from a unary call and from a stream."""
        whole = answer(await self.whole(request))
        joined = join(await self.stream(request))
        assert joined.model == whole.model
        assert [_essence(choice) for choice in joined.choices] == [
            _essence(choice) for choice in whole.choices
        ]
        assert _counts(joined.usage) == _counts(whole.usage)
        return whole

    async def refused(self, request: CreateChatCompletionRequest) -> Refusal:
        """Returns the failure, which a unary call and a stream without a message must share."""
        whole = await refused(self.whole(request))
        messages, stream = await self.broken(request)
        assert messages == []
        for one in ("code", "reason", "fields", "resource"):
            assert getattr(stream, one) == getattr(whole, one)
        return whole

    async def broken(
        self, request: CreateChatCompletionRequest
    ) -> tuple[list[StreamChatCompletionResponse], Refusal]:
        """Returns the messages of a stream that must fail, and its failure."""
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
    """Joins the messages of a stream, as the contract describes."""
    choices: dict[int, ChatChoice] = {}
    for message in messages:
        for piece in message.choices:
            _add(choices.setdefault(piece.index, ChatChoice(index=piece.index)), piece)
    ordered = [choices[index] for index in sorted(choices)]
    return Answer(messages[0].id, messages[0].model, ordered, messages[-1].usage)


def check_contract(messages: Sequence[StreamChatCompletionResponse], choices: int) -> None:
    """Checks the contract of StreamChatCompletion."""
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
    """Returns the parts of a choice that are the same in answers and streams."""
    message = choice.message
    return {
        "index": choice.index,
        "role": message.role,
        "text": text_of(choice),
        "reasoning": reasoning_of(choice),
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
