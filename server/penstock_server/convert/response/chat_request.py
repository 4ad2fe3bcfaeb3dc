"""Requests for responses: checks for both ways to ask an upstream, and conversion to chats."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from penstock.v1 import response_pb2
from penstock_server.convert import chat, document, fields, message, option_messages
from penstock_server.convert.errors import (
    MOST_VIOLATIONS,
    InvalidRequest,
    UnsupportedRequest,
    Violation,
    invalid,
)
from penstock_server.convert.response import chat_input
from penstock_server.convert.response.chat_input import NEEDS_NATIVE

LOGPROBS = "message.output_text.logprobs"
"""Name in `include` that requests log probabilities."""

_NO_MEANING = (
    "return_token_ids",
    "return_prompt_text",
    "return_weight_versions",
    "prompt_logprobs",
    "routed_experts_prompt_start",
)
# Some of them have no effect on vLLM, but other upstreams use them in chats too.
_LABELS = ("model", "user", "service_tier", "safety_identifier", "prompt_cache_key")
_NATIVE_FIELDS = (
    "previous_response_id",
    "store",
    "background",
    "text_verbosity",
    "prompt_cache_retention",
)
_NATIVE_KEYS = frozenset(
    {
        "prompt",
        "conversation",
        "context_management",
        "previous_input_messages",
        "enable_response_messages",
    }
)


def chat_body(request: response_pb2.CreateResponseRequest, *, stream: bool) -> dict[str, Any]:
    """Returns the JSON of the chat that a request becomes.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
        UnsupportedRequest: a field requests something that chats do not support.
    """
    check(request, stream=stream)
    asked = islice(_native_fields(request), MOST_VIOLATIONS)
    if violations := [Violation(path, NEEDS_NATIVE) for path in asked]:
        raise UnsupportedRequest(*violations)
    body: dict[str, Any] = {"messages": chat_input.messages(request)}
    option_messages.require_tokens(request.sampling)
    body |= option_messages.sampling(request.sampling, max_tokens="max_completion_tokens")
    body |= option_messages.engine(request.engine)
    body |= _template(request)
    body |= {name: value for name in _LABELS if (value := getattr(request, name))}
    body |= _switches(request) | _form(request)
    if stream:
        body |= option_messages.streaming(request.stream_options)
    if request.HasField("extra_body"):
        fields.merge_extra(fields.CONVERTED, body, request.extra_body)
    return body


def choices_wanted(request: response_pb2.CreateResponseRequest) -> int:
    """Returns the number of requested choices."""
    return max(1, request.sampling.n)


def wants_logprobs(request: response_pb2.CreateResponseRequest) -> bool:
    """Returns whether log probabilities are requested, by `logprobs` or by `include`."""
    return request.HasField("logprobs") or LOGPROBS in request.include


def check(request: response_pb2.CreateResponseRequest, *, stream: bool) -> None:
    """Checks a request independently of the API that the upstream is asked through.

    Raises:
        InvalidRequest: a field is missing, faulty, does not apply or contradicts another.
    """
    if request.input and request.input_text:
        raise _conflict("input_text", "is short for input; set only one of them")
    if not request.input and not request.input_text:
        raise invalid("input", "set input or input_text")
    for path, number, kind in (
        ("truncation", request.truncation, response_pb2.Truncation),
        ("text_verbosity", request.text_verbosity, response_pb2.TextVerbosity),
        ("reasoning.summary", request.reasoning.summary, response_pb2.ReasoningSummary),
    ):
        if number not in kind.values():
            raise invalid(path, "is not a known value")
    option_messages.refuse(request.engine, "engine", *_NO_MEANING)
    if stream:
        option_messages.refuse(request.stream_options, "stream_options", "continuous_usage_stats")
    form = request.text_format.WhichOneof("format")
    if request.HasField("structured_outputs") and form not in (None, "text"):
        raise _conflict("structured_outputs", "must not be set together with text_format")


def _conflict(path: str, description: str) -> InvalidRequest:
    return InvalidRequest(Violation(path, description), conflicting=True)


def _native_fields(request: response_pb2.CreateResponseRequest) -> Iterator[str]:
    """Yields the paths of fields that require the Responses API of an upstream."""
    for name in _NATIVE_FIELDS:
        if getattr(request, name):
            yield name
    if request.HasField("prompt_cache_options"):
        yield "prompt_cache_options"
    if request.HasField("max_tool_calls"):
        yield "max_tool_calls"
    if request.truncation == response_pb2.TRUNCATION_AUTO:
        yield "truncation"
    if request.reasoning.summary:
        yield "reasoning.summary"
    if request.reasoning.HasField("extra"):
        yield "reasoning.extra"
    for index, tool in enumerate(request.tools):
        if tool.HasField("other"):
            yield f"tools[{index}].other"
    if request.tool_choice.HasField("other"):
        yield "tool_choice.other"
    for index, name in enumerate(request.include):
        if name != LOGPROBS:
            yield f"include[{index}]"
    if request.HasField("extra_body"):
        added = document.members(request.extra_body, "extra_body")
        for key in sorted(_NATIVE_KEYS & added.keys()):
            yield f"extra_body.{key}"


def _template(request: response_pb2.CreateResponseRequest) -> dict[str, Any]:
    body = option_messages.template(request.template)
    if chat_input.continues(request):
        # As vLLM itself does with an unfinished message at the end of the input.
        body.setdefault("continue_final_message", True)
        body.setdefault("add_generation_prompt", not body["continue_final_message"])
    return body


def _switches(request: response_pb2.CreateResponseRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in ("parallel_tool_calls", "include_reasoning"):
        if request.HasField(name):
            body[name] = getattr(request, name)
    if request.metadata:
        body["metadata"] = dict(request.metadata)
    if request.reasoning.effort:
        body["reasoning_effort"] = request.reasoning.effort
    if wants_logprobs(request):
        body |= chat.logprobs(request.logprobs)
    return body


def _form(request: response_pb2.CreateResponseRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.tools:
        body["tools"] = message.tools(request.tools)
    if request.HasField("tool_choice"):
        choice = message.tool_choice(request.tool_choice)
        # Without tools it has no effect, and vLLM's chats refuse it.
        if request.tools or choice != "auto":
            body["tool_choice"] = choice
    if request.HasField("text_format"):
        body["response_format"] = message.response_format(request.text_format, "text_format")
    if request.HasField("structured_outputs"):
        body["structured_outputs"] = option_messages.structured_outputs(request.structured_outputs)
    return body
