"""Chat completions."""

from collections.abc import Mapping
from typing import Any

from penstock.v1.chat_completion_pb2 import (
    ChatChoice,
    ChatDelta,
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
    StreamChatCompletionResponse,
)
from penstock.v1.message_pb2 import ROLE_ASSISTANT, ToolCallDelta

from penstock_server.convert import choice, document, extra, fields, message, options
from penstock_server.convert.errors import MalformedAnswer, reads_answer

ROUTE = "/v1/chat/completions"

_ANSWER_KEYS = frozenset(
    {
        "id",
        "object",
        "model",
        "created",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "prompt_token_ids",
        "prompt_text",
        "prompt_logprobs",
        "kv_transfer_params",
        "ec_transfer_params",
        "metrics",
    }
)
_CHOICE_KEYS = frozenset(
    {
        "index",
        "message",
        "delta",
        "finish_reason",
        "stop_reason",
        "logprobs",
        "token_ids",
        "weight_versions",
        "routed_experts",
    }
)
_DELTA_KEYS = frozenset(
    {"role", "content", "reasoning", "reasoning_content", "refusal", "tool_calls"}
)
_TOOL_DELTA_KEYS = frozenset({"index", "id", "type", "function"})


def request_body(request: CreateChatCompletionRequest, *, stream: bool) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    body: dict[str, Any] = {"messages": message.messages(request.messages)}
    body |= options.sampling(request.sampling, max_tokens="max_completion_tokens")
    body |= options.engine(request.engine)
    body |= options.template(request.template)
    body |= options.scalars(request, "", skip=("extra_body",))
    if request.HasField("logprobs"):
        body |= _logprobs(request)
    body |= _form(request)
    if stream:
        body |= _streaming(request)
    if request.HasField("extra_body"):
        fields.merge_extra(ROUTE, body, document.from_struct(request.extra_body, "extra_body"))
    return body


def choices_wanted(request: CreateChatCompletionRequest) -> int:
    """Returns how many choices the request asks for."""
    return max(1, request.sampling.n)


@reads_answer
def response(data: Mapping[str, Any]) -> CreateChatCompletionResponse:
    """Returns the message for a unary answer.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = CreateChatCompletionResponse(id=data["id"], model=data.get("model") or "")
    answer.create_time.FromSeconds(data.get("created") or 0)
    for item in data["choices"]:
        _fill_choice(answer.choices.add(), item)
    if not answer.choices:
        raise MalformedAnswer("it has no choices")
    if positions := data.get("prompt_logprobs"):
        answer.prompt_logprobs.extend(choice.prompt_logprobs(positions))
    _fill_rest(answer, data)
    return answer


class ChatStream:
    """Turns the events of one stream into messages."""

    def __init__(self) -> None:
        """Starts before the first event."""
        self._started = False
        self._speaking: set[int] = set()

    @reads_answer
    def message(self, event: Mapping[str, Any]) -> StreamChatCompletionResponse:
        """Returns the message for the next event.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        answer = StreamChatCompletionResponse(id=event["id"])
        if not self._started:
            self._started = True
            answer.model = event.get("model") or ""
            answer.create_time.FromSeconds(event.get("created") or 0)
        for item in event["choices"]:
            target = answer.choices.add()
            choice.fill_choice(target, item)
            self._fill_delta(target.index, target.delta, item.get("delta") or {})
            extra.keep(target, item, _CHOICE_KEYS)
        _fill_rest(answer, event)
        return answer

    def _fill_delta(self, index: int, target: ChatDelta, delta: Mapping[str, Any]) -> None:
        # Always there, so that `choice.delta.content` is safe in languages with null messages.
        target.SetInParent()
        if index not in self._speaking:
            # The first message of a choice names the role, whether or not the upstream does.
            self._speaking.add(index)
            target.role = ROLE_ASSISTANT
            if role := delta.get("role"):
                target.role, target.custom_role = message.role_of(role)
        if content := delta.get("content"):
            target.content = content
        if reasoning := message.reasoning_of(delta):
            target.reasoning = reasoning
        if refusal := delta.get("refusal"):
            target.refusal = refusal
        for call in delta.get("tool_calls") or ():
            _fill_tool_delta(target.tool_calls.add(), call)
        extra.keep(target, delta, _DELTA_KEYS)


def _logprobs(request: CreateChatCompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"logprobs": True}
    if request.logprobs.HasField("top_logprobs"):
        body["top_logprobs"] = request.logprobs.top_logprobs
    if request.logprobs.token_ids:
        body["logprob_token_ids"] = list(request.logprobs.token_ids)
    if request.logprobs.HasField("tokens_as_token_ids"):
        body["return_tokens_as_token_ids"] = request.logprobs.tokens_as_token_ids
    return body


def _form(request: CreateChatCompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.tools:
        body["tools"] = message.tools(request.tools)
    if request.HasField("tool_choice"):
        body["tool_choice"] = message.tool_choice(request.tool_choice)
    if request.HasField("response_format"):
        body["response_format"] = message.response_format(request.response_format)
    if request.HasField("structured_outputs"):
        body["structured_outputs"] = options.structured_outputs(request.structured_outputs)
    return body


def _streaming(request: CreateChatCompletionRequest) -> dict[str, Any]:
    wanted = request.stream_options
    stream_options = {"include_usage": True}
    if wanted.HasField("continuous_usage_stats"):
        stream_options["continuous_usage_stats"] = wanted.continuous_usage_stats
    body: dict[str, Any] = {"stream": True, "stream_options": stream_options}
    if wanted.HasField("stream_interval"):
        body["stream_interval"] = wanted.stream_interval
    return body


def _fill_choice(target: ChatChoice, data: Mapping[str, Any]) -> None:
    choice.fill_choice(target, data)
    message.fill_message(target.message, data["message"])
    extra.keep(target, data, _CHOICE_KEYS)


def _fill_rest(
    target: CreateChatCompletionResponse | StreamChatCompletionResponse, data: Mapping[str, Any]
) -> None:
    if (usage := data.get("usage")) is not None:
        choice.fill_usage(target.usage, usage)
    if fingerprint := data.get("system_fingerprint"):
        target.system_fingerprint = fingerprint
    if tier := data.get("service_tier"):
        target.service_tier = tier
    if token_ids := data.get("prompt_token_ids"):
        target.prompt_token_ids.extend(token_ids)
    if text := data.get("prompt_text"):
        target.prompt_text = text
    if metrics := data.get("metrics"):
        choice.fill_metrics(target.metrics, metrics)
    if (params := data.get("kv_transfer_params")) is not None:
        target.kv_transfer_params.CopyFrom(document.to_document(params))
    if (params := data.get("ec_transfer_params")) is not None:
        target.ec_transfer_params.CopyFrom(document.to_document(params))
    extra.keep(target, data, _ANSWER_KEYS)


def _fill_tool_delta(target: ToolCallDelta, call: Mapping[str, Any]) -> None:
    target.index = call.get("index") or 0
    if call_id := call.get("id"):
        target.id = call_id
    function = call.get("function") or {}
    if name := function.get("name"):
        target.name = name
    if arguments := function.get("arguments"):
        target.arguments = arguments
    extra.keep(target, call, _TOOL_DELTA_KEYS)
