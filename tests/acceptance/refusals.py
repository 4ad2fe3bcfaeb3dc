"""Failed calls, as callers see them."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio


@dataclass(frozen=True, slots=True)
class Refusal:
    """The failure of a call, without details that are unique to the call.

    Attributes:
        code: the gRPC status.
        reason: `ErrorInfo.reason`.
        metadata: `ErrorInfo.metadata`.
        fields: `BadRequest` paths.
        resource: name of the `ResourceInfo`.
        message: the status message.
    """

    code: grpc.StatusCode
    reason: str
    metadata: Mapping[str, str]
    fields: tuple[str, ...]
    resource: str
    message: str


async def refused(call: Awaitable[object]) -> Refusal:
    """Waits for a call that must fail; returns its failure."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return read(caught.value)


def read(error: aio.AioRpcError) -> Refusal:
    """Returns the rich status of an error; every error of the service has one."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = _detail(status, error_details_pb2.ErrorInfo())
    request = _detail(status, error_details_pb2.RequestInfo())
    bad = _detail(status, error_details_pb2.BadRequest())
    resource = _detail(status, error_details_pb2.ResourceInfo())
    assert status.code == error.code().value[0]
    assert info.domain == "penstock"
    assert request.request_id == trailers["x-request-id"]
    return Refusal(
        code=error.code(),
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad.field_violations),
        resource=resource.resource_name,
        message=error.details() or "",
    )


def _detail(status: status_pb2.Status, empty: Message) -> Any:
    """Returns the detail of a type, or an empty one."""
    for detail in status.details:
        if detail.Unpack(empty):
            break
    return empty
