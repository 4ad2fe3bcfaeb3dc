"""Conversations through the Responses API: items in and out, events in a stream."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.generation import FormatLike, LogprobsLike, generation_fields
from penstock._base.option_docs import documented
from penstock._base.options import (
    CallOptions,
    JsonObject,
    SamplingOptions,
    StreamedOptions,
    StructuredOptions,
    TemplateOption,
    UserOptions,
    build,
)
from penstock._base.resuming import Resumption
from penstock._base.stream import AsyncStream, Stream
from penstock.response_answer import (
    Response,
    ResponseAccumulator,
    ResponseEvent,
    ResponseProgress,
    of_reply,
)
from penstock.response_input import Input, as_items
from penstock.tools import ToolChoiceLike, ToolLike, as_tool_choice, as_tools
from penstock.v1.response_pb2 import (
    CancelResponseRequest,
    CreateResponseRequest,
    GetResponseRequest,
    ReasoningOptions,
    StreamStoredResponseRequest,
)
from penstock.v1.response_pb2_grpc import ResponseServiceStub


@documented
class ResponseOptions(
    UserOptions, SamplingOptions, StructuredOptions, StreamedOptions, TemplateOption, total=False
):
    """Options of a response; see `CreateResponseRequest` in `penstock.v1`.

    Attributes:
        instructions: instructions that precede the input.
        tools: Python functions, messages, or OpenAI's JSON form; see `penstock.tools`.
        tool_choice: "auto", "none", "required", the name of a function, or OpenAI's JSON form.
        text_format: "text", "json_object", a type, or a JSON Schema.
        logprobs: True to return log probabilities, or the number of alternatives per position.
        reasoning: fields of `ReasoningOptions`, such as `{"effort": "low"}`.
        parallel_tool_calls: whether the response may contain several tool calls; default: true.
        include_reasoning: whether to return the reasoning; default: true.
        previous_response_id: id of the stored response that this one continues.
        store: whether to store the response for `get` and `previous_response_id`.
        background: whether to generate in the background: `create` returns immediately, and a
            stream can be continued with `resume` or `stream_stored`.
        include: additional output to return, by its names in the Responses API.
        max_tool_calls: maximum number of calls to tools that the upstream itself runs.
        truncation: handling of input that exceeds the model's context, "auto" or "disabled".
        text_verbosity: verbosity of the text, such as "low".
        service_tier: service tier; vLLM only returns it.
        labels: labels of your own, which the response repeats; `metadata` in the Responses API.
        safety_identifier: stable identifier of the end user for abuse detection.
        prompt_cache_key: key that marks requests with a common prefix.
        prompt_cache_retention: how long the cache keeps a prefix, such as "24h".
        prompt_cache_options: further options of the prompt cache.
    """

    instructions: str | None
    tools: Sequence[ToolLike] | None
    tool_choice: ToolChoiceLike | None
    parallel_tool_calls: bool | None
    text_format: FormatLike | None
    logprobs: LogprobsLike | None
    reasoning: ReasoningOptions | JsonObject | None
    include_reasoning: bool | None
    previous_response_id: str | None
    store: bool | None
    background: bool | None
    include: Sequence[str] | None
    max_tool_calls: int | None
    truncation: str | None
    text_verbosity: str | None
    service_tier: str | None
    labels: Mapping[str, str] | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    prompt_cache_options: JsonObject | None


@documented
class StoredResponseOptions(CallOptions, total=False):
    """Options of calls for stored responses.

    Attributes:
        model: name of the model that generated the response; optional if there is only one.
    """

    model: str | None


class Responses(Resource):
    """Conversations through the Responses API."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ResponseServiceStub(caller.channel)

    def create(self, input: Input, **options: Unpack[ResponseOptions]) -> Response:
        """Returns the answer to a conversation.

            >>> client.responses.create("Say hello.").text
            'Hello! How can I help you today?'

        Args:
            input: the conversation; a string is a message of the user.
            **options: see `ResponseOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = _request(input, options)
        return self._caller.call(self._stub.CreateResponse, request, options, of_reply)

    def stream(
        self, input: Input, *, resume: bool = False, **options: Unpack[ResponseOptions]
    ) -> Stream[ResponseEvent, Response]:
        """Starts an answer that arrives as events.

            >>> with client.responses.stream("Say hello.") as stream:
            ...     print("".join(stream.text_stream), stream.final().status)
            Hello! How can I help you today? completed

        Args:
            input: the conversation; a string is a message of the user.
            resume: whether to continue the stream if it breaks off, which requires `background`:
                every event arrives once, and an error is raised only if the stream cannot be
                continued, or five attempts in a row brought no event.
            **options: see `ResponseOptions`.

        Raises:
            ValueError: `resume` without `background`.
        """
        request = _request(input, options)
        return self._caller.stream(
            self._stub.StreamResponse,
            request,
            options,
            ResponseAccumulator(),
            resumption=_resumption(self._stub, request) if resume else None,
        )

    def stream_stored(
        self,
        response_id: str,
        *,
        starting_after: int | None = None,
        resume: bool = False,
        **options: Unpack[StoredResponseOptions],
    ) -> Stream[ResponseEvent, Response]:
        """Streams the events of a background response, whether it has ended or not.

            >>> with client.responses.stream("Say hello.", background=True) as stream:
            ...     first = next(stream)
            >>> number = first.proto.sequence_number
            >>> rest = client.responses.stream_stored(stream.snapshot.id, starting_after=number)
            >>> rest.final().text
            'Hello! How can I help you today?'

        Args:
            response_id: id of the response.
            starting_after: `sequence_number` of the last event received; default: all events.
            resume: see `stream`.
            **options: see `StoredResponseOptions`.
        """
        request = build(
            StreamStoredResponseRequest,
            options,
            response_id=response_id,
            starting_after=starting_after,
        )
        return self._caller.stream(
            self._stub.StreamStoredResponse,
            request,
            options,
            ResponseAccumulator(),
            resumption=_resumption(self._stub, request) if resume else None,
        )

    def get(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """Returns a stored response, from an upstream that stores responses.

            >>> made = client.responses.create("Say hello.", store=True)
            >>> client.responses.get(made.id).text
            'Hello! How can I help you today?'

        Raises:
            NotFoundError: the response does not exist.
            CallError: the call ended with a status other than OK.
        """
        request = build(GetResponseRequest, options, response_id=response_id)
        return self._caller.call(self._stub.GetResponse, request, options, of_reply)

    def cancel(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """Stops a background response and returns it.

            >>> made = client.responses.create("Tell me a story.", background=True)
            >>> client.responses.cancel(made.id).status
            'cancelled'

        Raises:
            NotFoundError: the response does not exist.
            CallError: the call ended with a status other than OK.
        """
        request = build(CancelResponseRequest, options, response_id=response_id)
        return self._caller.call(self._stub.CancelResponse, request, options, of_reply)


class AsyncResponses(AsyncResource):
    """Asynchronous counterpart of `Responses`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ResponseServiceStub(caller.channel)

    async def create(self, input: Input, **options: Unpack[ResponseOptions]) -> Response:
        """See `Responses.create`."""
        request = _request(input, options)
        return await self._caller.call(self._stub.CreateResponse, request, options, of_reply)

    def stream(
        self, input: Input, *, resume: bool = False, **options: Unpack[ResponseOptions]
    ) -> AsyncStream[ResponseEvent, Response]:
        """See `Responses.stream`; iterate over the result with `async for`, without `await`."""
        request = _request(input, options)
        return self._caller.stream(
            self._stub.StreamResponse,
            request,
            options,
            ResponseAccumulator(),
            resumption=_resumption(self._stub, request) if resume else None,
        )

    def stream_stored(
        self,
        response_id: str,
        *,
        starting_after: int | None = None,
        resume: bool = False,
        **options: Unpack[StoredResponseOptions],
    ) -> AsyncStream[ResponseEvent, Response]:
        """See `Responses.stream_stored`."""
        request = build(
            StreamStoredResponseRequest,
            options,
            response_id=response_id,
            starting_after=starting_after,
        )
        return self._caller.stream(
            self._stub.StreamStoredResponse,
            request,
            options,
            ResponseAccumulator(),
            resumption=_resumption(self._stub, request) if resume else None,
        )

    async def get(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """See `Responses.get`."""
        request = build(GetResponseRequest, options, response_id=response_id)
        return await self._caller.call(self._stub.GetResponse, request, options, of_reply)

    async def cancel(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """See `Responses.cancel`."""
        request = build(CancelResponseRequest, options, response_id=response_id)
        return await self._caller.call(self._stub.CancelResponse, request, options, of_reply)


def _resumption(
    stub: ResponseServiceStub, request: CreateResponseRequest | StreamStoredResponseRequest
) -> Resumption:
    """Returns how a stream continues after it broke off.

    Raises:
        ValueError: it cannot, because its response is not generated in the background.
    """
    if isinstance(request, CreateResponseRequest):
        if not request.background:
            raise ValueError("resume=True requires background=True")
        progress = ResponseProgress(model=request.model)
    else:
        number = request.starting_after if request.HasField("starting_after") else -1
        progress = ResponseProgress(request.response_id, number, request.model)
    return Resumption(stub.StreamStoredResponse, progress)


def _request(input: Input, options: ResponseOptions) -> CreateResponseRequest:
    fields = generation_fields(options, "text_format")
    if tools := options.get("tools"):
        fields["tools"] = as_tools(tools)
    if tool_choice := options.get("tool_choice"):
        fields["tool_choice"] = as_tool_choice(tool_choice)
    if isinstance(input, str):
        fields["input_text"] = input
    else:
        fields["input"] = as_items(input)
    # The option is named `labels` because `metadata` is the metadata of the call.
    fields["metadata"] = options.get("labels")
    given = {name: value for name, value in options.items() if name != "labels"}
    return build(CreateResponseRequest, given, "sampling", **fields)
