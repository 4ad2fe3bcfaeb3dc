"""Embeddings."""

import base64
import random
import struct

from google.protobuf.message import Message

from bench.payloads.common import CREATED, dump, expect_usage, text
from penstock.v1 import embedding_pb2


def vector_model(vectors: int, dimensions: int) -> str:
    """Returns the name of the model that answers with a number of vectors of a length."""
    return f"bench-{vectors}x{dimensions}"


def _vectors(vectors: int, dimensions: int) -> list[bytes]:
    chosen = random.Random(vectors * dimensions)
    values = [[chosen.uniform(-1, 1) for _ in range(dimensions)] for _ in range(vectors)]
    return [struct.pack(f"<{dimensions}f", *row) for row in values]


def vectors_http(vectors: int, dimensions: int) -> bytes:
    """Returns a request for a number of embeddings over HTTP."""
    texts = [text(20, 100 + i) for i in range(vectors)]
    body = {"model": vector_model(vectors, dimensions), "input": texts, "encoding_format": "base64"}
    return dump(body)


def vectors_grpc(vectors: int, dimensions: int) -> bytes:
    """Returns the same request as a message."""
    request = embedding_pb2.CreateEmbeddingsRequest(model=vector_model(vectors, dimensions))
    for i in range(vectors):
        request.inputs.add(text=text(20, 100 + i))
    return request.SerializeToString()


def vectors_answer(vectors: int, dimensions: int) -> bytes:
    """Returns the upstream's answer, vectors in base64."""
    data = [
        {"index": i, "object": "embedding", "embedding": base64.b64encode(row).decode()}
        for i, row in enumerate(_vectors(vectors, dimensions))
    ]
    usage = {
        "prompt_tokens": vectors * 25,
        "total_tokens": vectors * 25,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    }
    return dump(
        {
            "id": "embd-93ae950d69f4f2de",
            "object": "list",
            "created": CREATED,
            "model": vector_model(vectors, dimensions),
            "data": data,
            "usage": usage,
        }
    )


def vectors_expected(vectors: int, dimensions: int) -> Message:
    """Returns the expected message."""
    expected = embedding_pb2.CreateEmbeddingsResponse(
        id="embd-93ae950d69f4f2de", model=vector_model(vectors, dimensions)
    )
    expected.create_time.seconds = CREATED
    for index, row in enumerate(_vectors(vectors, dimensions)):
        embedding = expected.embeddings.add(index=index)
        embedding.float_vector.values.extend(struct.unpack(f"<{dimensions}f", row))
    expect_usage(expected.usage, vectors * 25, 0)
    return expected


def vectors_texts(vectors: int, dimensions: int) -> tuple[bytes, ...]:
    """Returns the first and the last vector in JSON."""
    rows = _vectors(vectors, dimensions)
    return (base64.b64encode(rows[0]), base64.b64encode(rows[-1]))
