"""The Responses form of a conversation: items in and out, events in a stream."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.generation import FormatLike, LogprobsLike, generation_fields
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
from penstock._base.stream import AsyncStream, Stream
from penstock.response_answer import (
    Response,
    ResponseAccumulator,
    ResponseEvent,
    of_reply,
)
from penstock.response_input import Input, as_items
from penstock.tools import ToolChoiceLike, ToolLike, as_tool_choice, as_tools
from penstock.v1.response_pb2 import (
    CancelResponseRequest,
    CreateResponseRequest,
    GetResponseRequest,
    ReasoningOptions,
)
from penstock.v1.response_pb2_grpc import ResponseServiceStub


class ResponseOptions(
    UserOptions, SamplingOptions, StructuredOptions, StreamedOptions, TemplateOption, total=False
):
    """Options of a response; see `CreateResponseRequest` in `penstock.v1`.

    Attributes:
        instructions: instructions that come before the input.
        tools: functions of Python, messages, or OpenAI's JSON; see `penstock.tools`.
        tool_choice: "auto", "none", "required", the name of a function, or as in OpenAI's JSON.
        text_format: "text", "json_object", a type, or a JSON Schema.
        logprobs: whether, or how many alternatives at each position.
        reasoning: fields of `ReasoningOptions`, as `{"effort": "low"}`.
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


class StoredResponseOptions(CallOptions, total=False):
    """Options of calls about stored responses.

    Attributes:
        model: name of the model that made the response; not needed if there is only one.
    """

    model: str | None


class Responses(Resource):
    """The Responses form of conversations."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ResponseServiceStub(caller.channel)

    def create(self, input: Input, **options: Unpack[ResponseOptions]) -> Response:
        """Returns the answer to a conversation.

            >>> client.responses.create("Say hello.").text
            'Hello! How can I help you today?'

        Args:
            input: the conversation; a plain text is what the user says.
            options: see `ResponseOptions`.

        Raises:
            CallError: the call ended with another status than OK.
        """
        request = _request(input, options)
        return self._caller.call(self._stub.CreateResponse, request, options, of_reply)

    def stream(
        self, input: Input, **options: Unpack[ResponseOptions]
    ) -> Stream[ResponseEvent, Response]:
        """Begins an answer that comes in events; takes the same as `create`.

        >>> with client.responses.stream("Say hello.") as stream:
        ...     print("".join(stream.text_stream), stream.final().status)
        Hello! How can I help you today? completed
        """
        request = _request(input, options)
        return self._caller.stream(
            self._stub.StreamResponse, request, options, ResponseAccumulator()
        )

    def get(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """Returns a stored response, from upstreams that store them.

            >>> made = client.responses.create("Say hello.", store=True)
            >>> client.responses.get(made.id).text
            'Hello! How can I help you today?'

        Raises:
            NotFoundError: there is no such response.
            CallError: the call ended with another status than OK.
        """
        request = build(GetResponseRequest, options, response_id=response_id)
        return self._caller.call(self._stub.GetResponse, request, options, of_reply)

    def cancel(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """Stops a background response and returns it.

            >>> made = client.responses.create("Tell me a story.", background=True)
            >>> client.responses.cancel(made.id).status
            'cancelled'

        Raises:
            NotFoundError: there is no such response.
            CallError: the call ended with another status than OK.
        """
        request = build(CancelResponseRequest, options, response_id=response_id)
        return self._caller.call(self._stub.CancelResponse, request, options, of_reply)


class AsyncResponses(AsyncResource):
    """As `Responses`, awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ResponseServiceStub(caller.channel)

    async def create(self, input: Input, **options: Unpack[ResponseOptions]) -> Response:
        """As `Responses.create`."""
        request = _request(input, options)
        return await self._caller.call(self._stub.CreateResponse, request, options, of_reply)

    def stream(
        self, input: Input, **options: Unpack[ResponseOptions]
    ) -> AsyncStream[ResponseEvent, Response]:
        """As `Responses.stream`; it is not awaited, its events are."""
        request = _request(input, options)
        return self._caller.stream(
            self._stub.StreamResponse, request, options, ResponseAccumulator()
        )

    async def get(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """As `Responses.get`."""
        request = build(GetResponseRequest, options, response_id=response_id)
        return await self._caller.call(self._stub.GetResponse, request, options, of_reply)

    async def cancel(self, response_id: str, **options: Unpack[StoredResponseOptions]) -> Response:
        """As `Responses.cancel`."""
        request = build(CancelResponseRequest, options, response_id=response_id)
        return await self._caller.call(self._stub.CancelResponse, request, options, of_reply)


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
    # Labels are named so because `metadata` is that of the call.
    fields["metadata"] = options.get("labels")
    given = {name: value for name, value in options.items() if name != "labels"}
    return build(CreateResponseRequest, given, "sampling", **fields)
