"""Generation from token ids to token ids, without a template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.generation import LogprobsLike, as_logprobs
from penstock._base.json_documents import WithExtra
from penstock._base.merge import ChoicesAccumulator, Pieces, merge
from penstock._base.option_docs import documented
from penstock._base.options import (
    JsonObject,
    ModelOptions,
    SamplingOptions,
    StreamedOptions,
    StructuredOptions,
    build,
)
from penstock._base.result import ModelResult, finish_reason, stop_reason
from penstock._base.stream import AsyncStream, Stream
from penstock.v1.common_pb2 import TokenIds
from penstock.v1.generation_pb2 import (
    GenerateChoice,
    GenerateChoiceDelta,
    GenerateLogprob,
    GenerateRequest,
    GenerateResponse,
    MultimodalFeatures,
    ParseContext,
    PromptMedia,
    StreamGenerateResponse,
)
from penstock.v1.generation_pb2_grpc import GenerationServiceStub
from penstock.v1.message_pb2 import ChatMessage


@documented
class GenerationOptions(
    ModelOptions, SamplingOptions, StructuredOptions, StreamedOptions, total=False
):
    """Options of a generation; see `GenerateRequest` in `penstock.v1`.

    Attributes:
        output_mode: what the answer contains besides token ids: "tokens" (nothing), "text" or
            "derender" (the assistant message).
        logprobs: True to return log probabilities, or the number of alternatives per position.
        detokenize: whether the upstream converts the output to text; default: true.
        reasoning_ended: whether the reasoning has ended before the first generated token.
        features: multimodal inputs in processed form, as a renderer returns them.
        media: multimodal inputs that the upstream fetches and processes.
        parse_context: parts of the chat request, for the mode "derender".
        prompt_logprob_token_ids: token ids to score at positions of the prompt, a list for each.
        prompt_logprob_start: first position of the prompt to score.
        trace_decode_token_ids: token ids to emit instead of sampled ones.
        skip_reading_prefix_cache: whether the prompt is computed even if it is cached.
        reasoning_parser_kwargs: settings of the upstream's reasoning parser.
        extra_sampling_params: sampling parameters of the upstream that have no option.
    """

    output_mode: str | None
    logprobs: LogprobsLike | None
    detokenize: bool | None
    reasoning_ended: bool | None
    features: MultimodalFeatures | JsonObject | None
    media: Sequence[PromptMedia] | None
    parse_context: ParseContext | JsonObject | None
    prompt_logprob_token_ids: Sequence[Sequence[int]] | None
    prompt_logprob_start: int | None
    trace_decode_token_ids: Sequence[int] | None
    skip_reading_prefix_cache: bool | None
    reasoning_parser_kwargs: JsonObject | None
    extra_sampling_params: JsonObject | None


@dataclass(frozen=True, slots=True)
class GeneratedTokens(WithExtra):
    """One of the choices.

    Attributes:
        proto: the choice as received.
    """

    proto: GenerateChoice

    @property
    def index(self) -> int:
        """Number of the choice."""
        return self.proto.index

    @property
    def token_ids(self) -> Sequence[int]:
        """The generated token ids."""
        return self.proto.token_ids

    @property
    def text(self) -> str:
        """The text; empty unless `output_mode` is "text"."""
        return self.proto.text

    @property
    def message(self) -> ChatMessage:
        """The assistant message; empty unless `output_mode` is "derender"."""
        return self.proto.message

    @property
    def finish_reason(self) -> str:
        """Why the choice ended, such as "stop" or "length"; empty until it ends."""
        return finish_reason(self.proto)

    @property
    def stop_reason(self) -> str | int | None:
        """The stop string, or the id of the stop token, that ended the choice, if one did."""
        return stop_reason(self.proto)

    @property
    def logprobs(self) -> Sequence[GenerateLogprob]:
        """Log probabilities, one entry per token, if requested."""
        return self.proto.logprobs


class Generation(ModelResult[GenerateResponse]):
    """Continuations of a prompt. Properties of a single choice refer to the first one."""

    @property
    def id(self) -> str:
        """Id of the answer."""
        return self.proto.id

    @property
    def choices(self) -> list[GeneratedTokens]:
        """The choices."""
        return [GeneratedTokens(choice) for choice in self.proto.choices]

    @property
    def prompt_token_ids(self) -> Sequence[int]:
        """The prompt's token ids, if requested with `engine={"return_token_ids": True}`."""
        return self.proto.prompt_token_ids

    @property
    def token_ids(self) -> Sequence[int]:
        """See `GeneratedTokens.token_ids`."""
        return self._first.token_ids

    @property
    def text(self) -> str:
        """See `GeneratedTokens.text`."""
        return self._first.text

    @property
    def message(self) -> ChatMessage:
        """See `GeneratedTokens.message`."""
        return self._first.message

    @property
    def finish_reason(self) -> str:
        """See `GeneratedTokens.finish_reason`."""
        return self._first.finish_reason

    @property
    def stop_reason(self) -> str | int | None:
        """See `GeneratedTokens.stop_reason`."""
        return self._first.stop_reason

    @property
    def logprobs(self) -> Sequence[GenerateLogprob]:
        """See `GeneratedTokens.logprobs`."""
        return self._first.logprobs

    @property
    def _first(self) -> GeneratedTokens:
        choices = self.proto.choices
        return GeneratedTokens(choices[0] if choices else GenerateChoice())


