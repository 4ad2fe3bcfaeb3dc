"""Points in time as upstreams write them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.convert import extra
from penstock_server.json_numbers import number

_SECONDS = range(253_402_300_800)  # until the end of the year 9999, which is that of timestamps


def fill(target: Timestamp, holder: extra.HasExtra, key: str, data: Mapping[str, Any]) -> None:
    """Writes the time under a key; one that cannot be read is kept in `extra`.

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
    """Returns the time that is written as seconds since 1970, or as in RFC 3339."""
    made = Timestamp()
    if isinstance(value, str) and "T" in value:
        made.FromJsonString(value)
    else:
        made.FromNanoseconds(int(Decimal(repr(number(value))) * 10**9))
    return made
