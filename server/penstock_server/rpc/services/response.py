"""ResponseService."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

from penstock.v1 import response_pb2_grpc
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.response_pb2 import (
    CancelResponseRequest,
    CancelResponseResponse,
    CreateResponseRequest,
    CreateResponseResponse,
    GetResponseRequest,
    GetResponseResponse,
    StreamResponseResponse,
    StreamStoredResponseRequest,
)
from penstock_server.convert.response import (
    chat_answer,
    chat_request,
    native_answer,
    native_request,
)
from penstock_server.fleet import Fleet
from penstock_server.rpc import status
from penstock_server.rpc.calls import Context, Rpc, converted, upstream_call
from penstock_server.upstream import (
    NATIVE_RESPONSE,
    RESPONSE,
    Call,
    ChoiceStream,
    Kind,
    ResponseEvents,
    UpstreamFailure,
)


class ResponseServicer(response_pb2_grpc.ResponseServiceServicer):
    """Serves responses from the fleet: through chat completions, or the upstreams' own API."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def CreateResponse(
        self, request: CreateResponseRequest, context: Context
    ) -> CreateResponseResponse:
        """Answers in one message."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine)
        call.prompt_cache_key = request.prompt_cache_key
        if await self._responds_natively(request, call):
            body = await converted(rpc, native_request.body, request, stream=False)
            answer = await self._fleet.call(NATIVE_RESPONSE, body, call)
            made = await converted(
                rpc, native_answer.created, answer, background=request.background
            )
            return CreateResponseResponse(response=made)
        body = await converted(rpc, chat_request.chat_body, request, stream=False)
        choices = chat_request.choices_wanted(request)
        answer = await self._fleet.call(RESPONSE, body, call, choices)
        return await converted(rpc, chat_answer.response, answer, request)

    async def StreamResponse(
        self, request: CreateResponseRequest, context: Context
    ) -> AsyncIterator[StreamResponseResponse]:
        """Answers in events."""
        rpc = Rpc.of(context)
        call = upstream_call(rpc, request.model, request.engine, stream=request.stream_options)
        call.prompt_cache_key = request.prompt_cache_key
        native = await self._responds_natively(request, call)
        stream = self._native_stream if native else self._converted_stream
        async with aclosing(stream(rpc, request, call)) as messages:
            async for message in messages:
                yield message

    async def StreamStoredResponse(
        self, request: StreamStoredResponseRequest, context: Context
    ) -> AsyncIterator[StreamResponseResponse]:
        """Answers in the events of a stored response."""
        rpc = Rpc.of(context)
        call, path = await self._stored(rpc, request)
        after = native_request.starting_after(request)
        stream = native_answer.NativeStream(resumable=True, stored=True)
        opened = self._fleet.stored_events(path, after, call, ResponseEvents(resumable=True))
        async with aclosing(_native_messages(opened, stream, request.model)) as messages:
            async for message in messages:
                if after is None or message.sequence_number > after:
                    yield message
        native_request.require_event(after, stream.number)

    async def GetResponse(
        self, request: GetResponseRequest, context: Context
    ) -> GetResponseResponse:
        """Returns a stored response."""
        rpc = Rpc.of(context)
        call, path = await self._stored(rpc, request)
        answer = await self._fleet.stored("GET", path, call)
        made = await converted(rpc, native_answer.response, answer)
        return GetResponseResponse(response=made)

    async def CancelResponse(
        self, request: CancelResponseRequest, context: Context
    ) -> CancelResponseResponse:
        """Stops a background response."""
        rpc = Rpc.of(context)
        call, path = await self._stored(rpc, request, "/cancel")
        answer = await self._fleet.stored("POST", path, call)
        made = await converted(rpc, native_answer.response, answer)
        return CancelResponseResponse(response=made)

    async def _responds_natively(self, request: CreateResponseRequest, call: Call) -> bool:
        continues = bool(request.previous_response_id)
        return await self._fleet.responds_natively(call, continues=continues)

    async def _native_stream(
        self, rpc: Rpc, request: CreateResponseRequest, call: Call
    ) -> AsyncGenerator[StreamResponseResponse, None]:
        body = await converted(rpc, native_request.body, request, stream=True)
        stream = native_answer.NativeStream(resumable=request.background)
        contract = ResponseEvents(resumable=request.background)
        opened = self._fleet.stream(NATIVE_RESPONSE, body, call, contract)
        async with aclosing(_native_messages(opened, stream, request.model)) as messages:
            async for message in messages:
                yield message

    async def _converted_stream(
        self, rpc: Rpc, request: CreateResponseRequest, call: Call
    ) -> AsyncGenerator[StreamResponseResponse, None]:
        body = await converted(rpc, chat_request.chat_body, request, stream=True)
        stream = chat_answer.ResponseStream(request)
        contract = ChoiceStream(chat_request.choices_wanted(request))
        try:
            async with self._fleet.stream(RESPONSE, body, call, contract) as events:
                async for event in events:
                    for message in stream.messages(event):
                        yield message
        except UpstreamFailure as failure:
            # See `_native_messages`.
            if failure.kind is Kind.HTTP_ERROR:
                safe = status.of_failure(failure, request.model).message
                for message in stream.failure(failure.error.type, safe):
                    yield message
            raise
        for message in stream.end():
            yield message

    async def _stored(
        self,
        rpc: Rpc,
        request: GetResponseRequest | CancelResponseRequest | StreamStoredResponseRequest,
        action: str = "",
    ) -> tuple[Call, str]:
        """Returns the call for a stored response, and the path of the response or an action."""
        call = upstream_call(rpc, request.model, EngineOptions())
        native = await self._fleet.may_store(call)
        path = native_request.stored_path(request.response_id, native=native, action=action)
        return call, path


async def _native_messages(
    opened: AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]],
    stream: native_answer.NativeStream,
    model: str,
) -> AsyncGenerator[StreamResponseResponse, None]:
    """Yields the messages for the events of an upstream's own Responses API."""
    failed: StreamResponseResponse | None = None
    try:
        async with opened as events:
            async for event in events:
                message = stream.message(event)
                if native_answer.failed(message):
                    failed = message
                else:
                    yield message
    except UpstreamFailure as failure:
        # The event may contain the upstream's secrets; the failure's message does not.
        if failed:
            safe = status.of_failure(failure, model).message
            yield native_answer.with_error(failed, safe)
        raise
