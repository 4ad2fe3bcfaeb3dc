"""Vectors: the form in which they are requested, and their conversion to our messages.

If the upstream sends numbers as bytes, they are copied in blocks: the wire form of a packed
`repeated float` is the little-endian bytes themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from pybase64 import b64decode  # twenty times as fast as the standard library's

from penstock.v1 import common_pb2
from penstock.v1.common_pb2 import FloatVector, VectorDtype
from penstock.v1.embedding_pb2 import Embedding
from penstock.v1.pooling_pb2 import PoolingResult
from penstock_server.convert.errors import MalformedAnswer, invalid, unsupported
from penstock_server.convert.narrowing import NARROW
from penstock_server.convert.wire import head
from penstock_server.json_numbers import integer, number

Target: TypeAlias = Embedding | PoolingResult

FLOAT32 = common_pb2.VECTOR_DTYPE_FLOAT32
MOST_SHAPED = 512
"""Number of inputs whose shapes certainly fit in the single header in which vLLM sends them."""
KEYS = frozenset({"index", "object", "bytes", "embed_dtype", "endianness", "start", "end", "shape"})
"""Keys of a result that describe its vector, besides the one that holds it."""

# Base64 may come as a view of its characters.
_TEXT = (memoryview, str)
_ENCODING = "encoding_format"
# From the error message of vLLM before 0.11.1 for any other encoding.
_OLD_ENCODINGS = "'float' or 'base64'"
_FAST_KEYS = frozenset({_ENCODING, "embed_dtype", "endianness"})


@dataclass(frozen=True, slots=True)
class Format:
    """A number format.

    Attributes:
        dtype: number in our API.
        name: name in vLLM's API.
        width: size of one value in bytes.
    """

    dtype: VectorDtype.ValueType
    name: str
    width: int

    @property
    def packed(self) -> bool:
        """Whether callers receive bytes instead of floats."""
        return self.dtype != FLOAT32


_FORMATS = {
    form.dtype: form
    for form in (
        Format(FLOAT32, "float32", 4),
        Format(common_pb2.VECTOR_DTYPE_FLOAT16, "float16", 2),
        Format(common_pb2.VECTOR_DTYPE_BFLOAT16, "bfloat16", 2),
        Format(common_pb2.VECTOR_DTYPE_FP8_E4M3, "fp8_e4m3", 1),
        Format(common_pb2.VECTOR_DTYPE_FP8_E5M2, "fp8_e5m2", 1),
    )
}


def form_of(dtype: VectorDtype.ValueType) -> Format:
    """Returns the requested format.

    Raises:
        InvalidRequest: the dtype is unknown.
    """
    form = _FORMATS.get(dtype or FLOAT32)
    if form is None:
        raise invalid("dtype", "is not a known value")
    return form


def as_base64() -> dict[str, Any]:
    """Returns the keys that request plain vectors of 32-bit floats, which all upstreams support.

    Bytes would be faster, but the header that describes them takes more than 100 bytes for each
    vector: common proxies in front of an upstream refuse a header of more than 4 or 8 KiB.
    """
    return {_ENCODING: "base64", "endianness": "little"}


def as_bytes(form: Format, inputs: int) -> dict[str, Any]:
    """Returns the keys that request vectors of any shape and format.

    The answer describes each vector in a header, whose size limits the number of inputs.

    Raises:
        InvalidRequest: there are too many inputs for a packed format.
    """
    if inputs <= MOST_SHAPED:
        return {_ENCODING: "bytes", "embed_dtype": form.name, "endianness": "little"}
    if form.packed:
        raise invalid("inputs", f"must be at most {MOST_SHAPED} with this dtype")
    return as_floats()


def as_floats() -> dict[str, Any]:
    """Returns the keys that request JSON numbers, which are slow but have no limits."""
    return {_ENCODING: "float"}


def otherwise(body: Mapping[str, Any], refused: str, why: str) -> dict[str, Any] | None:
    """Returns the body that requests JSON numbers if an upstream refused the encoding, else None.

    Args:
        body: the refused body.
        refused: parameter that the upstream named; vLLM before 0.14 names none.
        why: error message of the upstream.
    """
    fast = body.get(_ENCODING) in ("base64", "bytes")
    packed = body.get("embed_dtype", "float32") != "float32"
    encoding = refused.removeprefix("body.") == _ENCODING if refused else _OLD_ENCODINGS in why
    if not fast or packed or not encoding:
        return None
    return {key: body[key] for key in body if key not in _FAST_KEYS} | as_floats()


def fill(target: Target, result: Mapping[str, Any], key: str, form: Format) -> None:
    """Writes the vector or vectors of a result, whatever their form.

    Args:
        target: the message to write to.
        result: the upstream's result; `key` holds base64 or numbers, or `bytes` the bytes.
        key: see above.
        form: requested format.

    Raises:
        MalformedAnswer: the result has no vector, or the vector does not match its description.
        UnsupportedRequest: the upstream ignored the format.
    """
    raw = result.get("bytes")
    if raw is not None and form.packed and _has_form(result, _FORMATS[FLOAT32]):
        _fill_narrowed(target, result, key, form)
        return
    if raw is not None:
        _check_form(result, form)
        _fill_bytes(target, raw, [integer(size) for size in result["shape"]], form)
        return
    values = result[key]
    if form.packed:
        _fill_narrowed(target, result, key, form)
    elif isinstance(values, _TEXT):
        raw = b64decode(values, validate=True)
        _fill_bytes(target, raw, (len(raw) // form.width,), form)
    elif isinstance(values, list):
        _fill_numbers(target, values)
    else:
        raise MalformedAnswer(f"{key} is neither text nor a list")


def plain(result: Mapping[str, Any], key: str) -> bytes:
    """Returns the bytes of a vector of 32-bit floats; nothing for a result of another form."""
    values = result.get(key)
    if not isinstance(values, _TEXT) or not result.keys() <= {"index", "object", key}:
        return b""
    return b64decode(values, validate=True)


def values_in(raw: bytes) -> int:
    """Returns the number of 32-bit floats in bytes; 0 for a part of one."""
    values, rest = divmod(len(raw), _FORMATS[FLOAT32].width)
    return 0 if rest else values


def _fill_narrowed(target: Target, result: Mapping[str, Any], key: str, form: Format) -> None:
    """Converts vectors of 32-bit floats to the requested format, which the upstream ignored.

    Raises:
        UnsupportedRequest: there is no conversion to the format.
    """
    narrow = NARROW.get(form.dtype)
    if narrow is None:
        raise unsupported("dtype", "the upstream ignored it: it sent 32-bit floats")
    plain = PoolingResult()
    fill(plain, result, key, _FORMATS[FLOAT32])
    if plain.HasField("float_vector"):
        _fill_one(target, narrow(plain.float_vector.values), form)
        return
    vectors = [vector.values for vector in plain.multi_vector.vectors]
    raw = b"".join(map(narrow, vectors))
    _fill_several(target, raw, (len(vectors), length(plain)), form)


def length(target: Target) -> int:
    """Returns the number of values in the vector, or in each of several; 0 if there is none."""
    if target.HasField("float_vector"):
        return len(target.float_vector.values)
    if vectors := target.multi_vector.vectors:
        return len(vectors[0].values)
    return target.packed_vector.dimensions or target.packed_multi_vector.dimensions


def _has_form(result: Mapping[str, Any], form: Format) -> bool:
    same: bool = (result["embed_dtype"], result["endianness"]) == (form.name, "little")
    return same


def _check_form(result: Mapping[str, Any], form: Format) -> None:
    if _has_form(result, form):
        return
    came = f"{result['endianness']}-endian {result['embed_dtype']}"
    fault = f"expected little-endian {form.name}, received {came:.80}"
    if form.packed:
        raise unsupported("dtype", f"the upstream ignored it: {fault}")
    raise MalformedAnswer(fault)


def _fill_bytes(target: Target, raw: bytes, shape: Sequence[int], form: Format) -> None:
    if min(shape, default=0) < 0 or prod(shape) * form.width != len(raw):
        raise MalformedAnswer(f"{len(raw)} bytes do not match {form.name} of shape {shape!s:.80}")
    if len(shape) == 1:
        _fill_one(target, raw, form)
    elif len(shape) == 2:
        _fill_several(target, raw, shape, form)
    else:
        raise MalformedAnswer(f"the shape {shape!s:.80} has neither one nor two dimensions")


def _fill_one(target: Target, raw: bytes, form: Format) -> None:
    if not raw:
        raise MalformedAnswer("a vector has no values")
    if not form.packed:
        _fill_floats(target.float_vector, raw)
        return
    target.packed_vector.dtype = form.dtype
    target.packed_vector.dimensions = len(raw) // form.width
    target.packed_vector.data = raw


def _fill_several(target: Target, raw: bytes, shape: Sequence[int], form: Format) -> None:
    rows, dimensions = shape
    if form.packed:
        packed = target.packed_multi_vector
        packed.dtype = form.dtype
        packed.rows, packed.dimensions, packed.data = rows, dimensions, raw
        return
    target.multi_vector.SetInParent()
    size = dimensions * form.width
    for start in range(0, len(raw), size):
        _fill_floats(target.multi_vector.vectors.add(), raw[start : start + size])


def _fill_floats(target: FloatVector, raw: bytes) -> None:
    """Parses the bytes as protobuf's wire form, which is far faster than a loop over floats."""
    target.MergeFromString(head(FloatVector.VALUES_FIELD_NUMBER, len(raw)) + raw)


def _fill_numbers(target: Target, values: list[Any]) -> None:
    if not values:
        raise MalformedAnswer("a vector has no values")
    if not isinstance(values[0], list):
        _extend(target.float_vector, values)
        return
    for row in values:
        if len(row) != len(values[0]):
            raise MalformedAnswer("its vectors have different lengths")
        _extend(target.multi_vector.vectors.add(), row)


def _extend(target: FloatVector, values: list[Any]) -> None:
    try:
        target.values.extend(values)
    except TypeError:
        # JSON has no NaN: vLLM writes null.
        target.values.extend([number(value) for value in values])
