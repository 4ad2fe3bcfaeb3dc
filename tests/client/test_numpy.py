"""Vectors as arrays of NumPy, which are views where they can be."""

import numpy
import pytest

from penstock import Client
from penstock.v1.common_pb2 import FloatVector, MultiVector

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
