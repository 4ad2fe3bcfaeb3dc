"""EmbeddingService."""

from typing import Any

import grpc
import pytest
from conftest import Serve
from documents import document
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.channel import open_async_channel
from penstock.v1 import common_pb2, model_pb2
from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.common_pb2 import EngineOptions, PoolingOptions
from penstock.v1.embedding_pb2 import (
    CreateEmbeddingsRequest,
    CreateEmbeddingsResponse,
    StreamEmbeddingsRequest,
    StreamEmbeddingsResponse,
)
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.model_pb2_grpc import ModelServiceStub

from .chats import asking
from .conftest import Target
from .refusals import Refusal, refused
from .vectors import LONG, PRECISION, alike, length, talks, texts, token_ids, unpacked

pytestmark = pytest.mark.upstream("embed")

LENGTH = 64
LIMIT = 256


@pytest.fixture
def stub(target: Target) -> Any:
    return EmbeddingServiceStub(target.channel)


async def embed(stub: Any, inputs: Any, **fields: Any) -> CreateEmbeddingsResponse:
    """Returns an answer, after the checks that apply to every answer."""
    request = CreateEmbeddingsRequest(inputs=inputs, **fields)
    answer: CreateEmbeddingsResponse = await stub.CreateEmbeddings(request)
    assert answer.id.startswith("embd-")
    assert answer.create_time.seconds > 1_600_000_000
    assert [one.index for one in answer.embeddings] == list(range(len(request.inputs)))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert answer.usage.completion_tokens == 0
    return answer


async def vectors(stub: Any, inputs: Any, **fields: Any) -> list[list[float]]:
    """Returns the vector of each input, in floats."""
    answer = await embed(stub, inputs, **fields)
    assert {one.WhichOneof("vector") for one in answer.embeddings} == {"float_vector"}
    return [list(one.float_vector.values) for one in answer.embeddings]


async def refusal(stub: Any, inputs: Any, **fields: Any) -> Refusal:
    return await refused(stub.CreateEmbeddings(CreateEmbeddingsRequest(inputs=inputs, **fields)))


async def test_texts(stub: Any, target: Target) -> None:
    answer = await embed(stub, texts("hello world", "bye", ""), model=target.kind.model)
    assert answer.model == target.kind.model
    assert not answer.HasField("extra")
    found = [list(one.float_vector.values) for one in answer.embeddings]
    assert [len(vector) for vector in found] == [LENGTH] * 3
    assert [length(vector) for vector in found] == pytest.approx([1, 1, 1], abs=1e-5)
    assert found[0] != found[1] != found[2]


async def test_a_text_has_one_vector(stub: Any) -> None:
    once, between, again = await vectors(stub, texts("hello world", "bye", "hello world"))
    (alone,) = await vectors(stub, texts("hello world"))
    assert alike(once, again, 1e-5)
    assert alike(once, alone, 1e-5)
    assert not alike(once, between, 1e-2)


async def stream(
    stub: Any, inputs: dict[str, Any], **fields: Any
) -> dict[str, StreamEmbeddingsResponse]:
    """Returns the result of each item of a stream, by its key."""
    sent = [
        StreamEmbeddingsRequest(key=key, request=CreateEmbeddingsRequest(inputs=one), **fields)
        for key, one in inputs.items()
    ]
    return {result.key: result async for result in stub.StreamEmbeddings(iter(sent))}


async def test_items_of_a_stream(stub: Any) -> None:
    words = {f"key {number}": f"text number {number}" for number in range(100)}
    found = await stream(stub, {key: texts(text) for key, text in words.items()}, in_order=True)
    assert list(found) == list(words)
    assert [one.index for one in found.values()] == list(range(100))
    for key in ("key 0", "key 57", "key 99"):
        (alone,) = await vectors(stub, texts(words[key]))
        (embedding,) = found[key].response.embeddings
        assert alike(list(embedding.float_vector.values), alone, 1e-5)
    counted = (await embed(stub, texts(*words.values()))).usage.prompt_tokens
    results = found.values()
    used = (one.shared_usage.prompt_tokens + one.response.usage.prompt_tokens for one in results)
    assert sum(used) == counted


async def test_an_item_that_is_refused_fails_alone(stub: Any) -> None:
    inputs = {"a": texts("hello"), "long": texts("word " * 400), "c": texts("bye")}
    found = await stream(stub, inputs)
    expected = await refusal(stub, inputs["long"])
    assert found["a"].response.embeddings
    assert found["c"].response.embeddings
    error = found["long"].error
    assert (error.reason, error.message) == (expected.reason, expected.message)
    assert error.reason == "CONTEXT_LENGTH_EXCEEDED"


