"""How generated code adds services to a server."""

from collections.abc import Sequence
from typing import Any, cast

import grpc
from grpc import aio


def unregistered(server: aio.Server) -> aio.Server:
    """Returns what generated code adds services to, so that it does not register their methods.

    For each call, grpc.aio (1.85) begins anew to wait for the next call of every registered
    method: with ours, that takes a fifth of the CPU time of a short call. Handlers are found by
    the names of their methods without it.
    """
    return cast(aio.Server, _Unregistered(server))


class _Unregistered:
    """Adds what finds handlers by name, and nothing else."""

    def __init__(self, server: aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Adds handlers."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Adds nothing: the same handlers are among the others."""
