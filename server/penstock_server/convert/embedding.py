"""Embeddings."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from penstock.v1.common_pb2 import FloatVector
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest, CreateEmbeddingsResponse, Embedding
from penstock_server import routes
from penstock_server.convert import batch, extra, option_messages, pooling_input, vector, wire
from penstock_server.convert.errors import MalformedAnswer, invalid, reads_answer, unsupported

_RESULT_KEYS = vector.KEYS | {"embedding"}


def request_body(request: CreateEmbeddingsRequest) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    body = pooling_input.shared_body(request)
    body |= option_messages.scalars(request, "", skip=("dtype", "extra_body"))
    body |= _encoding(request)
    if request.HasField("late_chunking"):
        if request.late_chunking.chunk_size < 1:
            raise invalid("late_chunking.chunk_size", "must be at least 1")
        body["late_chunking_params"] = {"chunk_size": request.late_chunking.chunk_size}
    return pooling_input.with_extra(routes.EMBEDDINGS, body, request)


@reads_answer
def response(data: Mapping[str, Any], request: CreateEmbeddingsRequest) -> CreateEmbeddingsResponse:
    """Returns the message for the answer to a request.

    Raises:
        MalformedAnswer: the answer does not have the API's shape, or does not match the request.
    """
    answer = CreateEmbeddingsResponse()
    pooling_input.fill_answer(answer, data)
    form = vector.form_of(request.dtype)
    lengths = set()
    for index, result in enumerate(batch.in_order(data.get("data"), len(request.inputs))):
        embedding = answer.embeddings.add(index=index)
        vector.fill(embedding, result, "embedding", form)
        values = vector.length(embedding)
        lengths.add(values)
        _check(embedding, values, request)
        extra.keep(embedding, result, _RESULT_KEYS)
    if len(lengths) > 1:
        raise MalformedAnswer("its vectors have different lengths")
    return answer


def reply(data: Mapping[str, Any], request: CreateEmbeddingsRequest) -> CreateEmbeddingsResponse:
    """Returns the answer to be serialized; vectors of the usual form are already in wire form.

    Raises:
        MalformedAnswer: see `response`.
        UnsupportedRequest: see `response`.
    """
    return with_plain_vectors(data, request) or response(data, request)


@reads_answer
def with_plain_vectors(
    data: Mapping[str, Any], request: CreateEmbeddingsRequest
) -> CreateEmbeddingsResponse | None:
    """Returns the answer if every vector has the usual form; None if `response` must read them."""
    if vector.form_of(request.dtype).packed or request.HasField("late_chunking"):
        return None
    results = batch.in_order(data.get("data"), len(request.inputs))
    vectors = [vector.plain(result, "embedding") for result in results]
    sizes = set(map(len, vectors))
    values = vector.values_in(vectors[0])
    wanted = request.dimensions if request.HasField("dimensions") else values
    if len(sizes) > 1 or not values or values != wanted:
        return None
    answer = CreateEmbeddingsResponse()
    pooling_input.fill_answer(answer, data)
    heads = _heads(len(vectors), *sizes)
    return wire.with_fields(answer, chain.from_iterable(zip(heads, vectors, strict=True)))


def _heads(count: int, size: int) -> Iterator[bytes]:
    """Yields the beginning of each embedding in an answer, up to the bytes of its vector."""
    values = wire.head(FloatVector.VALUES_FIELD_NUMBER, size)
    content = wire.head(Embedding.FLOAT_VECTOR_FIELD_NUMBER, len(values) + size) + values
    for index in range(count):
        place = wire.integer(Embedding.INDEX_FIELD_NUMBER, index) + content
        number = CreateEmbeddingsResponse.EMBEDDINGS_FIELD_NUMBER
        yield wire.head(number, len(place) + size) + place


def _encoding(request: CreateEmbeddingsRequest) -> dict[str, Any]:
    form = vector.form_of(request.dtype)
    if request.HasField("late_chunking"):
        if form.packed:
            raise invalid("dtype", "must be VECTOR_DTYPE_FLOAT32 or unset with late_chunking")
        return vector.as_floats()
    return vector.as_bytes(form, len(request.inputs)) if form.packed else vector.as_base64()


def _check(embedding: Embedding, values: int, request: CreateEmbeddingsRequest) -> None:
    """Checks that the upstream applied options that upstreams ignore if they do not know them.

    Raises:
        UnsupportedRequest: the upstream ignored one.
    """
    if request.HasField("dimensions") and values != request.dimensions:
        raise unsupported("dimensions", f"the upstream ignored it and sent {values} values")
    if request.HasField("late_chunking") and not embedding.HasField("multi_vector"):
        raise unsupported(
            "late_chunking",
            "the upstream ignored it and may not support it",
        )
