"""Timestamps in the forms that upstreams use."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.convert import extra
from penstock_server.json_numbers import number

_SECONDS = range(253_402_300_800)  # until the end of the year 9999, as in protobuf


def fill(target: Timestamp, holder: extra.HasExtra, key: str, data: Mapping[str, Any]) -> None:
    """Writes a time; if it cannot be read, keeps it in `extra`.

    Args:
        target: the field of the message.
        holder: the message.
        key: the upstream's key.
        data: the upstream's object.
    """
    seconds = data.get(key)
    if type(seconds) is int and seconds in _SECONDS:
        target.seconds = seconds
    else:
        extra.fill_with(holder, key, data, lambda value: target.CopyFrom(_timestamp(value)))


def _timestamp(value: Any) -> Timestamp:
    """Converts seconds since 1970 or a time as in RFC 3339."""
    made = Timestamp()
    if isinstance(value, str) and "T" in value:
        made.FromJsonString(value)
    else:
        made.FromNanoseconds(int(Decimal(repr(number(value))) * 10**9))
    return made
