"""A checked request of the Responses API, as the chat that answers it."""

import time
from dataclasses import dataclass, field

from penstock_server.simulator.chat import request as chat_request
from penstock_server.simulator.chat.request import Chat
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, parameter_error
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
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
from penstock_server.simulator.response.input import messages
from penstock_server.simulator.state import State

LOGPROBS = "message.output_text.logprobs"

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "repetition_penalty"), number),
    **dict.fromkeys(("frequency_penalty", "presence_penalty"), number),
    **dict.fromkeys(("max_output_tokens", "max_tool_calls", "top_k", "top_logprobs"), integer),
    **dict.fromkeys(("seed", "priority"), int64),
    **dict.fromkeys(("stream", "store", "background", "parallel_tool_calls"), boolean),
    **dict.fromkeys(("include_reasoning", "ignore_eos", "skip_special_tokens"), boolean),
    **dict.fromkeys(("model", "user", "instructions", "previous_response_id"), string),
    **dict.fromkeys(("request_id", "cache_salt", "session_id"), string),
    **dict.fromkeys(("tools", "include", "stop_token_ids"), array),
    **dict.fromkeys(("text", "reasoning", "metadata", "logit_bias"), mapping),
    **dict.fromkeys(("structured_outputs", "chat_template_kwargs", "vllm_xargs"), mapping),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority"),
    "truncation": one_of("auto", "disabled"),
}
_SAME_IN_CHAT = (
    *("model", "temperature", "top_p", "min_p", "top_k", "repetition_penalty", "seed", "stop"),
    *("frequency_penalty", "presence_penalty", "priority", "parallel_tool_calls", "user"),
    *("include_reasoning", "ignore_eos", "skip_special_tokens", "cache_salt", "logit_bias"),
    *("stop_token_ids", "structured_outputs", "chat_template_kwargs", "vllm_xargs"),
    *("include_stop_str_in_output", "kv_transfer_params", "mm_processor_kwargs"),
    "media_io_kwargs",
)


@dataclass(slots=True)
class Asked:
    """One checked request."""

    values: dict[str, Json]
    """The body without nulls, its values converted."""
    chat: Chat
    id: str
    state: State
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def stored(self) -> bool:
        """Whether the response is stored; without a store, the field is ignored."""
        return self.state.settings.response_store and bool(self.values.get("store", True))

    @property
    def tool_choice(self) -> Json:
        """Returns the tool choice in the form of the response."""
        return self.values.get("tool_choice", "auto") if self.values.get("tools") else "none"

    def new_id(self, prefix: str) -> str:
        """Returns the id of an item."""
        return f"{prefix}_{self.state.new_id()}"

    def keep(self, whole: dict[str, Json], ready: float = 0.0) -> None:
        """Stores the response if the request asks for it."""
        if self.stored:
            self.state.responses.keep(self.chat.talk.messages, whole, ready)


def prepare(request: Request, body: dict[str, Json], state: State) -> Asked:
    """Checks a request as vLLM does before it sends a status; raises ApiError."""
    values = checked(body, _KINDS)
    _check(values, body)
    if values.get("background") and not state.settings.response_store:
        raise _no_store()
    before: list[Json] = []
    if previous := values.get("previous_response_id"):
        before = state.responses.find(previous).messages
    chat = chat_request.prepare(request, _as_chat(values, before), state)
    return Asked(values, chat, values.get("request_id") or f"resp_{state.new_id()}", state)


def _check(values: dict[str, Json], body: dict[str, Json]) -> None:
    if "input" not in values:
        # Without tools, vLLM has already set the tool choice.
        read = body if values.get("tools") else {**body, "tool_choice": "none"}
        raise refusal([Issue("missing", "body.input", "Field required", read)])
    if values.get("background") and not values.get("store", True):
        message = "background can only be used when `store` is true"
        raise parameter_error(message, "background")
    if "prompt" in values:
        raise parameter_error("prompt template is not supported", "prompt")
    if "structured_outputs" in values and values.get("text", {}).get("format"):
        message = "Cannot specify both structured_outputs and text.format"
        raise parameter_error(message, "structured_outputs")
    choice = values.get("tool_choice", "auto")
    if not values.get("tools") and choice not in ("auto", "none"):
        word = "'required' must be specified with" if choice == "required" else "'function' not in"
        raise parameter_error(f"Tool choice {word} 'tools' parameter.", "tool_choice")


def _no_store() -> ApiError:
    message = (
        "This vLLM engine does not support `store=True` and therefore does not support the "
        "background mode. To enable these features, set the environment variable "
        "`VLLM_ENABLE_RESPONSES_API_STORE=1` when launching the vLLM server."
    )
    return ApiError(message, "background", kind="invalid_request_error")


def _as_chat(values: dict[str, Json], before: list[Json]) -> dict[str, Json]:
    chat = {name: values[name] for name in _SAME_IN_CHAT if name in values}
    talk, unfinished = messages(values["input"])
    system = [{"role": "system", "content": text}] if (text := values.get("instructions")) else []
    chat["messages"] = [*system, *before, *talk]
    if unfinished:
        chat |= {"continue_final_message": True, "add_generation_prompt": False}
    if "max_output_tokens" in values:
        chat["max_tokens"] = values["max_output_tokens"]
    if effort := values.get("reasoning", {}).get("effort"):
        chat["reasoning_effort"] = effort
    if LOGPROBS in values.get("include", ()):
        chat |= {"logprobs": True, "top_logprobs": values.get("top_logprobs", 0)}
    if tools := values.get("tools"):
        chat["tools"] = [_nested(tool) for tool in tools]
        chat["tool_choice"] = _nested(values.get("tool_choice", "auto"))
    if form := values.get("text", {}).get("format"):
        chat["response_format"] = _response_format(form)
    return chat


def _nested(value: Json) -> Json:
    """Returns a tool, or a tool choice, in the form of chats."""
    if not isinstance(value, dict):
        return value
    return {"type": "function", "function": {k: v for k, v in value.items() if k != "type"}}


def _response_format(form: Json) -> Json:
    if form.get("type") != "json_schema":
        return form
    schema = {key: value for key, value in form.items() if key != "type"}
    return {"type": "json_schema", "json_schema": schema}
