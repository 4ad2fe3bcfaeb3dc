"""Arbitrary messages of a type, generated from its descriptor."""

import functools
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from .jsons import JSON_TEXTS

_Field = FieldDescriptor
_DEPTH = 4
_MOST_FIELDS = 4
_MOST_ITEMS = 3

_TEXTS = st.one_of(
    st.sampled_from(
        ["", "x", "m", " ", "\x00", "\r\n", "a" * 5000, "👋", "user", "data:,", "http://x/"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)


def _integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    edges = st.sampled_from([low, high, low + 1, high - 1])
    return st.one_of(st.integers(0, 5), edges, st.integers(low, high))


_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    _Field.CPPTYPE_INT32: _integers(32, signed=True),
    _Field.CPPTYPE_INT64: _integers(64, signed=True),
    _Field.CPPTYPE_UINT32: _integers(32, signed=False),
    _Field.CPPTYPE_UINT64: _integers(64, signed=False),
    _Field.CPPTYPE_DOUBLE: st.one_of(st.sampled_from([0.0, 1.0]), st.floats()),
    _Field.CPPTYPE_FLOAT: st.floats(width=32),
    _Field.CPPTYPE_BOOL: st.booleans(),
}
_BYTES = st.one_of(st.binary(max_size=20), st.sampled_from([b"RIFF", b"\x00" * 5000]))


def _struct(levels: int) -> struct_pb2.Struct:
    struct = inner = struct_pb2.Struct()
    for _ in range(levels):
        inner = inner.fields["a"].struct_value
    inner.fields["b"].number_value = 1
    return struct


# protobuf parses a hundred levels, and each level of a Struct counts as three.
_DEEP_STRUCTS = st.builds(_struct, st.sampled_from([5, 10, 20, 28]))


def messages(kind: type[Message], depth: int = _DEPTH) -> st.SearchStrategy[Any]:
    """Generates messages of a type up to a depth; JSON may be nested deeper."""
    return _messages(kind.DESCRIPTOR, depth)


@functools.cache
def _messages(descriptor: Descriptor, depth: int) -> st.SearchStrategy[Any]:
    made = _built(descriptor, depth)
    if descriptor.full_name == "google.protobuf.Struct":
        return st.one_of(made, _DEEP_STRUCTS)
    return made


@st.composite
def _built(draw: st.DrawFn, descriptor: Descriptor, depth: int) -> Any:
    message: Any = GetMessageClass(descriptor)()
    fields = list(descriptor.fields)
    if not fields:
        return message
    chosen = st.lists(st.sampled_from(fields), max_size=_MOST_FIELDS, unique_by=lambda f: f.name)
    for field in draw(chosen):
        _fill(draw, message, field, depth)
    return message


def _fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type and field.message_type.GetOptions().map_entry:
        _fill_map(draw, getattr(message, field.name), field.message_type, depth)
    elif field.is_repeated:
        items = draw(st.lists(_value(field, depth), max_size=_MOST_ITEMS))
        getattr(message, field.name).extend(items)
    elif field.message_type:
        getattr(message, field.name).CopyFrom(draw(_value(field, depth)))
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, draw(_value(field, depth)))


def _fill_map(draw: st.DrawFn, target: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for _ in range(draw(st.integers(0, 2))):
        name, item = draw(_value(key, depth)), draw(_value(value, depth))
        if value.message_type:
            target[name].CopyFrom(item)
        else:
            target[name] = item


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type:
        if not depth:
            return st.builds(GetMessageClass(field.message_type))
        return st.deferred(lambda: _messages(field.message_type, depth - 1))
    if field.enum_type:
        known = [value.number for value in field.enum_type.values]
        return st.sampled_from([*known, max(known) + 1, 2**31 - 1, -1])
    if field.cpp_type == _Field.CPPTYPE_STRING:
        if field.type == _Field.TYPE_BYTES:
            return _BYTES
        holds_json = field.full_name == "penstock.v1.JsonDocument.json"
        return JSON_TEXTS.filter(_encodable) if holds_json else _TEXTS
    return _SCALARS[field.cpp_type]


def _encodable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
