"""Checks of chat requests, with vLLM's error messages."""

from collections.abc import Collection

from penstock_server.simulator.generation.sampling import check_sampling
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, parameter_error, unknown_model
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    Mistyped,
    array,
    boolean,
    checked,
    int64,
    integer,
    mapping,
    number,
    one_of,
    refusal,
    string,
)
from penstock_server.simulator.prompts.media import PART_TYPES
from penstock_server.simulator.prompts.tokens import VOCABULARY
from penstock_server.simulator.structured import outputs
from penstock_server.simulator.vllm_settings import SimulatorSettings

_MOST_STOPS = 4
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_FORMATS = ("text", "json_object", "json_schema", "structural_tag")
_PART_TYPES = PART_TYPES | {"text", "refusal", "thinking", "tool_reference", "prompt_embeds"}
_FIRST_MESSAGE_MODEL = "ChatCompletionDeveloperMessageParam"
"""The first of the models that pydantic tries for a message, and so the one it names."""


def _stop(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    items: list[str] = array(value)
    if len(items) > _MOST_STOPS:
        message = f"List should have at most {_MOST_STOPS} items after validation, not {len(items)}"
        raise Mistyped("too_long", message, {"max_length": _MOST_STOPS})
    return [string(item) for item in items]


def _response_format(value: Json) -> Json:
    one_of(*_FORMATS, inside=".type")(mapping(value).get("type"))
    return value


KINDS: dict[str, Kind] = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "repetition_penalty"), number),
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "length_penalty"), number),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "min_tokens", "n", "top_k"), integer),
    **dict.fromkeys(("top_logprobs", "prompt_logprobs", "truncate_prompt_tokens"), integer),
    **dict.fromkeys(("seed", "priority"), int64),
    **dict.fromkeys(("stream", "logprobs", "echo", "ignore_eos", "include_reasoning"), boolean),
    **dict.fromkeys(("add_generation_prompt", "continue_final_message"), boolean),
    **dict.fromkeys(("return_token_ids", "return_prompt_text", "parallel_tool_calls"), boolean),
    **dict.fromkeys(("include_stop_str_in_output", "return_tokens_as_token_ids"), boolean),
    "return_token_offsets": boolean,
    **dict.fromkeys(("model", "user", "request_id", "cache_salt", "chat_template"), string),
    **dict.fromkeys(("messages", "tools", "stop_token_ids", "allowed_token_ids"), array),
    **dict.fromkeys(("stream_options", "structured_outputs", "logit_bias"), mapping),
    **dict.fromkeys(("chat_template_kwargs", "kv_transfer_params", "vllm_xargs"), mapping),
    "reasoning_effort": one_of(*_EFFORTS),
    "response_format": _response_format,
    "stop": _stop,
}
"""Converters of the fields of a chat; most are fields of other operations too."""


def check(
    body: dict[str, Json], settings: SimulatorSettings, adapters: Collection[str]
) -> dict[str, Json]:
    """Returns the body with its values converted; raises ApiError if vLLM refuses it."""
    values = checked(body, KINDS)
    check_messages(values, body)
    check_combinations(values)
    _check_tools(values)
    if values.get("model") and values["model"] not in (*settings.models, *adapters):
        raise unknown_model(values["model"], settings.models)
    check_untrusted(values)
    check_sampling(values, settings)
    outputs.check_request(values)
    return values


def check_engine(values: dict[str, Json], settings: SimulatorSettings) -> None:
    """Raises the errors of the engine; in a stream, they follow the status."""
    for name, word in (("logprobs", "sample"), ("prompt_logprobs", "prompt")):
        asked = values.get("top_logprobs" if name == "logprobs" else name, 0)
        if asked > settings.max_logprobs:
            message = (
                f"Requested {word} logprobs of {asked}, "
                f"which is greater than max allowed: {settings.max_logprobs}"
            )
            raise parameter_error(message, name, asked)
    biased = [int(token) for token in values.get("logit_bias", {}) if token.lstrip("-").isdigit()]
    outside = [token for token in biased if not 0 <= token < VOCABULARY]
    if outside:
        message = (
            f"token_id(s) {outside} in logit_bias contain out-of-vocab token ids. "
            f"Vocabulary size: {VOCABULARY}"
        )
        raise parameter_error(message, "logit_bias", outside)


def check_messages(values: dict[str, Json], body: dict[str, Json]) -> None:
    """Refuses invalid messages."""
    if "messages" not in body:
        raise refusal([Issue("missing", "body.messages", "Field required", body)])
    if body["messages"] is None:
        raise ApiError("'NoneType' object is not iterable")
    check_conversation(values["messages"], "body.messages")


