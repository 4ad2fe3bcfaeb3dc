"""Text completions, without roles or a chat template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.generation import FormatLike, LogprobsLike, generation_fields
from penstock._base.json_documents import WithExtra
from penstock._base.merge import ChoicesAccumulator, Pieces, merge
from penstock._base.option_docs import documented
from penstock._base.options import (
    SamplingOptions,
    StreamedOptions,
    StructuredOptions,
    UserOptions,
    build,
)
from penstock._base.result import ModelResult, finish_reason, stop_reason
from penstock._base.stream import AsyncStream, Stream
from penstock.v1.common_pb2 import TokenIds
from penstock.v1.completion_pb2 import (
    CompletionChoice,
    CompletionChoiceDelta,
    CompletionLogprob,
    CreateCompletionRequest,
    CreateCompletionResponse,
    Prompt,
    StreamCompletionResponse,
)
from penstock.v1.completion_pb2_grpc import CompletionServiceStub

Prompts: TypeAlias = str | Prompt | Sequence[int] | Sequence[str | Prompt | Sequence[int]]
"""A text or its token ids, or several of one kind."""


@documented
class CompletionOptions(
    UserOptions, SamplingOptions, StructuredOptions, StreamedOptions, total=False
):
    """Options of a completion; see `CreateCompletionRequest` in `penstock.v1`.

    Attributes:
        logprobs: True to return log probabilities, or the number of alternatives per position.
        echo: whether the text starts with the prompt.
        suffix: text after the gap that the model fills.
        response_format: "text", "json_object", a type, or a JSON Schema.
        add_special_tokens: whether the tokenizer adds its special tokens.
    """

    logprobs: LogprobsLike | None
    echo: bool | None
    suffix: str | None
    response_format: FormatLike | None
    add_special_tokens: bool | None


@dataclass(frozen=True, slots=True)
class CompletedText(WithExtra):
    """One of the completions.

    Attributes:
        proto: the choice as received.
    """

    proto: CompletionChoice

    @property
    def index(self) -> int:
        """Number of the choice: prompt position x `n` + number within the prompt."""
        return self.proto.index

    @property
    def text(self) -> str:
        """The text."""
        return self.proto.text

    @property
    def finish_reason(self) -> str:
        """Why the text ended, such as "stop" or "length"; empty until it ends."""
        return finish_reason(self.proto)

    @property
    def stop_reason(self) -> str | int | None:
        """The stop string, or the id of the stop token, that ended the text, if one did."""
        return stop_reason(self.proto)

    @property
    def logprobs(self) -> Sequence[CompletionLogprob]:
        """Log probabilities, one entry per token, if requested."""
        return self.proto.logprobs


class Completion(ModelResult[CreateCompletionResponse]):
    """Completions of prompts. Properties of a single choice refer to the first one."""

    @property
    def id(self) -> str:
        """Id of the answer."""
        return self.proto.id

    @property
    def choices(self) -> list[CompletedText]:
        """The completions, prompt by prompt."""
        return [CompletedText(choice) for choice in self.proto.choices]

    @property
    def text(self) -> str:
        """See `CompletedText.text`."""
        return self._first.text

    @property
    def finish_reason(self) -> str:
        """See `CompletedText.finish_reason`."""
        return self._first.finish_reason

    @property
    def stop_reason(self) -> str | int | None:
        """See `CompletedText.stop_reason`."""
        return self._first.stop_reason

    @property
    def logprobs(self) -> Sequence[CompletionLogprob]:
        """See `CompletedText.logprobs`."""
        return self._first.logprobs

    @property
    def _first(self) -> CompletedText:
        choices = self.proto.choices
        return CompletedText(choices[0] if choices else CompletionChoice())


@dataclass(frozen=True, slots=True)
class CompletionEvent(WithExtra):
    """One message of a stream.

    Attributes:
        proto: the message as received.
    """

    proto: StreamCompletionResponse

    @property
    def text(self) -> str:
        """The next piece of the text of the first choice."""
        return "".join(choice.text for choice in self.proto.choices if not choice.index)


class CompletionAccumulator(ChoicesAccumulator[CompletionEvent, Completion]):
    """Adds up the messages of a completion stream.

    Args:
        choices: number of choices requested.
    """

    def __init__(self, choices: int = 1) -> None:
        super().__init__(choices, CreateCompletionResponse, _Choice, CompletionEvent, Completion)


class _Choice:
    """A choice that is assembled piece by piece."""

    def __init__(self, index: int) -> None:
        self._choice = CompletionChoice(index=index)
        self._text = Pieces()

    @property
    def finished(self) -> bool:
        return bool(self._choice.finish_reason)

    def add(self, piece: CompletionChoiceDelta) -> None:
        merge(self._choice, piece, apart=("index", "text"))
        self._text.add(piece.text)

    def whole(self) -> CompletionChoice:
        made = CompletionChoice(text=str(self._text))
        made.MergeFrom(self._choice)
        return made


class Completions(Resource):
    """Text completions."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = CompletionServiceStub(caller.channel)

    def create(self, prompts: Prompts, **options: Unpack[CompletionOptions]) -> Completion:
        """Returns completions of one or several prompts.

            >>> client.completions.create("Once upon a time", max_tokens=4).finish_reason
            'length'

        Args:
            prompts: the texts, or their token ids.
            **options: see `CompletionOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        return self._caller.call(
            self._stub.CreateCompletion, completion_request(prompts, **options), options, Completion
        )

    def stream(
        self, prompts: Prompts, **options: Unpack[CompletionOptions]
    ) -> Stream[CompletionEvent, Completion]:
        """Starts completions that arrive piece by piece.

            >>> with client.completions.stream("Once upon a time", max_tokens=4) as stream:
            ...     stream.final().usage.completion_tokens
            4

        Args:
            prompts: the texts, or their token ids.
            **options: see `CompletionOptions`.
        """
        request = completion_request(prompts, **options)
        return self._caller.stream(
            self._stub.StreamCompletion, request, options, _accumulator(request)
        )


class AsyncCompletions(AsyncResource):
    """Asynchronous counterpart of `Completions`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = CompletionServiceStub(caller.channel)

    async def create(self, prompts: Prompts, **options: Unpack[CompletionOptions]) -> Completion:
        """See `Completions.create`."""
        return await self._caller.call(
            self._stub.CreateCompletion, completion_request(prompts, **options), options, Completion
        )

    def stream(
        self, prompts: Prompts, **options: Unpack[CompletionOptions]
    ) -> AsyncStream[CompletionEvent, Completion]:
        """See `Completions.stream`; iterate over the result with `async for`, without `await`."""
        request = completion_request(prompts, **options)
        return self._caller.stream(
            self._stub.StreamCompletion, request, options, _accumulator(request)
        )


def completion_request(
    prompts: Prompts, **options: Unpack[CompletionOptions]
) -> CreateCompletionRequest:
    """Returns the request message of a completion, for batches and the generated stubs.

    >>> completion_request("Once upon a time", max_tokens=8).sampling.max_tokens
    8

    Raises:
        TypeError: an option does not exist, or its value has the wrong type.
        ValueError: an enum name is unknown, or a number is out of range.
    """
    fields = generation_fields(options)
    return build(CreateCompletionRequest, options, "sampling", prompts=_prompts(prompts), **fields)


def _prompts(given: Prompts) -> list[Prompt]:
    if isinstance(given, str | Prompt) or (given and isinstance(given[0], int)):
        return [_prompt(given)]
    return [_prompt(one) for one in given]


def _prompt(given: object) -> Prompt:
    if isinstance(given, Prompt):
        return given
    if isinstance(given, str):
        return Prompt(text=given)
    ids: Sequence[int] = given  # type: ignore[assignment]
    return Prompt(token_ids=TokenIds(ids=ids))


def _accumulator(request: CreateCompletionRequest) -> CompletionAccumulator:
    return CompletionAccumulator(len(request.prompts) * max(1, request.sampling.n))
