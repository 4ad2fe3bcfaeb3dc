"""GenerationService."""

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from penstock.v1.common_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    EngineOptions,
    LogprobOptions,
    SamplingParams,
    StreamOptions,
    StructuredOutputs,
)
from penstock.v1.generation_pb2 import (
    GENERATE_OUTPUT_MODE_TEXT,
    GENERATE_OUTPUT_MODE_TOKENS,
    GenerateChoice,
    GenerateRequest,
    GenerateResponse,
    StreamGenerateResponse,
)
from penstock.v1.generation_pb2_grpc import GenerationServiceStub
from penstock.v1.tokenization_pb2 import ChatTokenizeInput, DetokenizeRequest, TokenizeRequest
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub

from .chats import said
from .conftest import Target
from .refusals import refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
HELLO = "Hello! How can I help you today?"
OPTIONS: dict[str, Any] = {"temperature": 0, "max_tokens": 3}


@pytest.fixture
def stub(target: Target) -> Any:
    return GenerationServiceStub(target.channel)


async def rendered(target: Target) -> Sequence[int]:
    """Returns the token ids of a conversation; no fixture, because routers may refuse it."""
    chat = ChatTokenizeInput(messages=[said("Say hello.")])
    answer = await TokenizationServiceStub(target.channel).Tokenize(TokenizeRequest(chat=chat))
    ids: Sequence[int] = answer.token_ids
    return ids


def asking(prompt: Sequence[int], *, sampling: Any = OPTIONS, **fields: Any) -> GenerateRequest:
    return GenerateRequest(token_ids=prompt, sampling=SamplingParams(**sampling), **fields)


async def generated(stub: Any, request: GenerateRequest) -> GenerateResponse:
    """Returns an answer, after the checks that apply to every answer."""
    answer: GenerateResponse = await stub.Generate(request)
    assert answer.id.startswith("generate-tokens-")
    assert answer.model == "tiny-chat"
    assert answer.create_time.seconds
    assert answer.usage.prompt_tokens == len(request.token_ids)
    assert answer.usage.completion_tokens == sum(len(one.token_ids) for one in answer.choices)
    assert [one.index for one in answer.choices] == list(range(max(1, request.sampling.n)))
    for choice in answer.choices:
        assert choice.finish_reason
        assert choice.weight_versions[-1].end == len(choice.token_ids)
        assert not choice.HasField("extra")
    assert not answer.HasField("extra")
    return answer


async def streamed(stub: Any, request: GenerateRequest) -> list[StreamGenerateResponse]:
    """Returns the messages of a stream, after the checks that apply to every stream."""
    messages = [message async for message in stub.StreamGenerate(request)]
    assert len({message.id for message in messages}) == 1
    assert messages[-1].HasField("usage")
    assert not any(message.HasField("extra") for message in messages)
    return messages


def joined(messages: Sequence[StreamGenerateResponse], index: int = 0) -> GenerateChoice:
    """Returns a choice of a stream in one piece."""
    whole = GenerateChoice()
    pieces = [one for message in messages for one in message.choices if one.index == index]
    for piece in pieces:
        whole.MergeFrom(GenerateChoice.FromString(piece.SerializeToString()))
    whole.text = "".join(piece.text for piece in pieces)
    return whole


