"""PoolingService."""

from penstock.v1 import pooling_pb2_grpc
from penstock.v1.pooling_pb2 import PoolRequest, PoolResponse
from penstock_server.convert import pooling
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.rpc.services.vectors import call_for_vectors
from penstock_server.upstream import POOLING


class PoolingServicer(pooling_pb2_grpc.PoolingServiceServicer):
    """Serves the output of pooling models from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def Pool(self, request: PoolRequest, context: Context) -> PoolResponse:
        """Runs a pooling task on each input."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, pooling.request_body, request)
        answer = await call_for_vectors(self._fleet, POOLING, body, call)
        return await converted(rpc, pooling.response, answer, request)
