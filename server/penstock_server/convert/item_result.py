"""Items of streams: what an item must contain, and the message for its result."""

from typing import Any, TypeVar

from google.protobuf.message import Message

from penstock.v1.common_pb2 import Usage
from penstock_server.convert import wire
from penstock_server.convert.errors import invalid

LONGEST_KEY = 512
"""Most bytes of a key."""

_RESPONSE = 4
"""Number of the field of the response in every result."""

ResultT = TypeVar("ResultT", bound=Message)


def check_key(key: str) -> None:
    """Checks the key of an item.

    Raises:
        InvalidRequest: it is too long.
    """
    if len(key) > LONGEST_KEY or len(key.encode()) > LONGEST_KEY:
        raise invalid("key", f"must not be longer than {LONGEST_KEY} bytes")


def check(item: Any, *, in_order: bool) -> None:
    """Checks an item, except its request.

    Args:
        item: the item.
        in_order: whether the first item sets `in_order`.

    Raises:
        InvalidRequest: the key is too long, there is no request, or only a later item sets
            `in_order`.
    """
    check_key(item.key)
    if not item.HasField("request"):
        raise invalid("request", "is required")
    if item.in_order and not in_order:
        raise invalid("in_order", "must be set in the first message of the stream")


def result(
    kind: type[ResultT], key: str, index: int, response: Any, *, shares_usage: bool
) -> ResultT:
    """Returns the message for the response to an item, which can only be serialized.

    Args:
        kind: the message.
        key: the key of the item.
        index: the position of the item.
        response: the response, which may have fields that exist only in wire form.
        shares_usage: whether the token counts in it are those of several items.
    """
    fields: dict[str, Any] = {"key": key, "index": index}
    if shares_usage and response.HasField("usage"):
        fields["shared_usage"] = Usage.FromString(response.usage.SerializeToString())
        response.ClearField("usage")
    written = response.SerializeToString()
    return wire.with_fields(kind(**fields), (wire.head(_RESPONSE, len(written)), written))
