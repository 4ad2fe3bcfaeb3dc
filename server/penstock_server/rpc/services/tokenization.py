"""TokenizationService."""

from typing import Any

from penstock.v1 import tokenization_pb2_grpc
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.tokenization_pb2 import (
    DetokenizeRequest,
    DetokenizeResponse,
    TokenizeRequest,
    TokenizeResponse,
)
from penstock_server.convert import tokenization
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import converted, upstream_call
from penstock_server.upstream import DETOKENIZATION, TOKENIZATION


class TokenizationServicer(tokenization_pb2_grpc.TokenizationServiceServicer):
    """Serves the tokenizers of the fleet's models."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def Tokenize(self, request: TokenizeRequest, context: Any) -> TokenizeResponse:
        """Turns a text or a conversation into token ids."""
        body = await converted(tokenization.tokenize_body, request)
        call = upstream_call(request.model, EngineOptions())
        answer = await self._fleet.call(TOKENIZATION, body, call)
        return await converted(tokenization.tokenize_response, answer)

    async def Detokenize(self, request: DetokenizeRequest, context: Any) -> DetokenizeResponse:
        """Turns token ids into text."""
        body = await converted(tokenization.detokenize_body, request)
        call = upstream_call(request.model, EngineOptions())
        answer = await self._fleet.call(DETOKENIZATION, body, call)
        return await converted(tokenization.detokenize_response, answer)
