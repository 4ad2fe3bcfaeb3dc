"""Vectors, as numbers of Python, as a buffer, or as an array of NumPy."""

import struct
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from penstock._base.options import enum_name
from penstock.v1.common_pb2 import (
    FloatVector,
    MultiVector,
    PackedMultiVector,
    PackedVector,
    VectorDtype,
)

if TYPE_CHECKING:
    import numpy

_ITEM_BYTES = 4
_FORMATS = {"float32": "f", "float16": "e"}


class Vector:
    """The vector of one input, or several: one for each token or chunk.

    With NumPy, `numpy.asarray(vector)` is an array of it; nothing else here needs NumPy.

        >>> vector = client.embeddings.create("Say hello.")[0]
        >>> vector.dtype, len(vector.tolist()) == vector.shape[0]
        ('float32', True)

    Attributes:
        shape: `(values,)`, or `(vectors, values)`.
        dtype: number format, as "float32" or "bfloat16".
        data: the values one after another, in that format, little-endian.
    """

    def __init__(self, data: bytes | memoryview, dtype: str, shape: tuple[int, ...]) -> None:
        """Takes the values."""
        self.data = memoryview(data)
        self.dtype = dtype
        self.shape = shape

    @classmethod
    def of(cls, proto: Any, oneof: str) -> "Vector":
        """Returns the vector of a message with one of our four kinds of vector."""
        which = proto.WhichOneof(oneof)
        return _READERS[which](getattr(proto, which)) if which else cls(b"", "float32", (0,))

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
        """Returns the values as numbers of Python, in lists as `shape` says."""
        data, form = self._readable
        values = struct.unpack(f"<{len(data) // struct.calcsize(form)}{form}", data)
        if len(self.shape) == 1:
            return list(values)
        width = self.shape[1]
        return [list(values[row * width : (row + 1) * width]) for row in range(self.shape[0])]

    def numpy(self) -> "numpy.ndarray[Any, Any]":
        """Returns the values as an array that cannot be written to.

        float32 and float16 are a view, with no copy; formats that NumPy lacks become wider.

        Raises:
            ModuleNotFoundError: NumPy is not installed.
        """
        import numpy

        data, form = self._readable
        array = numpy.frombuffer(data, f"<{form}{struct.calcsize(form)}".replace("e", "f"))
        return array.reshape(self.shape)

    @cached_property
    def _readable(self) -> tuple[bytes | memoryview, str]:
        """The values in a format that both `struct` and NumPy have, and its letter."""
        if self.dtype in _FORMATS:
            return self.data, _FORMATS[self.dtype]
        return _WIDEN[self.dtype](bytes(self.data))


def _of_floats(vector: FloatVector) -> Vector:
    return Vector(_payload(vector), "float32", (len(vector.values),))


def _of_multi(multi: MultiVector) -> Vector:
    rows = [_payload(vector) for vector in multi.vectors]
    width = len(multi.vectors[0].values) if rows else 0
    return Vector(b"".join(rows), "float32", (len(rows), width))


def _of_packed(vector: PackedVector) -> Vector:
    return Vector(vector.data, _dtype(vector.dtype), (vector.dimensions,))


def _of_packed_multi(multi: PackedMultiVector) -> Vector:
    return Vector(multi.data, _dtype(multi.dtype), (multi.rows, multi.dimensions))


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
