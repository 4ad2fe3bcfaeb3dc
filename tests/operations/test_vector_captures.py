"""Answers of a real vLLM to pooling requests, replayed through the whole service."""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from acceptance.refusals import refused
from acceptance.vectors import PRECISION, alike, read, texts, token_ids
from grpc import aio

from penstock.v1 import common_pb2
from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.pooling_pb2 import PoolRequest
from penstock.v1.pooling_pb2_grpc import PoolingServiceStub

from .canned import canned, in_bytes, in_json

CAPTURES = Path(__file__).parents[1] / "captures"
DTYPES = {"float16": 2, "bfloat16": 3, "fp8_e4m3": 4, "fp8_e5m2": 5}
UNASKED = {"emb_base64_big_endian", "emb_embed_dtype_f16_base64", "emb_bytes", "emb_bytes_only"}
"""Forms that the service does not request, because they are ambiguous."""


def load(folder: str, name: str) -> Any:
    return json.loads((CAPTURES / folder / f"{name}.json").read_text("utf-8"))


def names(folder: str) -> list[str]:
    found = sorted(path.stem for path in (CAPTURES / folder).glob("*.json"))
    assert found
    return [name for name in found if load(folder, name)["status"] == 200 and name not in UNASKED]


def inputs(body: Mapping[str, Any]) -> Any:
    """Returns the inputs of a captured request."""
    given = body["input"]
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    return texts(*given) if isinstance(given[0], str) else token_ids(*given)


def sent(capture: Any) -> bytes:
    """Returns the captured answer."""
    if "body" in capture:
        return in_json(capture["body"])
    metadata = json.loads(capture["headers"]["metadata"])
    return in_bytes(metadata, base64.b64decode(capture["bytes_base64"]))


def expected(capture: Any, key: str) -> Sequence[Any]:
    """Returns the outputs of a captured answer: numbers are exact, text is decoded."""
    outputs = [result[key] for result in capture["body"]["data"]]
    return [_numbers(one) if isinstance(one, str) else one for one in outputs]


def _numbers(text: str) -> Sequence[float]:
    data = base64.b64decode(text)
    return struct.unpack(f"<{len(data) // 4}f", data)


async def ask(channel: aio.Channel, folder: str, body: Mapping[str, Any]) -> Any:
    """Sends a captured request as a caller would."""
    fields: Any = {"inputs": inputs(body), "dtype": DTYPES.get(body.get("embed_dtype", ""), 0)}
    stub: Any
    if folder == "embedding":
        fields |= {"dimensions": body["dimensions"]} if "dimensions" in body else {}
        stub = EmbeddingServiceStub(channel)
        return await stub.CreateEmbeddings(CreateEmbeddingsRequest(**fields))
    if folder == "pooling":
        stub = PoolingServiceStub(channel)
        return await stub.Pool(PoolRequest(**fields))
    stub = ClassificationServiceStub(channel)
    return await stub.Classify(ClassifyRequest(inputs=fields["inputs"]))


def floats(result: Any) -> Any:
    """Returns the values of a result as lists of numbers."""
    if result.packed_vector.data:
        return list(read(result.packed_vector.dtype, result.packed_vector.data))
    if result.packed_multi_vector.data:
        packed = result.packed_multi_vector
        values, width = read(packed.dtype, packed.data), packed.dimensions
        return [list(values[i : i + width]) for i in range(0, len(values), width)]
    if result.multi_vector.vectors:
        return [list(row.values) for row in result.multi_vector.vectors]
    return list(result.float_vector.values)


@pytest.mark.parametrize("folder", ["embedding", "pooling", "classification"])
async def test_frame(folder: str) -> None:
    for name in names(folder):
        capture = load(folder, name)
        body = capture.get("body") or json.loads(capture["headers"]["metadata"])
        async with canned(sent(capture)) as (channel, _):
            found = await ask(channel, folder, capture["request"]["body"])
        assert found.id == body["id"]
        assert found.model == body["model"]
        assert found.create_time.seconds == body["created"]
        assert found.usage.prompt_tokens == body["usage"]["prompt_tokens"]
        assert found.usage.total_tokens == body["usage"]["total_tokens"]
        assert not found.HasField("extra")


@pytest.mark.parametrize("name", names("embedding"))
async def test_embeddings(name: str) -> None:
    capture = load("embedding", name)
    async with canned(sent(capture)) as (channel, _):
        found = await ask(channel, "embedding", capture["request"]["body"])
    if "body" in capture:
        exact = expected(capture, "embedding")
        limit = 1e-8
    else:
        exact = expected(load("embedding", "emb_list"), "embedding")
        limit = PRECISION.get(common_pb2.VectorDtype.ValueType(ask_dtype(capture)), 1e-8)
    for embedding, values in zip(found.embeddings, exact, strict=True):
        assert alike(floats(embedding), values, limit)


def ask_dtype(capture: Any) -> int:
    return DTYPES.get(capture["request"]["body"].get("embed_dtype", ""), 0)


@pytest.mark.parametrize("name", [name for name in names("pooling") if "token" not in name])
async def test_whole_outputs(name: str) -> None:
    capture = load("pooling", name)
    async with canned(sent(capture)) as (channel, _):
        found = await ask(channel, "pooling", capture["request"]["body"])
    if "body" in capture:
        exact = expected(capture, "data")
    elif "classify" in name:
        exact = [one["probs"] for one in load("classification", "classify_3labels")["body"]["data"]]
    else:
        exact = expected(load("pooling", "pooling_base64"), "data")
    for result, values in zip(found.results, exact, strict=True):
        assert alike(floats(result), values, 1e-6)


@pytest.mark.parametrize("name", [name for name in names("pooling") if "token" in name])
async def test_outputs_per_token(name: str) -> None:
    capture = load("pooling", name)
    async with canned(sent(capture)) as (channel, _):
        found = await ask(channel, "pooling", capture["request"]["body"])
    limit = PRECISION.get(common_pb2.VectorDtype.ValueType(ask_dtype(capture)), 1e-6)
    exact = expected(load("pooling", "pooling_token_float"), "data")
    for result, rows in zip(found.results, exact, strict=True):
        for row, values in zip(floats(result), rows, strict=True):
            assert alike(row, values, limit)


@pytest.mark.parametrize("name", names("classification"))
async def test_classes(name: str) -> None:
    capture = load("classification", name)
    async with canned(sent(capture)) as (channel, _):
        found = await ask(channel, "classification", capture["request"]["body"])
    for result, data in zip(found.results, capture["body"]["data"], strict=True):
        said = {"label": result.label, "probs": list(result.probs), "index": result.index}
        assert said | {"num_classes": result.num_classes} == data


@pytest.mark.parametrize("name", ["emb_bytes", "emb_bytes_only"])
async def test_bytes_of_unknown_order(name: str) -> None:
    capture = load("embedding", name)
    data = base64.b64decode(capture["bytes_base64"])
    head = capture.get("headers", {}).get("metadata")
    answer = in_bytes(head and json.loads(head), data)
    async with canned(answer) as (channel, _):
        found = await refused(ask(channel, "embedding", capture["request"]["body"]))
    assert found.reason == "UPSTREAM_MALFORMED_RESPONSE"
