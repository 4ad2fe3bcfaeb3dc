"""Vectors, as numbers of Python, as a buffer, or as an array of NumPy."""

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
    """The vector of one input, or several: one for each token or chunk.

    With NumPy, `numpy.asarray(vector)` is an array of it; nothing else here needs NumPy.

        >>> vector = client.embeddings.create("Say hello.")[0]
        >>> vector.dtype, len(vector.tolist()) == vector.shape[0]
        ('float32', True)

    protobuf does not lend its memory, so the values are copied out of the message when they are
    asked for first: once, and those of this vector only.

    Attributes:
        shape: `(values,)`, or `(vectors, values)`.
        dtype: number format, as "float32" or "bfloat16".
    """

    def __init__(self, data: Data | Callable[[], Data], dtype: str, shape: tuple[int, ...]) -> None:
        """Takes the values, or what copies them out of a message."""
        self._read = data if callable(data) else lambda: data
        self.dtype = dtype
        self.shape = shape

    @classmethod
    def of(cls, proto: Any, oneof: str) -> "Vector":
        """Returns the vector of a message with one of our four kinds of vector."""
        which = proto.WhichOneof(oneof)
        return _READERS[which](getattr(proto, which)) if which else cls(b"", "float32", (0,))

    @cached_property
    def data(self) -> memoryview:
        """The values one after another, in the format `dtype`, little-endian."""
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
        """Returns the values as numbers of Python, in lists as `shape` says.

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
        """Returns the values as an array that cannot be written to.

            >>> [vector] = client.embeddings.create("Say hello.", dtype="float16")
            >>> vector.numpy().dtype
            dtype('float16')

        float32 and float16 are a view of `data`; formats that NumPy lacks become wider, which is
        another copy.

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
        """Returns the values in a format that both `struct` and NumPy have, and its letter."""
        if self.dtype in _FORMATS:
            return data, _FORMATS[self.dtype]
        return _WIDEN[self.dtype](bytes(data))


def stacked(vectors: Sequence[Vector]) -> "ndarray[Any, Any]":
    """Returns vectors as an array; nothing of them is kept beside it.

    Raises:
        ValueError: they have several shapes.
        ModuleNotFoundError: NumPy is not installed.
    """
    import numpy

    if len({vector.shape for vector in vectors}) > 1:
        raise ValueError("the vectors have several shapes")
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
    """Returns the packed values of a vector: on the wire, they are the end of the message."""
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
    """Reads 1 bit of sign, 4 of exponent and 3 of mantissa; there are no infinities."""
    exponent, mantissa = (byte >> 3) & 15, byte & 7
    if byte & 127 == 127:
        return float("nan")
    sign = -1.0 if byte & 128 else 1.0
    if not exponent:
        return sign * mantissa / 8 * 2.0**-6
    return sign * (1 + mantissa / 8) * 2.0 ** (exponent - 7)
