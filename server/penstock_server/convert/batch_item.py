"""Items of batches: the request that an item contains, and the result that it gets."""

from typing import Any

from penstock.v1.batch_pb2 import RunBatchRequest, RunBatchResponse
from penstock_server.convert import item_result, wire
from penstock_server.convert.errors import invalid


def kind(item: RunBatchRequest) -> str:
    """Returns the name of the member that contains the item's request.

    Raises:
        InvalidRequest: the key or the request is missing, or the key is too long.
    """
    if not item.key:
        raise invalid("key", "is required")
    item_result.check_key(item.key)
    member = item.WhichOneof("request")
    if member is None:
        raise invalid("request", "is required")
    return member


def set_priority(item: RunBatchRequest, priority: int) -> None:
    """Sets the priority of an item that has none."""
    request: Any = getattr(item, kind(item))
    if not request.engine.HasField("priority"):
        request.engine.priority = priority


def result(item: RunBatchRequest, request_id: str, answer: bytes) -> RunBatchResponse:
    """Returns the message for the answer to an item, which can only be serialized.

    Args:
        item: the item.
        request_id: its request id.
        answer: the answer, serialized: it may have fields that exist only in wire form.
    """
    number = RunBatchResponse.DESCRIPTOR.fields_by_name[kind(item)].number
    named = RunBatchResponse(key=item.key, request_id=request_id)
    return wire.with_fields(named, (wire.head(number, len(answer)), answer))
