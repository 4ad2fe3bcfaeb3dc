"""Vectors as NumPy arrays, and their memory use."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import pytest

from penstock import Client, Embeddings
from penstock.v1.common_pb2 import FloatVector, MultiVector, PackedVector, VectorDtype
from penstock.v1.embedding_pb2 import CreateEmbeddingsResponse, Embedding

from .test_vectors import PACKED, VALUES, packed, vector


def test_an_array_is_a_view() -> None:
    made = vector(float_vector=FloatVector(values=VALUES))
    array = numpy.asarray(made)
    assert array.dtype == numpy.float32
    assert not array.flags.writeable
    assert not array.flags.owndata
    assert numpy.shares_memory(array, made.numpy())
    assert numpy.asarray(made, dtype="float64").tolist() == VALUES
    assert numpy.array(made).flags.writeable


@pytest.mark.parametrize("size", [0, 1, 31, 32, 600_000])
def test_sizes(size: int) -> None:
    values = [float(number) for number in range(size)]
    made = vector(float_vector=FloatVector(values=values))
    assert numpy.asarray(made).tolist() == values


def test_several() -> None:
    rows = [FloatVector(values=[1, 2]), FloatVector(values=[3, 4]), FloatVector(values=[5, 6])]
    made = vector(multi_vector=MultiVector(vectors=rows))
    assert made.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("dtype", PACKED)
def test_packed(dtype: str) -> None:
    one, two = packed(dtype)
    assert one.numpy().tolist() == one.tolist()
    assert two.numpy().tolist() == two.tolist()
    assert two.numpy().shape == two.shape


def test_several_inputs_are_rows(client: Client) -> None:
    made = client.embeddings.create(["Say hello.", "What is 2+2?"])
    assert made.numpy().shape == (2, 64)
    assert made.numpy().tolist() == made.tolist()


COUNT, SIZE = 200, 4096
ROW_BYTES = 4 * SIZE


def embeddings(**kind: Any) -> Embeddings:
    return Embeddings(CreateEmbeddingsResponse(embeddings=[Embedding(**kind)] * COUNT))


@contextmanager
def at_most(allowed: int) -> Iterator[None]:
    """Fails if the block needs more memory; that of protobuf's messages does not count."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < allowed


def test_memory() -> None:
    """A vector is copied when it is used, and several are copied into one array."""
    made = embeddings(float_vector=FloatVector(values=range(SIZE)))
    with at_most(COUNT * 600):
        assert len(made) == len(list(made)) == COUNT
        assert made[0].shape == (SIZE,)
    with at_most(int(1.2 * ROW_BYTES)):
        array = made[0].numpy()
        assert numpy.shares_memory(array, made[0].numpy())
    with at_most((COUNT + 3) * ROW_BYTES):
        whole = made.numpy()
        assert whole.flags.owndata
    assert (whole == array).all()


def test_memory_of_several_for_each() -> None:
    rows = MultiVector(vectors=[FloatVector(values=range(SIZE))] * 100)
    made = vector(multi_vector=rows)
    with at_most(115 * ROW_BYTES):
        assert made.numpy().shape == (100, SIZE)


def test_rows_of_wide_and_narrow_formats() -> None:
    for dtype, (data, values) in PACKED.items():
        number = VectorDtype.Value(f"VECTOR_DTYPE_{dtype.upper()}")
        one = PackedVector(dtype=number, dimensions=len(values), data=data)
        assert embeddings(packed_vector=one).numpy().tolist() == [values] * COUNT


def test_vectors_of_different_shapes() -> None:
    assert len(Embeddings(CreateEmbeddingsResponse()).numpy()) == 0
    uneven = [Embedding(float_vector=FloatVector(values=range(size))) for size in (1, 2)]
    with pytest.raises(ValueError, match="the vectors have different shapes"):
        Embeddings(CreateEmbeddingsResponse(embeddings=uneven)).numpy()
