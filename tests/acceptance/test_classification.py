"""ClassificationService."""

from typing import Any

import grpc
import pytest

from penstock.v1.classification_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    StreamClassifyRequest,
)
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.common_pb2 import EngineOptions, PoolingOptions

from .conftest import Target
from .refusals import Refusal, refused
from .vectors import LONG, alike, talks, texts, token_ids

pytestmark = pytest.mark.upstream("classify")

LABELS = ("NEGATIVE", "NEUTRAL", "POSITIVE")


@pytest.fixture
def stub(target: Target) -> Any:
    return ClassificationServiceStub(target.channel)


async def classify(stub: Any, inputs: Any, **fields: Any) -> ClassifyResponse:
    """Returns an answer, after the checks that apply to every answer."""
    request = ClassifyRequest(inputs=inputs, **fields)
    answer: ClassifyResponse = await stub.Classify(request)
    assert answer.id.startswith("classify-")
    assert answer.create_time.seconds > 1_600_000_000
    assert [one.index for one in answer.results] == list(range(len(request.inputs)))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    for one in answer.results:
        assert one.num_classes == len(one.probs) == len(LABELS)
        assert one.label == LABELS[max(range(3), key=one.probs.__getitem__)]
    return answer


async def refusal(stub: Any, inputs: Any, **fields: Any) -> Refusal:
    return await refused(stub.Classify(ClassifyRequest(inputs=inputs, **fields)))


async def test_texts(stub: Any, target: Target) -> None:
    answer = await classify(stub, texts("hello", "bye you", "hello", ""), model=target.kind.model)
    assert answer.model == target.kind.model
    probs = [list(one.probs) for one in answer.results]
    assert [sum(one) for one in probs] == pytest.approx([1] * 4, abs=1e-5)
    assert alike(probs[0], probs[2], 1e-5)
    assert probs[0] != probs[1]


async def test_items_of_a_stream(stub: Any) -> None:
    inputs = {f"key {number}": texts(f"text number {number}") for number in range(50)}
    inputs |= {"long": texts(LONG), "several": texts("hello", "bye")}
    sent = (
        StreamClassifyRequest(key=key, request=ClassifyRequest(inputs=one), in_order=True)
        for key, one in inputs.items()
    )
    found = {result.key: result async for result in stub.StreamClassify(sent)}
    assert list(found) == list(inputs)
    for key in ("key 0", "key 33", "several"):
        alone = await classify(stub, inputs[key])
        for one, other in zip(found[key].response.results, alone.results, strict=True):
            assert one.label == other.label
            assert alike(one.probs, other.probs, 1e-4)
    assert found["long"].error.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert {key for key, one in found.items() if one.HasField("error")} == {"long"}


async def test_token_ids(stub: Any) -> None:
    answer = await classify(stub, token_ids([5, 6, 7], [8]))
    assert answer.usage.prompt_tokens == 4
    alone = await classify(stub, token_ids([8]))
    assert alike(answer.results[1].probs, alone.results[0].probs, 1e-5)


async def test_conversation(stub: Any) -> None:
    answer = await classify(stub, talks("hello world"))
    assert len(answer.results) == 1


async def test_several_conversations_are_refused(stub: Any) -> None:
    found = await refusal(stub, talks("hello", "bye"))
    assert (found.reason, found.fields) == ("INVALID_REQUEST", ("inputs[1]",))


async def test_raw_scores(stub: Any) -> None:
    options = PoolingOptions(use_activation=False)
    answer = await classify(stub, texts("hello"), options=options)
    normal = await classify(stub, texts("hello"))
    assert sum(answer.results[0].probs) != pytest.approx(1, abs=1e-3)
    assert answer.results[0].label == normal.results[0].label


async def test_too_long(stub: Any) -> None:
    found = await refusal(stub, texts("short", LONG))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
    )
    options = PoolingOptions(truncate_prompt_tokens=10)
    answer = await classify(stub, texts(LONG), options=options)
    assert answer.usage.prompt_tokens == 10


async def test_engine_options(stub: Any) -> None:
    answer = await classify(stub, texts("x"), engine=EngineOptions(request_id="mine"), user="me")
    assert answer.id.startswith("classify-mine-")


async def test_unknown_model(stub: Any) -> None:
    found = await refusal(stub, texts("x"), model="nope")
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_unknown_token(stub: Any) -> None:
    found = await refusal(stub, token_ids([99_999]))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
