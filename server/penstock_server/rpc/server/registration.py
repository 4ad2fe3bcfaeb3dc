"""Adding services to a server without registering their methods."""

from collections.abc import Sequence
from typing import Any, cast

import grpc
from grpc import aio


def unregistered(server: aio.Server) -> aio.Server:
    """Returns a view of a server to which generated code adds services, without registration.

    At each call, grpc.aio 1.84 and later wait again for the next call of every registered method:
    with all methods of this service, that takes a fifth of the CPU time of a short call. Without
    registration, handlers are found by the names of their methods.
    """
    return cast(aio.Server, _Unregistered(server))


class _Unregistered:
    """Adds only the handlers that are found by name."""

    def __init__(self, server: aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Adds handlers."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Does nothing: the same handlers are found by name."""
