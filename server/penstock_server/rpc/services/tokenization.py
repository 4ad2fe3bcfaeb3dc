"""TokenizationService."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

from penstock.v1 import tokenization_pb2_grpc
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.tokenization_pb2 import (
    DetokenizeRequest,
    DetokenizeResponse,
    StreamTokenizeRequest,
    StreamTokenizeResponse,
    TokenizeRequest,
    TokenizeResponse,
)
from penstock_server.configuration import Settings
from penstock_server.convert import tokenization
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.rpc.services.item_requests import ItemMethod, item_results
from penstock_server.upstream import DETOKENIZATION, TOKENIZATION


class TokenizationServicer(tokenization_pb2_grpc.TokenizationServiceServicer):
    """Serves the tokenizers of the fleet's models."""

    def __init__(self, fleet: Fleet, settings: Callable[[], Settings]) -> None:
        """Serves from a fleet.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        self._fleet = fleet
        self._settings = settings

    async def Tokenize(self, request: TokenizeRequest, context: Context) -> TokenizeResponse:
        """Converts a text or a conversation to token ids."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, EngineOptions())
        body = await converted(rpc, tokenization.tokenize_body, request)
        answer = await self._fleet.call(TOKENIZATION, body, call)
        return await converted(rpc, tokenization.tokenize_response, answer)

    async def Detokenize(self, request: DetokenizeRequest, context: Context) -> DetokenizeResponse:
        """Converts token ids to text."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, EngineOptions())
        body = await converted(rpc, tokenization.detokenize_body, request)
        answer = await self._fleet.call(DETOKENIZATION, body, call)
        return await converted(rpc, tokenization.detokenize_response, answer)

    def StreamTokenize(
        self, request_iterator: AsyncIterator[StreamTokenizeRequest], context: Context
    ) -> AsyncGenerator[StreamTokenizeResponse, None]:
        """Converts the texts and conversations of a stream of items."""
        return item_results(_ITEMS, self._fleet, self._settings(), request_iterator, context)


def _tokens(answer: Mapping[str, Any], request: TokenizeRequest) -> TokenizeResponse:
    return tokenization.tokenize_response(answer)


_ITEMS = ItemMethod(
    "/penstock.v1.TokenizationService/Tokenize",
    TOKENIZATION,
    tokenization.tokenize_body,
    _tokens,
    StreamTokenizeResponse,
)
