"""GenerationService."""

from collections.abc import AsyncIterator

from penstock.v1 import generation_pb2_grpc
from penstock.v1.generation_pb2 import GenerateRequest, GenerateResponse, StreamGenerateResponse
from penstock_server.convert import token_generation
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.upstream import GENERATION, ChoiceStream


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """Serves generation from token ids from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def Generate(self, request: GenerateRequest, context: Context) -> GenerateResponse:
        """Continues a prompt in one message."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, token_generation.request_body, request, stream=False)
        choices = token_generation.choices_wanted(request)
        answer = await self._fleet.call(GENERATION, body, call, choices)
        return await converted(rpc, token_generation.response, answer, request.output_mode)

    async def StreamGenerate(
        self, request: GenerateRequest, context: Context
    ) -> AsyncIterator[StreamGenerateResponse]:
        """Continues a prompt piece by piece."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine, stream=request.stream_options)
        body = await converted(rpc, token_generation.request_body, request, stream=True)
        stream = token_generation.GenerateStream(request.output_mode)
        contract = ChoiceStream(token_generation.choices_wanted(request))
        async with self._fleet.stream(GENERATION, body, call, contract) as events:
            # The prompt may be long, and the stream may last.
            del request, body
            async for event in events:
                if (message := stream.message(event)) is not None:
                    yield message
