"""Inputs of pooling models, and vectors as callers receive them."""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence

from penstock.v1 import common_pb2
from penstock.v1.common_pb2 import PackedVector, TokenIds, VectorDtype
from penstock.v1.message_pb2 import ChatInput, PoolingInput

from .chats import said

LONG = "hello world " * 300
"""A text that no model of the tests takes whole."""


def texts(*given: str) -> list[PoolingInput]:
    """Returns inputs of text."""
    return [PoolingInput(text=text) for text in given]


def token_ids(*given: Iterable[int]) -> list[PoolingInput]:
    """Returns inputs of token ids."""
    return [PoolingInput(token_ids=TokenIds(ids=ids)) for ids in given]


def talks(*given: str) -> list[PoolingInput]:
    """Returns conversations of one message each."""
    return [PoolingInput(chat=ChatInput(messages=[said(text)])) for text in given]


def length(vector: Iterable[float]) -> float:
    """Returns the Euclidean norm of a vector."""
    return math.sqrt(math.fsum(value * value for value in vector))


def alike(one: Sequence[float], other: Sequence[float], most: float) -> bool:
    """Returns whether no value of two vectors differs by more than a tolerance."""
    return all(abs(a - b) <= most for a, b in zip(one, other, strict=True))


PRECISION: Mapping[VectorDtype.ValueType, float] = {
    common_pb2.VECTOR_DTYPE_FLOAT16: 2**-11,
    common_pb2.VECTOR_DTYPE_BFLOAT16: 2**-8,
    common_pb2.VECTOR_DTYPE_FP8_E4M3: 2**-4,
    common_pb2.VECTOR_DTYPE_FP8_E5M2: 2**-3,
}
"""The packed formats, and how much of a value below 1 they may lose."""


def unpacked(vector: PackedVector) -> Sequence[float]:
    """Returns the values of a packed vector."""
    return read(vector.dtype, vector.data)


def read(dtype: VectorDtype.ValueType, data: bytes) -> Sequence[float]:
    """Returns the values of a packed format."""
    return _READERS[dtype](data)


def _float16(data: bytes) -> Sequence[float]:
    return struct.unpack(f"<{len(data) // 2}e", data)


def _bfloat16(data: bytes) -> Sequence[float]:
    # The upper half of a 32-bit float.
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    return struct.unpack(f"<{len(pairs)}f", b"".join(b"\0\0" + pair for pair in pairs))


def _fp8(exponent_bits: int) -> Callable[[bytes], Sequence[float]]:
    steps, bias = 2 ** (7 - exponent_bits), 2 ** (exponent_bits - 1) - 1

    def value(code: int) -> float:
        exponent, mantissa = divmod(code & 0x7F, steps)
        normal = 1 if exponent else 0
        size = math.ldexp(normal + mantissa / steps, (exponent or 1) - bias)
        return -size if code & 0x80 else size

    return lambda data: [value(code) for code in data]


_READERS: Mapping[VectorDtype.ValueType, Callable[[bytes], Sequence[float]]] = {
    common_pb2.VECTOR_DTYPE_FLOAT16: _float16,
    common_pb2.VECTOR_DTYPE_BFLOAT16: _bfloat16,
    common_pb2.VECTOR_DTYPE_FP8_E4M3: _fp8(4),
    common_pb2.VECTOR_DTYPE_FP8_E5M2: _fp8(5),
}