@dataclass(frozen=True, slots=True)
class GenerationEvent(WithExtra):
    """One message of a stream.

    Attributes:
        proto: the message as received.
    """

    proto: StreamGenerateResponse

    @property
    def token_ids(self) -> Sequence[int]:
        """The next token ids of the first choice."""
        first = (choice for choice in self.proto.choices if not choice.index)
        return [token_id for choice in first for token_id in choice.token_ids]

    @property
    def text(self) -> str:
        """The next piece of the text of the first choice; empty in the mode "tokens"."""
        return "".join(choice.text for choice in self.proto.choices if not choice.index)


class GenerationAccumulator(ChoicesAccumulator[GenerationEvent, Generation]):
    """Adds up the messages of a generation stream.

    Args:
        choices: number of choices requested.
    """

    def __init__(self, choices: int = 1) -> None:
        super().__init__(choices, GenerateResponse, _Choice, GenerationEvent, Generation)


class _Choice:
    """A choice that is assembled piece by piece."""

    def __init__(self, index: int) -> None:
        self._choice = GenerateChoice(index=index)
        self._text = Pieces()

    @property
    def finished(self) -> bool:
        return bool(self._choice.finish_reason)

    def add(self, piece: GenerateChoiceDelta) -> None:
        merge(self._choice, piece, apart=("index", "text"))
        self._text.add(piece.text)

    def whole(self) -> GenerateChoice:
        made = GenerateChoice(text=str(self._text))
        made.MergeFrom(self._choice)
        return made


class Generations(Resource):
    """Generation from token ids."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = GenerationServiceStub(caller.channel)

    def create(self, token_ids: Sequence[int], **options: Unpack[GenerationOptions]) -> Generation:
        """Returns continuations of a prompt of token ids.

            >>> prompt = client.tokenize([user("Say hello.")]).ids
            >>> answer = client.generation.create(prompt, output_mode="text", temperature=0)
            >>> answer.text
            'Hello! How can I help you today?'
            >>> len(answer.token_ids) == answer.usage.completion_tokens
            True

        Args:
            token_ids: the prompt.
            **options: see `GenerationOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = _request(token_ids, options)
        return self._caller.call(self._stub.Generate, request, options, Generation)

    def stream(
        self, token_ids: Sequence[int], **options: Unpack[GenerationOptions]
    ) -> Stream[GenerationEvent, Generation]:
        """Starts continuations that arrive piece by piece.

            >>> prompt = client.tokenize([user("Say hello.")]).ids
            >>> with client.generation.stream(prompt, max_tokens=3) as stream:
            ...     [len(event.token_ids) for event in stream if event.token_ids]
            [1, 1, 1]

        Args:
            token_ids: the prompt.
            **options: see `GenerationOptions`.
        """
        request = _request(token_ids, options)
        return self._caller.stream(
            self._stub.StreamGenerate, request, options, _accumulator(request)
        )


class AsyncGenerations(AsyncResource):
    """Asynchronous counterpart of `Generations`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = GenerationServiceStub(caller.channel)

    async def create(
        self, token_ids: Sequence[int], **options: Unpack[GenerationOptions]
    ) -> Generation:
        """See `Generations.create`."""
        request = _request(token_ids, options)
        return await self._caller.call(self._stub.Generate, request, options, Generation)

    def stream(
        self, token_ids: Sequence[int], **options: Unpack[GenerationOptions]
    ) -> AsyncStream[GenerationEvent, Generation]:
        """See `Generations.stream`; iterate over the result with `async for`, without `await`."""
        request = _request(token_ids, options)
        return self._caller.stream(
            self._stub.StreamGenerate, request, options, _accumulator(request)
        )


def _request(token_ids: Sequence[int], options: GenerationOptions) -> GenerateRequest:
    scored = options.get("prompt_logprob_token_ids")
    return build(
        GenerateRequest,
        options,
        "sampling",
        token_ids=token_ids,
        logprobs=as_logprobs(options.get("logprobs")),
        prompt_logprob_token_ids=[TokenIds(ids=ids) for ids in scored or ()],
    )


def _accumulator(request: GenerateRequest) -> GenerationAccumulator:
    return GenerationAccumulator(max(1, request.sampling.n))
