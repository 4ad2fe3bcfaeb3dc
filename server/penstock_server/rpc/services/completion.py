"""CompletionService."""

from collections.abc import AsyncIterator

from penstock.v1 import completion_pb2_grpc
from penstock.v1.completion_pb2 import (
    CreateCompletionRequest,
    CreateCompletionResponse,
    StreamCompletionResponse,
)
from penstock_server.convert import completion
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.upstream import COMPLETION, ChoiceStream


class CompletionServicer(completion_pb2_grpc.CompletionServiceServicer):
    """Serves text completions from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def CreateCompletion(
        self, request: CreateCompletionRequest, context: Context
    ) -> CreateCompletionResponse:
        """Continues prompts in one message."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, completion.request_body, request, stream=False)
        choices = completion.choices_wanted(request)
        answer = await self._fleet.call(COMPLETION, body, call, choices)
        return await converted(rpc, completion.response, answer, echo=request.echo)

    async def StreamCompletion(
        self, request: CreateCompletionRequest, context: Context
    ) -> AsyncIterator[StreamCompletionResponse]:
        """Continues prompts piece by piece."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine, stream=request.stream_options)
        body = await converted(rpc, completion.request_body, request, stream=True)
        stream = completion.CompletionStream(echo=request.echo)
        contract = ChoiceStream(completion.choices_wanted(request))
        async with self._fleet.stream(COMPLETION, body, call, contract) as events:
            # The prompt may be long, and the stream may last.
            del request, body
            async for event in events:
                if (message := stream.message(event)) is not None:
                    yield message
