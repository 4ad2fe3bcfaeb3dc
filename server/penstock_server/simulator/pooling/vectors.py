"""Vectors that depend only on the tokens, and the forms in which vLLM sends them."""

import base64
import hashlib
import math
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

from penstock_server.simulator.http.answers import Json

LENGTH = 64
"""Values in a whole vector."""

Vector: TypeAlias = Sequence[float]


def embedding(tokens: Sequence[int], length: int, *, normal: bool) -> Vector:
    """Returns the mean of the tokens' vectors: texts with common words are similar."""
    rows = [_token_vector(token) for token in tokens]
    mean = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)][:length]
    return _normalized(mean) if normal else mean


def token_embeddings(tokens: Sequence[int], *, normal: bool) -> list[Vector]:
    """Returns the vector of each token."""
    rows = [_token_vector(token) for token in tokens]
    return [_normalized(row) for row in rows] if normal else list(rows)


def class_scores(tokens: Sequence[int], classes: int, *, normal: bool) -> Vector:
    """Returns the scores of the classes; if `normal`, their softmax, or sigmoid for one class."""
    scores = [8 * value for value in embedding(tokens, classes, normal=False)]
    if not normal:
        return scores
    if classes == 1:
        return [1 / (1 + math.exp(-scores[0]))]
    powers = [math.exp(score) for score in scores]
    return [power / math.fsum(powers) for power in powers]


def packed(values: Iterable[float], dtype: str, endianness: str) -> bytes:
    """Returns the values in sequence in a number format."""
    width, pack = _FORMATS[dtype]
    data = b"".join(map(pack, values))
    return _swapped(data, width) if endianness == "big" else data


def shape(output: Json) -> list[int]:
    """Returns the shape of a vector or of a list of vectors."""
    nested = bool(output) and isinstance(output[0], list | tuple)
    return [len(output), len(output[0])] if nested else [len(output)]


def flat(output: Json) -> list[float]:
    """Returns all values of a vector or of a list of vectors."""
    if len(shape(output)) == 1:
        return list(output)
    return [value for row in output for value in row]


def in_base64(output: Json, dtype: str, endianness: str) -> str:
    """Returns the values as base64 text, without their shape."""
    return base64.b64encode(packed(flat(output), dtype, endianness)).decode()


@lru_cache(maxsize=4096)
def _token_vector(token: int) -> Vector:
    digest = hashlib.shake_128(str(token).encode()).digest(2 * LENGTH)
    return _float32([value / 32768 for value in struct.unpack(f"<{LENGTH}h", digest)])


def _normalized(values: Vector) -> Vector:
    norm = math.sqrt(math.fsum(value * value for value in values)) or 1.0
    return _float32([value / norm for value in values])


def _float32(values: Vector) -> Vector:
    form = f"<{len(values)}f"
    return struct.unpack(form, struct.pack(form, *values))


def _bfloat16(value: float) -> bytes:
    """Rounds to the upper half of a 32-bit float, to even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


def _fp8(exponent_bits: int) -> Callable[[float], bytes]:
    """Returns a conversion to 8-bit floats with a number of exponent bits; clamps large values."""
    mantissa_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    steps = 2**mantissa_bits

    def value_of(code: int) -> float:
        exponent, mantissa = divmod(code, steps)
        if exponent == 0:
            return math.ldexp(mantissa / steps, 1 - bias)
        return math.ldexp(1 + mantissa / steps, exponent - bias)

    # The codes above are NaN, and with 5 bits of exponent infinity.
    codes = 0x7F if exponent_bits == 4 else 0x7C
    values = [value_of(code) for code in range(codes)]

    def convert(value: float) -> bytes:
        above = min(bisect_left(values, abs(value)), codes - 1)
        below = max(above - 1, 0)
        gaps = (abs(value) - values[below], values[above] - abs(value))
        nearer = below if gaps[0] < gaps[1] or (gaps[0] == gaps[1] and below % 2 == 0) else above
        return bytes([nearer | (0x80 if math.copysign(1, value) < 0 else 0)])

    return convert


def _swapped(data: bytes, width: int) -> bytes:
    return b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))


_FORMATS: dict[str, tuple[int, Callable[[float], bytes]]] = {
    "float32": (4, struct.Struct("<f").pack),
    "float16": (2, struct.Struct("<e").pack),
    "bfloat16": (2, _bfloat16),
    "fp8_e4m3": (1, _fp8(4)),
    "fp8_e5m2": (1, _fp8(5)),
}
"""Width and conversion of each number format."""

DTYPES = tuple(_FORMATS)
"""Number formats by vLLM's name."""
