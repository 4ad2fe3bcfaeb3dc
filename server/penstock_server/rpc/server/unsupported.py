"""Methods that the API does not have: they end as UNIMPLEMENTED, with a reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from penstock_server.rpc import status
from penstock_server.rpc.calls import PACKAGE, Context, Handler, Rpc
from penstock_server.rpc.middleware import abort


class UnsupportedMethods(grpc.GenericRpcHandler):
    """Refuses every method of our package that no servicer has."""

    def __init__(self, services: Sequence[str]) -> None:
        """Names the services that the server offers in each refusal."""
        names = ", ".join(sorted(services))
        self._message = f"is not an operation of this server; it offers {names}"

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns a handler that refuses methods of our package, None for others."""
        if not handler_call_details.method.startswith(PACKAGE):
            return None
        # It streams both ways, so it can refuse every kind of method.
        make: Any = grpc.stream_stream_rpc_method_handler
        handler: Handler = make(self._refuse)
        return handler

    async def _refuse(self, _requests: Any, context: Context) -> AsyncIterator[bytes]:
        rpc = Rpc.of(context)
        message = f"{rpc.method.removeprefix('/')} {self._message}"
        await abort(rpc, status.Status(status.UNSUPPORTED_OPERATION, message))
        yield b""