def check_conversation(messages: list[Json], place: str) -> None:
    """Refuses an invalid conversation at a place of the request."""
    issues = [
        issue
        for index, message in enumerate(messages)
        for issue in _message_issues(f"{place}.{index}.{_FIRST_MESSAGE_MODEL}", message)
    ]
    if issues:
        raise refusal(issues)
    if not messages:
        raise ApiError(
            "Cannot apply chat template to an empty conversation. Provide at least one message."
        )
    for message in messages:
        _check_parts(message.get("content"))


def _message_issues(location: str, message: Json) -> list[Issue]:
    if not isinstance(message, dict):
        return [Issue("dict_type", location, "Input should be a valid dictionary", message)]
    if "role" not in message:
        return [Issue("missing", f"{location}.role", "Field required", message)]
    content = message.get("content", "")
    assistant = message["role"] == "assistant"
    if isinstance(content, str | list) or (content is None and assistant):
        return []
    place = f"{location}.content"
    return [
        Issue("string_type", place, "Input should be a valid string", content),
        Issue("iterable_type", place, "Input should be iterable", content),
    ]


def _check_parts(content: Json) -> None:
    for index, part in enumerate(content if isinstance(content, list) else []):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _PART_TYPES:
            raise ApiError(
                "1 validation error for ValidatorIterator\n"
                f"{index}.ChatCompletionContentPartTextParam.type\n"
                f"  Input should be 'text' [type=literal_error, input_value={kind!r}]"
            )


def check_combinations(values: dict[str, Json]) -> None:
    """Refuses combinations of fields that are not valid."""
    stream = values.get("stream", False)
    if "stream_options" in values and not stream:
        message = "Stream options can only be defined when `stream=True`."
        raise parameter_error(message, "stream_options")
    asked = values.get("prompt_logprobs", 0)
    if stream and (asked > 0 or asked == -1):
        message = "`prompt_logprobs` are not available when `stream=True`."
        raise parameter_error(message, "prompt_logprobs")
    for name in ("prompt_logprobs", "top_logprobs"):
        if values.get(name, 0) < -1:
            message = f"`{name}` must be a positive value or -1."
            raise parameter_error(message, name, values[name])
    if values.get("top_logprobs") and not values.get("logprobs"):
        message = "when using `top_logprobs`, `logprobs` must be set to true."
        raise parameter_error(message, "top_logprobs")
    if values.get("cache_salt") == "":
        message = "Parameter 'cache_salt' must be a non-empty string if provided."
        raise parameter_error(message, "cache_salt")
    if values.get("add_generation_prompt") and values.get("continue_final_message"):
        raise ApiError(
            "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
        )


def _check_tools(values: dict[str, Json]) -> None:
    tools = values.get("tools")
    if tools == []:
        message = (
            "`tools` must not be an empty array. "
            "Either provide at least one tool or omit the field entirely."
        )
        raise parameter_error(message, "tools")
    for index, tool in enumerate(tools or []):
        if not isinstance(tool, dict) or "function" not in tool:
            place = f"body.tools.{index}.function"
            raise refusal([Issue("missing", place, "Field required", tool)])
    choice = values.get("tool_choice")
    if choice not in (None, "none"):
        _check_tool_choice(choice, tools)


def _check_tool_choice(choice: Json, tools: list[Json] | None) -> None:
    if not tools:
        message = "When using `tool_choice`, `tools` must be set."
        raise parameter_error(message, "tool_choice")
    if choice in ("auto", "required"):
        return
    if not isinstance(choice, dict):
        message = (
            f"Invalid value for `tool_choice`: {choice}! "
            'Only named tools, "none", "auto" or "required" are supported.'
        )
        raise parameter_error(message, "tool_choice")
    function = choice.get("function")
    if not isinstance(function, dict) or "name" not in function:
        message = (
            f"Invalid value for `function`: `{function}` in `tool_choice`! Correct usage: "
            '`{"type": "function", "function": {"name": "my_function"}}`'
        )
        raise parameter_error(message, "tool_choice.function")
    if function["name"] not in [tool["function"].get("name") for tool in tools]:
        message = "The tool specified in `tool_choice` does not match any of the specified `tools`"
        raise parameter_error(message, "tool_choice")


def check_untrusted(values: dict[str, Json]) -> None:
    """Refuses fields that only a server with trusted callers accepts."""
    if "chat_template" in values:
        raise ApiError(
            "Chat template is passed with request, but --trust-request-chat-template is not set. "
            "Refused request with untrusted chat template."
        )
    for name in ("media_io_kwargs", "mm_processor_kwargs"):
        if name in values:
            message = (
                f"Per-request {name} are disabled by default. Start the server with "
                "--trust-request-mm-kwargs only when clients are trusted."
            )
            raise parameter_error(message, name)
