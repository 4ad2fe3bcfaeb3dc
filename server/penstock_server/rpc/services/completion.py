"""CompletionService."""

from collections.abc import AsyncIterator
from typing import Any

from penstock.v1 import completion_pb2_grpc
from penstock.v1.completion_pb2 import (
    CreateCompletionRequest,
    CreateCompletionResponse,
    StreamCompletionResponse,
)
from penstock_server.convert import completion
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import converted, upstream_call
from penstock_server.upstream import COMPLETION, ChoiceStream


class CompletionServicer(completion_pb2_grpc.CompletionServiceServicer):
    """Serves text completions from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def CreateCompletion(
        self, request: CreateCompletionRequest, context: Any
    ) -> CreateCompletionResponse:
        """Continues prompts in one message."""
        body = await converted(completion.request_body, request, stream=False)
        call = upstream_call(request.model, request.engine)
        choices = completion.choices_wanted(request)
        answer = await self._fleet.call(COMPLETION, body, call, choices)
        return await converted(completion.response, answer, echo=request.echo)

    async def StreamCompletion(
        self, request: CreateCompletionRequest, context: Any
    ) -> AsyncIterator[StreamCompletionResponse]:
        """Continues prompts piece by piece."""
        body = await converted(completion.request_body, request, stream=True)
        call = upstream_call(request.model, request.engine)
        stream = completion.CompletionStream(echo=request.echo)
        contract = ChoiceStream(completion.choices_wanted(request))
        async with self._fleet.stream(COMPLETION, body, call, contract) as events:
            async for event in events:
                if (message := stream.message(event)) is not None:
                    yield message
