"""ChatCompletionService."""

from collections.abc import AsyncIterator

from penstock.v1 import chat_completion_pb2_grpc
from penstock.v1.chat_completion_pb2 import (
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock_server.convert import chat
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.upstream import CHAT_COMPLETION, ChoiceStream


class ChatCompletionServicer(chat_completion_pb2_grpc.ChatCompletionServiceServicer):
    """Serves chat completions from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def CreateChatCompletion(
        self, request: CreateChatCompletionRequest, context: Context
    ) -> CreateChatCompletionResponse:
        """Answers a conversation in one message."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        body = await converted(rpc, chat.request_body, request, stream=False)
        choices = chat.choices_wanted(request)
        answer = await self._fleet.call(CHAT_COMPLETION, body, call, choices)
        return await converted(rpc, chat.response, answer)

    async def StreamChatCompletion(
        self, request: CreateChatCompletionRequest, context: Context
    ) -> AsyncIterator[StreamChatCompletionResponse]:
        """Answers a conversation piece by piece."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine, stream=request.stream_options)
        body = await converted(rpc, chat.request_body, request, stream=True)
        stream = chat.ChatStream()
        contract = ChoiceStream(chat.choices_wanted(request))
        async with self._fleet.stream(CHAT_COMPLETION, body, call, contract) as events:
            # The prompt may be long, and the stream may last.
            del request, body
            async for event in events:
                if (message := stream.message(event)) is not None:
                    yield message
