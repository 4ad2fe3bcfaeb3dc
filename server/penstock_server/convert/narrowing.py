"""Conversion of 32-bit floats to 16 bits, rounded to the nearest as PyTorch does."""

import struct
from collections.abc import Callable, Mapping, Sequence
from math import copysign, inf, isnan

from penstock.v1 import common_pb2
from penstock.v1.common_pb2 import VectorDtype

_NOT_A_NUMBER = 0x7FC0


def _float16(values: Sequence[float]) -> bytes:
    try:
        return struct.pack(f"<{len(values)}e", *values)
    except OverflowError:
        return b"".join(map(_one_float16, values))


def _one_float16(value: float) -> bytes:
    try:
        return struct.pack("<e", value)
    except OverflowError:
        return struct.pack("<e", copysign(inf, value))


def _bfloat16(values: Sequence[float]) -> bytes:
    count = len(values)
    bits = struct.unpack(f"<{count}I", struct.pack(f"<{count}f", *values))
    return struct.pack(f"<{count}H", *map(_upper_half, values, bits))


def _upper_half(value: float, bits: int) -> int:
    # Adds half of the last kept place; ties round to even.
    return _NOT_A_NUMBER if isnan(value) else (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


NARROW: Mapping[VectorDtype.ValueType, Callable[[Sequence[float]], bytes]] = {
    common_pb2.VECTOR_DTYPE_FLOAT16: _float16,
    common_pb2.VECTOR_DTYPE_BFLOAT16: _bfloat16,
}
"""Functions that pack 32-bit floats, little-endian, by the format they pack them in."""
