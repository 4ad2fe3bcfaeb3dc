"""A channel without a network, on which a test plays the service.

The channel of grpcio-testing ignores its clock, so deadlines are tested against a server.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import grpc
import grpc_testing
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import status_pb2

from penstock import Client
from penstock.v1 import chat_completion_pb2, completion_pb2, model_pb2

T = TypeVar("T")
Trailers = Sequence[tuple[str, str | bytes]]

SERVICES = {
    **chat_completion_pb2.DESCRIPTOR.services_by_name,
    **completion_pb2.DESCRIPTOR.services_by_name,
    **model_pb2.DESCRIPTOR.services_by_name,
}


class FakeService:
    """The service's end of a client's calls."""

    def __init__(self) -> None:
        clock = grpc_testing.strict_fake_time(0)
        self.channel = grpc_testing.channel(tuple(SERVICES.values()), clock)

    def client(self, **settings: Any) -> Client:
        return Client(channel=self.channel, **settings)

    def begin(self, call: Callable[[], T]) -> "Future[T]":
        """Makes a blocking call in a daemon thread, which does not outlive a failed test."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except Exception as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def take(self, method: str, kind: str = "unary_unary") -> tuple[dict[str, Any], Any, Any]:
        """Returns the metadata and the request of the next call, and the object that answers it."""
        service, _, name = method.partition(".")
        descriptor = SERVICES[service].methods_by_name[name]
        metadata, *request, rpc = getattr(self.channel, f"take_{kind}")(descriptor)
        return dict(metadata), request[0] if request else None, rpc


def details(code: grpc.StatusCode, *found: Message) -> Trailers:
    """Returns the trailers of a status with details."""
    number: Any = code.value[0]
    status = status_pb2.Status(code=number)
    for one in found:
        packed = AnyMessage()
        packed.Pack(one)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)
