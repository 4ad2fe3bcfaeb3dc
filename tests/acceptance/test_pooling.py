"""PoolingService."""

from typing import Any

import grpc
import pytest
from documents import document

from penstock.v1 import pooling_pb2
from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.common_pb2 import PoolingOptions
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.pooling_pb2 import PoolRequest, PoolResponse
from penstock.v1.pooling_pb2_grpc import PoolingServiceStub

from .conftest import Target
from .refusals import Refusal, refused
from .vectors import LONG, PRECISION, alike, length, read, talks, texts, token_ids, unpacked

pytestmark = pytest.mark.upstream("embed")

LENGTH = 64


@pytest.fixture
def stub(target: Target) -> Any:
    return PoolingServiceStub(target.channel)


async def pool(stub: Any, inputs: Any, **fields: Any) -> PoolResponse:
    """Returns an answer, after the checks that apply to every answer."""
    request = PoolRequest(inputs=inputs, **fields)
    answer: PoolResponse = await stub.Pool(request)
    assert answer.id.startswith("pool")
    assert answer.create_time.seconds > 1_600_000_000
    assert [one.index for one in answer.results] == list(range(len(request.inputs)))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert not answer.HasField("plugin_data")
    assert not answer.HasField("extra")
    return answer


async def refusal(stub: Any, inputs: Any, **fields: Any) -> Refusal:
    return await refused(stub.Pool(PoolRequest(inputs=inputs, **fields)))


@pytest.mark.parametrize("task", ["POOLING_TASK_UNSPECIFIED", "POOLING_TASK_EMBED"])
async def test_embeddings(stub: Any, target: Target, task: Any) -> None:
    inputs = texts("hello world", "bye", "")
    answer = await pool(stub, inputs, task=task, model=target.kind.model)
    assert answer.model == target.kind.model
    embeddings: Any = EmbeddingServiceStub(target.channel)
    same = await embeddings.CreateEmbeddings(CreateEmbeddingsRequest(inputs=inputs))
    for result, embedding in zip(answer.results, same.embeddings, strict=True):
        assert alike(result.float_vector.values, embedding.float_vector.values, 1e-5)


@pytest.mark.parametrize("dtype", PRECISION)
async def test_packed(stub: Any, dtype: Any) -> None:
    inputs = token_ids([5, 6, 7], [8])
    exact = await pool(stub, inputs)
    answer = await pool(stub, inputs, dtype=dtype)
    for packed, floats in zip(answer.results, exact.results, strict=True):
        assert packed.packed_vector.dimensions == LENGTH
        assert packed.packed_vector.dtype == dtype
        assert alike(unpacked(packed.packed_vector), floats.float_vector.values, PRECISION[dtype])


@pytest.mark.upstream("classify")
async def test_classes(stub: Any, target: Target) -> None:
    inputs = texts("hello", "bye")
    answer = await pool(stub, inputs, task=pooling_pb2.POOLING_TASK_CLASSIFY)
    classification: Any = ClassificationServiceStub(target.channel)
    same = await classification.Classify(ClassifyRequest(inputs=inputs))
    for result, classes in zip(answer.results, same.results, strict=True):
        assert alike(result.float_vector.values, classes.probs, 1e-5)


async def test_conversation(stub: Any) -> None:
    answer = await pool(stub, talks("hello world"))
    assert len(answer.results[0].float_vector.values) == LENGTH
    found = await refusal(stub, talks("hello", "bye"))
    assert (found.reason, found.fields) == ("INVALID_REQUEST", ("inputs[1]",))


@pytest.mark.upstream("token-embed")
async def test_vectors_per_token(stub: Any) -> None:
    answer = await pool(stub, token_ids([5, 6, 7], [8]))
    rows = [[list(row.values) for row in one.multi_vector.vectors] for one in answer.results]
    assert [len(one) for one in rows] == [3, 1]
    assert {len(row) for one in rows for row in one} == {LENGTH}
    assert length(rows[0][0]) == pytest.approx(1, abs=1e-5)
    raw = await pool(stub, token_ids([8]), options=PoolingOptions(use_activation=False))
    assert length(raw.results[0].multi_vector.vectors[0].values) != pytest.approx(1, abs=1e-2)


@pytest.mark.upstream("token-embed")
@pytest.mark.parametrize("dtype", PRECISION)
async def test_packed_vectors_per_token(stub: Any, dtype: Any) -> None:
    inputs = token_ids([5, 6, 7], [8])
    exact = await pool(stub, inputs, task=pooling_pb2.POOLING_TASK_TOKEN_EMBED)
    answer = await pool(stub, inputs, dtype=dtype)
    for result, floats in zip(answer.results, exact.results, strict=True):
        packed = result.packed_multi_vector
        flat = [value for row in floats.multi_vector.vectors for value in row.values]
        assert (packed.dtype, packed.dimensions) == (dtype, LENGTH)
        assert packed.rows == len(floats.multi_vector.vectors)
        assert alike(read(packed.dtype, packed.data), flat, PRECISION[dtype])


@pytest.mark.upstream("token-embed")
async def test_more_inputs_than_shapes_fit_a_header(stub: Any) -> None:
    answer = await pool(stub, texts(*["hello world"] * 600))
    rows = {len(one.multi_vector.vectors) for one in answer.results}
    (few,) = (await pool(stub, texts("hello world"))).results
    assert rows == {len(few.multi_vector.vectors)}


@pytest.mark.parametrize(
    "task", ["POOLING_TASK_CLASSIFY", "POOLING_TASK_TOKEN_EMBED", "POOLING_TASK_PLUGIN"]
)
async def test_another_task(stub: Any, task: Any) -> None:
    found = await refusal(stub, texts("x"), task=task)
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert found.fields == ("task",)


async def test_missing_plugin(stub: Any) -> None:
    found = await refusal(stub, [], plugin_data=document({"x": 1}))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert "plugin" in found.message


async def test_too_long(stub: Any) -> None:
    found = await refusal(stub, texts("short", LONG))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
    )


async def test_unknown_model(stub: Any) -> None:
    found = await refusal(stub, texts("x"), model="nope")
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


@pytest.mark.upstream("chat")
async def test_on_a_model_that_generates(stub: Any) -> None:
    found = await refusal(stub, texts("x"))
    assert (found.code, found.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
    )
    assert found.metadata["path"] == "/pooling"
