"""ClassificationService."""

from typing import Any

from penstock.v1 import classification_pb2_grpc
from penstock.v1.classification_pb2 import ClassifyRequest, ClassifyResponse
from penstock_server.convert import classification
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import converted, upstream_call
from penstock_server.upstream import CLASSIFICATION


class ClassificationServicer(classification_pb2_grpc.ClassificationServiceServicer):
    """Serves classes from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def Classify(self, request: ClassifyRequest, context: Any) -> ClassifyResponse:
        """Classifies each input."""
        body = await converted(classification.request_body, request)
        call = upstream_call(request.model, request.engine)
        answer = await self._fleet.call(CLASSIFICATION, body, call)
        return await converted(classification.response, answer, request)
