"""A collector of traces that accepts everything and keeps nothing.

python -m bench.collector, which prints its port.
"""

import asyncio
from typing import Any

import grpc
from grpc import aio

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class _Accepting(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(_accept) if details.method == _EXPORT else None


async def _accept(request: bytes, context: Any) -> bytes:
    return b""  # an empty ExportTraceServiceResponse: everything was accepted


async def _serve() -> None:
    server = aio.server()
    server.add_generic_rpc_handlers((_Accepting(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
