"""ChatCompletionService."""

from collections.abc import AsyncIterator
from typing import Any

from penstock.v1 import chat_completion_pb2_grpc
from penstock.v1.chat_completion_pb2 import (
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock_server.convert import chat
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import converted, upstream_call
from penstock_server.upstream import CHAT_COMPLETION, ChoiceStream


class ChatCompletionServicer(chat_completion_pb2_grpc.ChatCompletionServiceServicer):
    """Serves chat completions from the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def CreateChatCompletion(
        self, request: CreateChatCompletionRequest, context: Any
    ) -> CreateChatCompletionResponse:
        """Answers a conversation in one message."""
        body = await converted(chat.request_body, request, stream=False)
        call = upstream_call(request.model, request.engine)
        choices = chat.choices_wanted(request)
        answer = await self._fleet.call(CHAT_COMPLETION, body, call, choices)
        return await converted(chat.response, answer)

    async def StreamChatCompletion(
        self, request: CreateChatCompletionRequest, context: Any
    ) -> AsyncIterator[StreamChatCompletionResponse]:
        """Answers a conversation piece by piece."""
        body = await converted(chat.request_body, request, stream=True)
        call = upstream_call(request.model, request.engine)
        stream = chat.ChatStream()
        contract = ChoiceStream(chat.choices_wanted(request))
        async with self._fleet.stream(CHAT_COMPLETION, body, call, contract) as events:
            async for event in events:
                if (message := stream.message(event)) is not None:
                    yield message