async def test_kinds_of_items_in_one_stream(stub: Any) -> None:
    inputs = {"text": texts("hello world"), "ids": token_ids([5, 6, 7]), "two": texts("a", "b")}
    found = await stream(stub, inputs)
    assert {key: len(one.response.embeddings) for key, one in found.items()} == {
        "text": 1,
        "ids": 1,
        "two": 2,
    }


async def test_order_of_a_large_batch(stub: Any) -> None:
    words = [f"text number {number}" for number in range(300)]
    found = await vectors(stub, texts(*words))
    for number in (0, 1, 150, 299):
        (alone,) = await vectors(stub, texts(words[number]))
        assert alike(found[number], alone, 1e-5)


async def test_token_ids(stub: Any) -> None:
    one, two = await vectors(stub, token_ids([5, 6, 7], [8]))
    (alone,) = await vectors(stub, token_ids([8]))
    assert alike(two, alone, 1e-5)
    assert not alike(one, two, 1e-2)
    answer = await embed(stub, token_ids([5, 6, 7], [8]))
    assert answer.usage.prompt_tokens == 4


async def test_conversations(stub: Any) -> None:
    one, two = await vectors(stub, talks("hello world", "bye"))
    (alone,) = await vectors(stub, talks("bye"))
    assert alike(two, alone, 1e-5)
    assert not alike(one, two, 1e-2)


@pytest.mark.parametrize("dtype", PRECISION)
async def test_number_formats(stub: Any, dtype: Any) -> None:
    inputs = texts("hello world", "bye")
    floats = await vectors(stub, inputs, dtype=common_pb2.VECTOR_DTYPE_FLOAT32)
    answer = await embed(stub, inputs, dtype=dtype)
    for embedding, exact in zip(answer.embeddings, floats, strict=True):
        assert embedding.packed_vector.dtype == dtype
        assert embedding.packed_vector.dimensions == LENGTH
        assert alike(unpacked(embedding.packed_vector), exact, PRECISION[dtype])


async def test_without_activation(stub: Any) -> None:
    (normal,) = await vectors(stub, texts("hello"))
    (raw,) = await vectors(stub, texts("hello"), options=PoolingOptions(use_activation=False))
    assert length(raw) != pytest.approx(1, abs=1e-2)
    assert alike([value / length(raw) for value in raw], normal, 1e-5)


async def test_without_special_tokens(stub: Any) -> None:
    plain = await embed(stub, texts("hello"), options=PoolingOptions(add_special_tokens=False))
    assert (await embed(stub, texts("hello"))).usage.prompt_tokens > plain.usage.prompt_tokens


async def test_truncation(stub: Any) -> None:
    found = {}
    for side in (common_pb2.TRUNCATION_SIDE_LEFT, common_pb2.TRUNCATION_SIDE_RIGHT):
        options = PoolingOptions(truncate_prompt_tokens=3, truncation_side=side)
        answer = await embed(stub, token_ids(range(5, 15)), options=options)
        assert answer.usage.prompt_tokens == 3
        found[side] = list(answer.embeddings[0].float_vector.values)
    first, last = await vectors(stub, token_ids([5, 6, 7], [12, 13, 14]))
    assert alike(found[common_pb2.TRUNCATION_SIDE_RIGHT], first, 1e-5)
    assert alike(found[common_pb2.TRUNCATION_SIDE_LEFT], last, 1e-5)
    answer = await embed(stub, texts(LONG), options=PoolingOptions(truncate_prompt_tokens=-1))
    assert answer.usage.prompt_tokens == LIMIT


async def test_padding(stub: Any) -> None:
    options = PoolingOptions(padding=common_pb2.PADDING_MAX_LENGTH)
    answer = await embed(stub, texts("hello", "x"), options=options)
    assert answer.usage.prompt_tokens == 2 * LIMIT


async def test_too_long(stub: Any) -> None:
    found = await refusal(stub, texts("short", LONG))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "CONTEXT_LENGTH_EXCEEDED",
    )
    assert found.metadata["maxModelLen"] == str(LIMIT)


async def test_truncation_beyond_the_model(stub: Any) -> None:
    options = PoolingOptions(truncate_prompt_tokens=LIMIT + 1)
    found = await refusal(stub, texts("x"), options=options)
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")


async def test_unknown_token(stub: Any) -> None:
    found = await refusal(stub, token_ids([99_999]))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert "99999" in found.message


async def test_length_of_a_plain_model_is_fixed(stub: Any) -> None:
    found = await refusal(stub, texts("x"), dimensions=LENGTH)
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert "Matryoshka" in found.message


