"""Vectors, readable as Python numbers, as a buffer, or as a NumPy array."""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock._base.options import enum_name
from penstock.v1.common_pb2 import (
    FloatVector,
    MultiVector,
    PackedMultiVector,
    PackedVector,
    VectorDtype,
)

if TYPE_CHECKING:
    from numpy import ndarray

_ITEM_BYTES = 4
_FORMATS = {"float32": "f", "float16": "e"}


Data: TypeAlias = bytes | bytearray | memoryview


class Vector:
    """The vector of one input, or its vectors: one per token or chunk.

    `numpy.asarray(vector)` returns a NumPy array. Only `numpy` methods require NumPy.

        >>> vector = client.embeddings.create("Say hello.")[0]
        >>> vector.dtype, len(vector.tolist()) == vector.shape[0]
        ('float32', True)

    protobuf does not expose its memory, so the first access copies the values of this vector out
    of the message.

    Args:
        data: the values, or a function that copies them out of a message.
        dtype: number format.
        shape: shape of the values.

    Attributes:
        shape: `(values,)`, or `(vectors, values)`.
        dtype: number format, such as "float32" or "bfloat16".
    """

    def __init__(self, data: Data | Callable[[], Data], dtype: str, shape: tuple[int, ...]) -> None:
        self._read = data if callable(data) else lambda: data
        self.dtype = dtype
        self.shape = shape

    @classmethod
    def of(cls, proto: Any, oneof: str) -> "Vector":
        """Returns the vector of a message whose oneof has one of the four vector messages."""
        which = proto.WhichOneof(oneof)
        return _READERS[which](getattr(proto, which)) if which else cls(b"", "float32", (0,))

    @cached_property
    def data(self) -> memoryview:
        """The values in sequence, in the format `dtype`, little-endian."""
        return memoryview(self._read())

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<Vector {self.dtype} {'x'.join(map(str, self.shape))}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        return array.astype(dtype)

    def tolist(self) -> list[Any]:
        """Returns the values as Python numbers, in lists according to `shape`.

        >>> [vector] = client.embeddings.create("Say hello.", dtype="float16")
        >>> type(vector.tolist()[0])
        <class 'float'>
        """
        data, form = self._readable(self.data)
        values = struct.unpack(f"<{len(data) // struct.calcsize(form)}{form}", data)
        if len(self.shape) == 1:
            return list(values)
        width = self.shape[1]
        return [list(values[row * width : (row + 1) * width]) for row in range(self.shape[0])]

    def numpy(self) -> "ndarray[Any, Any]":
        """Returns the values as a read-only NumPy array.

            >>> [vector] = client.embeddings.create("Say hello.", dtype="float16")
            >>> vector.numpy().dtype
            dtype('float16')

        For float32 and float16, the array is a view of `data`. Formats that NumPy lacks are
        widened, which makes another copy.

        Raises:
            ModuleNotFoundError: NumPy is not installed.
        """
        return self._array(self.data)

    def _array(self, given: Data) -> "ndarray[Any, Any]":
        import numpy

        data, form = self._readable(given)
        array = numpy.frombuffer(data, f"<{form}{struct.calcsize(form)}".replace("e", "f"))
        array.flags.writeable = False
        return array.reshape(self.shape)

    def _readable(self, data: Data) -> tuple[Data, str]:
        """Returns the values in a format that `struct` and NumPy support, and its format code."""
        if self.dtype in _FORMATS:
            return data, _FORMATS[self.dtype]
        return _WIDEN[self.dtype](bytes(data))


def stacked(vectors: Sequence[Vector]) -> "ndarray[Any, Any]":
    """Returns vectors as the rows of an array, without keeping other copies.

    Raises:
        ValueError: the vectors have different shapes.
        ModuleNotFoundError: NumPy is not installed.
    """
    import numpy

    if len({vector.shape for vector in vectors}) > 1:
        raise ValueError("the vectors have different shapes")
    whole = numpy.empty((0, 0), "float32")
    for row, vector in enumerate(vectors):
        array = vector._array(vector._read())
        if not row:
            whole = numpy.empty((len(vectors), *array.shape), array.dtype)
        whole[row] = array
    return whole


def _of_floats(vector: FloatVector) -> Vector:
    return Vector(lambda: _payload(vector), "float32", (len(vector.values),))


def _of_multi(multi: MultiVector) -> Vector:
    def read() -> bytearray:
        data = bytearray()
        for vector in multi.vectors:
            data += _payload(vector)
        return data

    width = len(multi.vectors[0].values) if multi.vectors else 0
    return Vector(read, "float32", (len(multi.vectors), width))


def _of_packed(vector: PackedVector) -> Vector:
    return Vector(lambda: vector.data, _dtype(vector.dtype), (vector.dimensions,))


def _of_packed_multi(multi: PackedMultiVector) -> Vector:
    return Vector(lambda: multi.data, _dtype(multi.dtype), (multi.rows, multi.dimensions))


_READERS: Mapping[str, Callable[[Any], Vector]] = {
    "float_vector": _of_floats,
    "multi_vector": _of_multi,
    "packed_vector": _of_packed,
    "packed_multi_vector": _of_packed_multi,
}


def _payload(vector: FloatVector) -> memoryview:
    """Returns the packed values of a vector, which are the end of its wire format."""
    size = len(vector.values) * _ITEM_BYTES
    wire = memoryview(vector.SerializeToString())
    return wire[len(wire) - size :]


def _dtype(number: int) -> str:
    return enum_name(VectorDtype.DESCRIPTOR, number) or "float32"


def _widen_bfloat16(data: bytes) -> tuple[bytes, str]:
    wide = bytearray(2 * len(data))
    wide[2::4], wide[3::4] = data[0::2], data[1::2]
    return bytes(wide), "f"


def _widen_e5m2(data: bytes) -> tuple[bytes, str]:
    wide = bytearray(2 * len(data))
    wide[1::2] = data
    return bytes(wide), "e"


def _widen_e4m3(data: bytes) -> tuple[bytes, str]:
    table = _e4m3()
    return b"".join([table[byte] for byte in data]), "f"


_WIDEN: Mapping[str, Callable[[bytes], tuple[bytes, str]]] = {
    "bfloat16": _widen_bfloat16,
    "fp8_e4m3": _widen_e4m3,
    "fp8_e5m2": _widen_e5m2,
}


@cache
def _e4m3() -> list[bytes]:
    return [struct.pack("<f", _read_e4m3(byte)) for byte in range(256)]


def _read_e4m3(byte: int) -> float:
    """Decodes 1 sign bit, 4 exponent bits and 3 mantissa bits; the format has no infinities."""
    exponent, mantissa = (byte >> 3) & 15, byte & 7
    if byte & 127 == 127:
        return float("nan")
    sign = -1.0 if byte & 128 else 1.0
    if not exponent:
        return sign * mantissa / 8 * 2.0**-6
    return sign * (1 + mantissa / 8) * 2.0 ** (exponent - 7)
