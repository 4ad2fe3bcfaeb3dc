"""Vectors in all number formats, as lists and as arrays."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import pytest

from penstock import AsyncClient, Client, Vector
from penstock.v1.common_pb2 import (
    FloatVector,
    MultiVector,
    PackedMultiVector,
    PackedVector,
    VectorDtype,
)
from penstock.v1.embedding_pb2 import Embedding

VALUES = [0.0, 1.0, -2.5, 0.015625]
BFLOAT16 = b"".join(struct.pack("<f", value)[2:] for value in VALUES)
PACKED: dict[str, tuple[bytes, Sequence[float]]] = {
    "float16": (struct.pack("<4e", *VALUES), VALUES),
    "bfloat16": (BFLOAT16, VALUES),
    "fp8_e4m3": (bytes([0x00, 0x38, 0xC2, 0x08, 0x7E, 0x01]), [0, 1, -2.5, 2**-6, 448, 2**-9]),
    "fp8_e5m2": (bytes([0x00, 0x3C, 0xC1, 0x24, 0x7C]), [0, 1, -2.5, 2**-6, math.inf]),
}


def vector(**kind: Any) -> Vector:
    return Vector.of(Embedding(**kind), "vector")


def test_floats() -> None:
    made = vector(float_vector=FloatVector(values=VALUES))
    assert (made.shape, made.dtype, len(made)) == ((4,), "float32", 4)
    assert made.tolist() == VALUES
    assert bytes(made.data) == struct.pack("<4f", *VALUES)
    assert repr(made) == "<Vector float32 4>"


@pytest.mark.parametrize("size", [0, 1, 31, 32, 4096, 600_000])
def test_sizes(size: int) -> None:
    values = [float(number) for number in range(size)]
    made = vector(float_vector=FloatVector(values=values))
    assert made.tolist() == values


def test_several() -> None:
    rows = [FloatVector(values=[1, 2]), FloatVector(values=[3, 4]), FloatVector(values=[5, 6])]
    made = vector(multi_vector=MultiVector(vectors=rows))
    assert made.shape == (3, 2)
    assert made.tolist() == [[1, 2], [3, 4], [5, 6]]


def packed(dtype: str) -> tuple[Vector, Vector]:
    """Returns a vector in a format, and two of them."""
    data, values = PACKED[dtype]
    number = VectorDtype.Value(f"VECTOR_DTYPE_{dtype.upper()}")
    size = len(values)
    one = PackedVector(dtype=number, dimensions=size, data=data)
    two = PackedMultiVector(dtype=number, rows=2, dimensions=size, data=data * 2)
    return vector(packed_vector=one), vector(packed_multi_vector=two)


@pytest.mark.parametrize("dtype", PACKED)
def test_packed(dtype: str) -> None:
    _, values = PACKED[dtype]
    one, two = packed(dtype)
    assert (one.dtype, one.shape) == (dtype, (len(values),))
    assert (two.dtype, two.shape) == (dtype, (2, len(values)))
    assert one.tolist() == values
    assert two.tolist() == [values, values]


def test_every_8_bit_float() -> None:
    for dtype in ("fp8_e4m3", "fp8_e5m2"):
        made = Vector(bytes(range(256)), dtype, (256,))
        positive, negative = made.tolist()[:120], made.tolist()[128:248]
        assert positive == sorted(positive)
        assert negative == [-value for value in positive]
        assert math.isnan(made.tolist()[127])


def test_nothing() -> None:
    made = Vector.of(Embedding(), "vector")
    assert made.tolist() == []


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16", "fp8_e4m3"])
async def test_from_a_service(dtype: str | None, client: Client, aclient: AsyncClient) -> None:
    texts = ["Say hello.", "What is 2+2?"]
    whole = client.embeddings.create(texts).tolist()
    made = client.embeddings.create(texts, dtype=dtype)
    assert [one.dtype for one in made] == [dtype or "float32"] * 2
    for row, other in zip(made.tolist(), whole, strict=True):
        assert row == pytest.approx(other, abs=0.02)
    assert made.tolist() == (await aclient.embeddings.create(texts, dtype=dtype)).tolist()
    assert made.usage.prompt_tokens > 0


def test_other_inputs(client: Client) -> None:
    ids = client.tokenize("Say hello.").ids
    assert len(client.embeddings.create(list(ids))) == 1
    assert len(client.embeddings.create([list(ids), list(ids)])) == 2
    assert len(client.pool(["a", "b"])) == 2
