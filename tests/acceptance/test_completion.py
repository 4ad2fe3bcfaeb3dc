"""CompletionService."""

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from penstock.v1.common_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    EngineOptions,
    JsonDocument,
    LogprobOptions,
    SamplingParams,
    StreamOptions,
    StructuredOutputs,
    TokenIds,
)
from penstock.v1.completion_pb2 import (
    CompletionChoice,
    CompletionChoiceDelta,
    CreateCompletionRequest,
    CreateCompletionResponse,
    Prompt,
    StreamCompletionResponse,
)
from penstock.v1.completion_pb2_grpc import CompletionServiceStub
from penstock.v1.message_pb2 import JsonSchemaFormat, ResponseFormat

from .chats import members
from .conftest import Target
from .refusals import Refusal, refused

ONCE = "Once upon a time"
LONG = "hello world " * 300
INVALID = grpc.StatusCode.INVALID_ARGUMENT


class Completions:
    """Text completions by one model."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    async def whole(self, request: CreateCompletionRequest) -> CreateCompletionResponse:
        """Returns a unary answer, after the checks that apply to every answer."""
        answer: CreateCompletionResponse = await self._stub.CreateCompletion(request)
        wanted = len(request.prompts) * max(1, request.sampling.n)
        assert answer.id.startswith("cmpl-")
        assert answer.create_time.seconds > 1_600_000_000
        assert [choice.index for choice in answer.choices] == list(range(wanted))
        assert all(choice.finish_reason for choice in answer.choices)
        usage = answer.usage
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        return answer

    async def stream(self, request: CreateCompletionRequest) -> list[StreamCompletionResponse]:
        """Returns the messages of a stream, which must keep the contract."""
        messages = [message async for message in self._stub.StreamCompletion(request)]
        assert messages[0].model
        assert messages[0].create_time.seconds
        assert len({message.id for message in messages}) == 1
        assert not any(message.model for message in messages[1:])
        assert messages[-1].HasField("usage")
        wanted = len(request.prompts) * max(1, request.sampling.n)
        assert {piece.index for piece in _pieces(messages)} == set(range(wanted))
        for index in range(wanted):
            finishes = [bool(one.finish_reason) for one in _pieces(messages) if one.index == index]
            assert finishes == [False] * (len(finishes) - 1) + [True]
        return messages

    async def both(self, request: CreateCompletionRequest) -> CreateCompletionResponse:
        """Returns the answer, which must be the same from a unary call and from a stream."""
        whole = await self.whole(request)
        messages = await self.stream(request)
        for choice in whole.choices:
            assert _essence(choice) == _essence(_joined(messages, choice.index))
        last = messages[-1].usage
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            assert getattr(last, name) == getattr(whole.usage, name)
        return whole

    async def refused(self, request: CreateCompletionRequest) -> Refusal:
        """Returns the failure, the same of a unary call and of a stream."""
        whole = await refused(self._stub.CreateCompletion(request))
        streamed = await refused(_first(self._stub.StreamCompletion(request)))
        for name in ("code", "reason", "fields", "resource"):
            assert getattr(streamed, name) == getattr(whole, name)
        return whole


@pytest.fixture
def completions(target: Target) -> Completions:
    return Completions(CompletionServiceStub(target.channel))


def asking(
    *prompts: str | Sequence[int], sampling: SamplingParams | None = None, **fields: Any
) -> CreateCompletionRequest:
    """Returns a request to continue prompts at temperature 0."""
    request = CreateCompletionRequest(
        prompts=[
            Prompt(text=one) if isinstance(one, str) else Prompt(token_ids=TokenIds(ids=one))
            for one in prompts
        ],
        sampling=SamplingParams(temperature=0, max_tokens=8, ignore_eos=True),
        **fields,
    )
    if sampling:
        request.sampling.MergeFrom(sampling)
    return request


async def test_text(completions: Completions, target: Target) -> None:
    answer = await completions.both(asking(ONCE, model=target.kind.model))
    assert answer.model == target.kind.model
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason == FINISH_REASON_LENGTH
    assert answer.usage.completion_tokens == 8
    assert not answer.HasField("extra")
    assert not answer.choices[0].HasField("extra")


async def test_sixteen_tokens_by_default(completions: Completions) -> None:
    request = asking(ONCE)
    request.sampling.ClearField("max_tokens")
    assert (await completions.whole(request)).usage.completion_tokens == 16


async def test_token_ids_both_ways(completions: Completions) -> None:
    engine = EngineOptions(return_token_ids=True)
    answer = await completions.both(asking([10, 20, 30], engine=engine))
    assert answer.choices[0].prompt_token_ids == [10, 20, 30]
    assert len(answer.choices[0].token_ids) == 8
    assert answer.usage.prompt_tokens == 3


async def test_choices_go_prompt_by_prompt(completions: Completions) -> None:
    sampling = SamplingParams(n=2, temperature=1, seed=1, max_tokens=2)
    ids = EngineOptions(return_token_ids=True)
    request = asking("Once", "Say hello.", "Hi", sampling=sampling, engine=ids)
    answer = await completions.whole(request)
    prompts = [tuple(choice.prompt_token_ids) for choice in answer.choices]
    assert prompts[0::2] == prompts[1::2]
    assert len(set(prompts)) == 3
    messages = await completions.stream(request)
    streamed = [_joined(messages, index) for index in range(6)]
    assert [tuple(choice.prompt_token_ids) for choice in streamed] == prompts
    assert answer.usage.completion_tokens == 12


async def test_prompts_of_token_ids(completions: Completions) -> None:
    answer = await completions.both(asking([10, 20], [30]))
    assert len(answer.choices) == 2
    assert answer.usage.prompt_tokens == 3


async def test_echo(completions: Completions) -> None:
    answer = await completions.both(asking(ONCE, echo=True))
    plain = await completions.whole(asking(ONCE))
    assert answer.choices[0].text == ONCE + plain.choices[0].text


async def test_logprobs_with_offsets(completions: Completions) -> None:
    answer = await completions.both(asking(ONCE, logprobs=LogprobOptions(top_logprobs=2)))
    [choice] = answer.choices
    assert len(choice.logprobs) == 8
    assert "".join(entry.token for entry in choice.logprobs) == choice.text
    for entry in choice.logprobs:
        assert choice.text[entry.text_offset :].startswith(entry.token)
        assert entry.HasField("logprob")
        assert entry.logprob <= 0
        assert 2 <= len(entry.top_logprobs) <= 3
        assert entry.token in [top.token for top in entry.top_logprobs]


async def test_logprobs_of_an_echoed_prompt(completions: Completions) -> None:
    # Short, because special tokens are not part of the text.
    request = asking(ONCE, echo=True, logprobs=LogprobOptions())
    request.sampling.max_tokens = 4
    [choice] = (await completions.both(request)).choices
    first, *others = choice.logprobs
    assert not first.HasField("logprob")
    assert not first.top_logprobs
    assert first.text_offset == 0
    assert all(entry.HasField("logprob") for entry in others)
    assert "".join(entry.token for entry in choice.logprobs) == choice.text
    assert [entry.text_offset for entry in choice.logprobs] == [
        len("".join(one.token for one in choice.logprobs[:i])) for i in range(len(choice.logprobs))
    ]


async def test_prompt_is_scored_without_completion(completions: Completions) -> None:
    request = asking(ONCE, echo=True, logprobs=LogprobOptions(top_logprobs=1))
    request.sampling.max_tokens = 0
    [choice] = (await completions.whole(request)).choices
    assert choice.text == ONCE
    assert "".join(entry.token for entry in choice.logprobs) == ONCE


async def test_no_logprobs_by_default(completions: Completions) -> None:
    assert not (await completions.both(asking(ONCE))).choices[0].logprobs


async def test_tokens_as_ids(completions: Completions) -> None:
    options = LogprobOptions(top_logprobs=1, tokens_as_token_ids=True)
    request = asking(ONCE, logprobs=options, engine=EngineOptions(return_token_ids=True))
    [choice] = (await completions.whole(request)).choices
    assert [entry.token for entry in choice.logprobs] == [
        f"token_id:{one}" for one in choice.token_ids
    ]


async def test_prompt_logprobs(completions: Completions) -> None:
    engine = EngineOptions(prompt_logprobs=1, return_token_ids=True)
    [choice] = (await completions.whole(asking("Say hello.", engine=engine))).choices
    first, *others = choice.prompt_logprobs
    assert not first.candidates
    assert len(others) == len(choice.prompt_token_ids) - 1 > 0
    for token, position in zip(choice.prompt_token_ids[1:], others, strict=True):
        assert position.candidates[token].rank >= 1
        assert position.candidates[token].decoded_token


async def test_stop_string(completions: Completions) -> None:
    plain = (await completions.whole(asking(ONCE))).choices[0].text
    stop = plain[3:6]
    [choice] = (await completions.both(asking(ONCE, sampling=SamplingParams(stop=[stop])))).choices
    assert choice.text == plain[: plain.index(stop)]
    assert (choice.finish_reason, choice.stop_string) == (FINISH_REASON_STOP, stop)


async def test_structured_outputs(completions: Completions) -> None:
    choices = StructuredOutputs.Choices(choices=["red", "green"])
    request = asking("x", structured_outputs=StructuredOutputs(choice=choices))
    request.sampling.ClearField("ignore_eos")
    assert (await completions.both(request)).choices[0].text in ("red", "green")
    request.structured_outputs.regex = "[0-9]{3}-[a-z]{2}"
    text = (await completions.both(request)).choices[0].text
    assert text[:3].isdigit()
    assert text[3] == "-"


async def test_response_format(completions: Completions) -> None:
    schema = JsonSchemaFormat(name="kind", schema=JsonDocument(json='{"enum": ["a", "b"]}'))
    request = asking("x", response_format=ResponseFormat(json_schema=schema))
    request.sampling.ClearField("ignore_eos")
    assert (await completions.both(request)).choices[0].text in ('"a"', '"b"')


async def test_usage_so_far(completions: Completions) -> None:
    request = asking(ONCE, stream_options=StreamOptions(continuous_usage_stats=True))
    counts = [message.usage.completion_tokens for message in await completions.stream(request)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == 8


async def test_beam_search(completions: Completions) -> None:
    sampling = SamplingParams(n=2, use_beam_search=True)
    request = asking("Once", sampling=sampling)
    assert len((await completions.whole(request)).choices) == 2
    refusal = await refused(_first(completions._stub.StreamCompletion(request)))
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")


async def test_request_id(completions: Completions) -> None:
    engine = EngineOptions(request_id="mine")
    assert (await completions.whole(asking(ONCE, engine=engine))).id.startswith("cmpl-mine-")


async def test_an_unknown_parameter_passes(completions: Completions) -> None:
    assert (await completions.both(asking(ONCE, extra_body=members(new_flag=1)))).choices


REJECTED = {
    "suffix": (asking(ONCE, suffix="the end"), "suffix"),
    "too many logprobs": (
        asking(ONCE, logprobs=LogprobOptions(top_logprobs=99)),
        "logprobs.top_logprobs",
    ),
    "embeddings": (CreateCompletionRequest(prompts=[Prompt(embeds=b"tensor")]), "prompts"),
    "temperature": (asking(ONCE, sampling=SamplingParams(temperature=9)), "sampling.temperature"),
    "too many prompts": (asking(*(["x"] * 1025)), "prompts"),
    "no text": (asking(""), "prompts"),
}


@pytest.mark.parametrize(("request_", "field"), REJECTED.values(), ids=REJECTED)
async def test_rejected(
    completions: Completions, request_: CreateCompletionRequest, field: str
) -> None:
    refusal = await completions.refused(request_)
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")
    assert refusal.fields == (field,)


async def test_unknown_token(completions: Completions) -> None:
    refusal = await completions.refused(asking([99_999]))
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")


async def test_too_long(completions: Completions) -> None:
    refusal = await completions.refused(asking("short", LONG))
    assert (refusal.code, refusal.reason) == (INVALID, "CONTEXT_LENGTH_EXCEEDED")
    assert refusal.metadata["maxModelLen"] == "512"
    cut = asking(LONG, sampling=SamplingParams(truncate_prompt_tokens=10))
    assert (await completions.both(cut)).usage.prompt_tokens == 10


async def test_grammar_that_cannot_be_compiled(completions: Completions) -> None:
    schema = JsonSchemaFormat(name="x", schema=JsonDocument(json='{"type": "nonsense"}'))
    request = asking("x", "y", response_format=ResponseFormat(json_schema=schema))
    refusal = await completions.refused(request)
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")


async def test_prompt_logprobs_are_not_streamed(completions: Completions) -> None:
    request = asking(ONCE, engine=EngineOptions(prompt_logprobs=1))
    refusal = await refused(_first(completions._stub.StreamCompletion(request)))
    assert (refusal.code, refusal.fields) == (INVALID, ("engine.prompt_logprobs",))


async def test_unknown_model(completions: Completions) -> None:
    refusal = await completions.refused(asking(ONCE, model="nope"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert refusal.resource == "nope"


@pytest.mark.upstream("rerank")
async def test_a_model_without_completions(completions: Completions) -> None:
    refusal = await completions.refused(asking(ONCE))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.reason == "OPERATION_NOT_SUPPORTED"
    assert refusal.metadata["path"] == "/v1/completions"


async def _first(stream: Any) -> Any:
    async for message in stream:
        return message
    return None


def _pieces(messages: Sequence[StreamCompletionResponse]) -> list[CompletionChoiceDelta]:
    return [piece for message in messages for piece in message.choices]


def _joined(messages: Sequence[StreamCompletionResponse], index: int) -> CompletionChoice:
    """Joins the deltas of a choice, as the contract describes."""
    choice = CompletionChoice(index=index)
    for piece in _pieces(messages):
        if piece.index == index:
            choice.text += piece.text
            choice.logprobs.extend(piece.logprobs)
            choice.token_ids.extend(piece.token_ids)
            choice.prompt_token_ids.extend(piece.prompt_token_ids)
            for name in ("finish_reason", "native_finish_reason", "stop_string", "stop_token_id"):
                if value := getattr(piece, name):
                    setattr(choice, name, value)
    return choice


def _essence(choice: CompletionChoice) -> Any:
    """Returns the parts of a choice that are the same in answers and streams."""
    return {
        "text": choice.text,
        "finish": (choice.finish_reason, choice.native_finish_reason),
        "stop": (choice.stop_string, choice.stop_token_id),
        "token_ids": list(choice.token_ids),
        "tokens": [(entry.token, entry.text_offset) for entry in choice.logprobs],
    }
