"""ClassificationService."""

from penstock.v1 import classification_pb2_grpc
from penstock.v1.classification_pb2 import ClassifyRequest, ClassifyResponse
from penstock_server.convert import classification
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.upstream import CLASSIFICATION


class ClassificationServicer(classification_pb2_grpc.ClassificationServiceServicer):
    """Serves classification from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def Classify(self, request: ClassifyRequest, context: Context) -> ClassifyResponse:
        """Classifies each input."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, classification.request_body, request)
        answer = await self._fleet.call(CLASSIFICATION, body, call)
        return await converted(rpc, classification.response, answer, request)