@pytest.mark.upstream("embed-mrl")
@pytest.mark.parametrize("dimensions", [16, 32, 64])
async def test_dimensions(stub: Any, dimensions: int) -> None:
    (whole,) = await vectors(stub, texts("hello"))
    (cut,) = await vectors(stub, texts("hello"), dimensions=dimensions)
    assert len(cut) == dimensions
    assert length(cut) == pytest.approx(1, abs=1e-5)
    part = whole[:dimensions]
    assert alike([value / length(part) for value in part], cut, 1e-5)
    packed = await embed(
        stub, texts("hello"), dimensions=dimensions, dtype=common_pb2.VECTOR_DTYPE_FLOAT16
    )
    assert packed.embeddings[0].packed_vector.dimensions == dimensions


@pytest.mark.upstream("embed-mrl")
@pytest.mark.parametrize("dimensions", [0, 30, 1000])
async def test_wrong_dimensions(stub: Any, dimensions: int) -> None:
    found = await refusal(stub, texts("x"), dimensions=dimensions)
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert str(dimensions) in found.message


async def test_template_of_the_request_is_not_trusted(stub: Any) -> None:
    request = CreateEmbeddingsRequest(inputs=talks("x"))
    request.template.chat_template = "{{ messages }}"
    found = await refused(stub.CreateEmbeddings(request))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")


async def test_engine_options(stub: Any) -> None:
    engine = EngineOptions(request_id="mine", priority=0, cache_salt="salt")
    answer = await embed(stub, texts("x"), engine=engine, user="somebody")
    assert answer.id.startswith("embd-mine-")
    found = await refusal(stub, texts("x"), engine=EngineOptions(cache_salt="a@b"))
    assert found.fields == ("engine.cache_salt",)
    assert found.reason == "UPSTREAM_REJECTED"


async def test_extra_body(stub: Any) -> None:
    extra = document({"something_new": 1})
    await embed(stub, texts("x"), extra_body=extra)
    extra = document({"something_new": 1, "encoding_format": "float"})
    found = await refusal(stub, texts("x"), extra_body=extra)
    assert (found.reason, found.fields) == ("CONFLICTING_FIELDS", ("extra_body.encoding_format",))


async def test_unknown_model(stub: Any) -> None:
    found = await refusal(stub, texts("x"), model="nope")
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert found.resource == "nope"


async def test_reply_over_the_message_limit(target: Target, serve: Serve) -> None:
    service = await serve(upstream=(target.upstream.url,), max_message_bytes=20_000)
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        stub: Any = EmbeddingServiceStub(channel)
        await embed(stub, texts(*["hello"] * 70))
        found = await refusal(stub, texts(*["hello"] * 100))
    assert (found.code, found.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "REQUEST_TOO_LARGE",
    )
    assert found.metadata["limitBytes"] == "20000"
    assert "20000 bytes" in found.message


async def test_what_the_model_serves(target: Target) -> None:
    listing = await ModelServiceStub(target.channel).ListModels(model_pb2.ListModelsRequest())
    served = listing.models[0].capabilities
    assert {model_pb2.CAPABILITY_EMBEDDING, model_pb2.CAPABILITY_POOLING} <= {*served}
    assert model_pb2.CAPABILITY_CLASSIFICATION not in served
    health = health_pb2_grpc.HealthStub(target.channel)
    well = {}
    for name in ("Embedding", "Pooling", "Classification", "ChatCompletion"):
        request = health_pb2.HealthCheckRequest(service=f"penstock.v1.{name}Service")
        well[name] = (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
    assert well == {
        "Embedding": True,
        "Pooling": True,
        "Classification": False,
        "ChatCompletion": False,
    }


async def test_what_the_model_does_not_serve(target: Target, chats: Any) -> None:
    stub: Any = ClassificationServiceStub(target.channel)
    classify = await refused(stub.Classify(ClassifyRequest(inputs=texts("x"))))
    for found in (classify, await chats.refused(asking("Say hello."))):
        assert (found.code, found.reason) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "OPERATION_NOT_SUPPORTED",
        )


@pytest.mark.upstream("classify")
async def test_on_a_model_without_embeddings(stub: Any) -> None:
    found = await refusal(stub, texts("x"))
    assert (found.code, found.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
    )
    assert found.metadata["path"] == "/v1/embeddings"


@pytest.mark.upstream("token-embed")
async def test_on_a_model_of_vectors_per_token(stub: Any) -> None:
    found = await refusal(stub, texts("x"))
    assert (found.code, found.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
    )
