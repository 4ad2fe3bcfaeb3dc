"""The number of entries in a serialized message equals that of the parsed message."""

from typing import Any

import pytest
from fuzz.conversation import message_type
from fuzz.messages import messages
from fuzz.profile import examples
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.rpc.calls.entries import VALUES_PER_ENTRY, TooManyEntries, count, plan

from .every_rpc import EVERY_RPC

REQUESTS: dict[str, Any] = {
    kind.__name__: kind for kind in (message_type(rpc, "input") for rpc in EVERY_RPC)
}
every_request = pytest.mark.parametrize("kind", REQUESTS.values(), ids=REQUESTS)
WITHOUT_END = 10**9


def walked(message: Any) -> int:
    """Returns the number of entries of a parsed message."""
    return sum(_in_field(field, value) for field, value in message.ListFields())


def _in_field(field: Any, value: Any) -> int:
    if field.message_type and field.message_type.GetOptions().map_entry:
        inner = (walked(one) for one in value.values() if isinstance(one, Message))
        return 3 * len(value) + sum(inner)
    if field.message_type:
        several = value if field.is_repeated else [value]
        return len(several) + sum(map(walked, several))
    if field.full_name == "penstock.v1.JsonDocument.json":
        text = str(value)
        return 1 + text.count("[") + text.count("{") + text.count(",") // VALUES_PER_ENTRY
    if not field.is_repeated:
        return 1
    length = len(value)
    texts = field.cpp_type == FieldDescriptor.CPPTYPE_STRING
    return length if texts else 1 + length // VALUES_PER_ENTRY


@every_request
@examples(10)
@given(data=st.data())
def test_any_message(kind: Any, data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    known, serialized, found = plan(kind), message.SerializeToString(), walked(message)
    assert count(serialized, known, WITHOUT_END) == found
    assert count(serialized, known, found) == found
    if found:
        with pytest.raises(TooManyEntries):
            count(serialized, known, found - 1)


@every_request
@examples(10)
@given(data=st.data())
def test_never_less_than_the_parser_finds(kind: Any, data: st.DataObject) -> None:
    """Even if fields repeat, have another type or are cut."""
    pieces = st.one_of(
        st.binary(max_size=12),
        messages(kind).map(lambda message: message.SerializeToString()),
        st.sampled_from([b"\xfb\x7f", b"\xfc\x7f", b"\x13", b"\x14", b"\x12\x00", b"\x0a\x80\x00"]),
    )
    serialized = b"".join(data.draw(st.lists(pieces, max_size=4)))
    found = count(serialized, plan(kind), WITHOUT_END)
    try:
        parsed = kind.FromString(serialized)
    except DecodeError:
        return
    assert found >= walked(parsed)