async def test_tokens(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    answer = await generated(stub, asking(prompt))
    [choice] = answer.choices
    assert answer.output_mode == GENERATE_OUTPUT_MODE_TOKENS
    assert choice.finish_reason == FINISH_REASON_LENGTH
    assert len(choice.token_ids) == 3
    assert not choice.text
    assert not choice.logprobs
    assert not answer.prompt_token_ids


async def test_text(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    request = asking(prompt, sampling={"temperature": 0}, output_mode=GENERATE_OUTPUT_MODE_TEXT)
    [choice] = (await generated(stub, request)).choices
    assert choice.text == HELLO
    assert choice.finish_reason == FINISH_REASON_STOP
    [same] = (await generated(stub, asking(prompt, sampling={"temperature": 0}))).choices
    assert list(same.token_ids) == list(choice.token_ids)


@pytest.mark.parametrize("mode", [GENERATE_OUTPUT_MODE_TOKENS, GENERATE_OUTPUT_MODE_TEXT])
async def test_a_stream_adds_up_to_the_answer(stub: Any, target: Target, mode: Any) -> None:
    prompt = await rendered(target)
    request = asking(
        prompt,
        output_mode=mode,
        logprobs=LogprobOptions(top_logprobs=2),
        engine=EngineOptions(return_token_ids=True),
    )
    whole = await generated(stub, request)
    messages = await streamed(stub, request)
    assert joined(messages) == whole.choices[0]
    assert messages[-1].usage.completion_tokens == 3
    assert list(messages[0].prompt_token_ids) == list(whole.prompt_token_ids) == list(prompt)
    assert not any(message.prompt_token_ids for message in messages[1:])


async def test_ranks(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    request = asking(prompt, logprobs=LogprobOptions(top_logprobs=2))
    [choice] = (await generated(stub, request)).choices
    assert [one.token_id for one in choice.logprobs] == list(choice.token_ids)
    for one in choice.logprobs:
        assert one.rank == 1
        assert one.top_logprobs[0].token_id == one.token_id
        assert one.top_logprobs[0].logprob == one.logprob <= 0
        assert [top.rank for top in one.top_logprobs] == [1, 2]
        assert not one.token


async def test_log_probabilities_of_texts(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    request = asking(prompt, output_mode=GENERATE_OUTPUT_MODE_TEXT, logprobs=LogprobOptions())
    [choice] = (await generated(stub, request)).choices
    assert "".join(one.token for one in choice.logprobs) == choice.text
    assert b"".join(one.bytes for one in choice.logprobs).decode() == choice.text
    assert not any(one.HasField("token_id") or one.HasField("rank") for one in choice.logprobs)


async def test_log_probabilities_of_the_prompt(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    request = asking(prompt, engine=EngineOptions(prompt_logprobs=1))
    positions = (await generated(stub, request)).prompt_logprobs
    assert len(positions) == len(prompt)
    assert not positions[0].candidates
    assert all(
        token in one.candidates for token, one in zip(prompt[1:], positions[1:], strict=True)
    )


async def test_several_choices(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    sampling = {"n": 2, "temperature": 0.5, "seed": 1, "max_tokens": 3}
    answer = await generated(stub, asking(prompt, sampling=sampling))
    messages = await streamed(stub, asking(prompt, sampling=sampling))
    assert [len(joined(messages, index).token_ids) for index in (0, 1)] == [
        len(one.token_ids) for one in answer.choices
    ]
    assert messages[-1].usage == answer.usage or messages[-1].usage.completion_tokens


async def test_counts_in_every_message(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    options = StreamOptions(continuous_usage_stats=True)
    messages = await streamed(stub, asking(prompt, stream_options=options))
    counts = [message.usage.completion_tokens for message in messages]
    # On a busy machine, one message has the tokens of two.
    assert (counts, counts[-1]) == (sorted(counts), 3)
    assert counts[0] > 0


async def test_stop_token(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    [whole] = (await generated(stub, asking(prompt))).choices
    stop = whole.token_ids[1]
    sampling = {**OPTIONS, "stop_token_ids": [stop]}
    [choice] = (await generated(stub, asking(prompt, sampling=sampling))).choices
    assert choice.finish_reason == FINISH_REASON_STOP
    assert choice.stop_token_id == stop
    assert list(choice.token_ids) == list(whole.token_ids)[:2]


async def test_stop_string(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    sampling = {"temperature": 0, "stop": ["How"]}
    request = asking(prompt, sampling=sampling, output_mode=GENERATE_OUTPUT_MODE_TEXT)
    [choice] = (await generated(stub, request)).choices
    assert choice.stop_string == "How"
    assert choice.text == "Hello! "
    assert joined(await streamed(stub, request)).text == "Hello! "


async def test_structured_output(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    choices = StructuredOutputs.Choices(choices=["yes", "no"])
    request = asking(
        prompt,
        sampling={"temperature": 0},
        output_mode=GENERATE_OUTPUT_MODE_TEXT,
        structured_outputs=StructuredOutputs(choice=choices),
    )
    [choice] = (await generated(stub, request)).choices
    assert choice.text in ("yes", "no")


async def test_the_next_turn_begins_with_the_same_ids(stub: Any, target: Target) -> None:
    prompt = await rendered(target)
    [choice] = (await generated(stub, asking(prompt))).choices
    whole = await generated(stub, asking([*prompt, *choice.token_ids]))
    assert whole.usage.prompt_tokens == len(prompt) + 3
    tokens = DetokenizeRequest(token_ids=choice.token_ids)
    assert (await TokenizationServiceStub(target.channel).Detokenize(tokens)).text


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"sampling": {"temperature": 9}}, "sampling.temperature"),
        ({"sampling": {"max_tokens": 0}}, "sampling.max_tokens"),
        ({"logprobs": LogprobOptions(top_logprobs=21)}, "logprobs.top_logprobs"),
        ({"logprobs": LogprobOptions(top_logprobs=1, token_ids=[5, 6])}, "logprobs.token_ids"),
    ],
)
async def test_value_out_of_range(stub: Any, fields: dict[str, Any], path: str) -> None:
    await generated(stub, asking([5]))
    refusal = await refused(stub.Generate(asking([5], **fields)))
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")
    assert refusal.fields == (path,)


async def test_token_outside_the_vocabulary(stub: Any) -> None:
    await generated(stub, asking([5]))
    for call in (stub.Generate(asking([99999])), _all(stub.StreamGenerate(asking([99999])))):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")
        assert "99999" in refusal.message


async def test_too_long(stub: Any) -> None:
    await generated(stub, asking([5]))
    refusal = await refused(stub.Generate(asking([5] * 600)))
    assert (refusal.code, refusal.reason) == (INVALID, "CONTEXT_LENGTH_EXCEEDED")
    assert refusal.metadata["maxModelLen"] == "512"


async def test_unknown_model(stub: Any) -> None:
    await generated(stub, asking([5]))
    refusal = await refused(stub.Generate(asking([5], model="nope")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def _all(call: Any) -> None:
    async for _ in call:
        pass
