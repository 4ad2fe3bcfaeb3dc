"""ClassificationService."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from penstock.v1 import classification_pb2_grpc
from penstock.v1.classification_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    StreamClassifyRequest,
    StreamClassifyResponse,
)
from penstock_server.configuration import Settings
from penstock_server.convert import classification, joined
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.rpc.services.item_requests import ItemMethod, item_results
from penstock_server.upstream import CLASSIFICATION


class ClassificationServicer(classification_pb2_grpc.ClassificationServiceServicer):
    """Serves classification from the fleet."""

    def __init__(self, fleet: Fleet, settings: Callable[[], Settings]) -> None:
        """Serves from a fleet.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        self._fleet = fleet
        self._settings = settings

    async def Classify(self, request: ClassifyRequest, context: Context) -> ClassifyResponse:
        """Classifies each input."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, classification.request_body, request)
        answer = await self._fleet.call(CLASSIFICATION, body, call)
        return await converted(rpc, classification.response, answer, request)

    def StreamClassify(
        self, request_iterator: AsyncIterator[StreamClassifyRequest], context: Context
    ) -> AsyncGenerator[StreamClassifyResponse, None]:
        """Classifies the inputs of a stream of items."""
        return item_results(_ITEMS, self._fleet, self._settings(), request_iterator, context)


_ITEMS = ItemMethod(
    "/penstock.v1.ClassificationService/Classify",
    CLASSIFICATION,
    classification.request_body,
    classification.response,
    StreamClassifyResponse,
    part=joined.inputs,
)
