"""Checked requests to pooling models."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock_server.simulator.chat.checks import check_conversation, check_untrusted
from penstock_server.simulator.faults.table import without_directives
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, TooLong, parameter_error
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    Mistyped,
    array,
    boolean,
    checked,
    int64,
    integer,
    json_object,
    mapping,
    one_of,
    refusal,
    string,
)
from penstock_server.simulator.pooling.vectors import DTYPES
from penstock_server.simulator.prompts.context import tokens_of
from penstock_server.simulator.prompts.conversation import conversation, message_text, render
from penstock_server.simulator.prompts.tokens import VOCABULARY
from penstock_server.simulator.state import State

_START, _END, _PAD = 3, 2, 0
_MOST_SALT = 128


def _truncation(value: Json) -> int:
    count = integer(value)
    if count < -1:
        message = "Input should be greater than or equal to -1"
        raise Mistyped("greater_than_equal", message, {"ge": -1})
    return count


COMMON: dict[str, Kind] = {
    **dict.fromkeys(("model", "user", "request_id", "cache_salt", "chat_template"), string),
    **dict.fromkeys(("add_special_tokens", "use_activation"), boolean),
    **dict.fromkeys(("add_generation_prompt", "continue_final_message"), boolean),
    **dict.fromkeys(("mm_processor_kwargs", "chat_template_kwargs", "media_io_kwargs"), mapping),
    "messages": array,
    "truncate_prompt_tokens": _truncation,
    "padding": one_of("max_length", "do_not_pad"),
    "truncation_side": one_of("left", "right"),
    "priority": int64,
}
"""The fields that all pooling requests have."""

ENCODING: dict[str, Kind] = {
    "encoding_format": one_of("float", "base64", "bytes", "bytes_only"),
    "embed_dtype": one_of(*DTYPES),
    "endianness": one_of("native", "big", "little"),
    "dimensions": integer,
}
"""The fields of requests for vectors."""


@dataclass(slots=True)
class Pooling:
    """One checked request."""

    values: dict[str, Json]
    """The body without nulls, its values converted."""
    id: str
    model: str
    inputs: list[list[int]]
    """The token ids of each input."""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def normal(self) -> bool:
        """Whether the model's last activation is applied."""
        return bool(self.values.get("use_activation", True))

    def usage(self) -> dict[str, Json]:
        """Returns the number of tokens of all inputs."""
        count = sum(map(len, self.inputs))
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        return {"prompt_tokens": count, "total_tokens": count, "completion_tokens": 0, **details}

    def document(self, data: Json) -> dict[str, Json]:
        """Returns the answer with these results."""
        frame = {"id": self.id, "object": "list", "created": self.created, "model": self.model}
        return {**frame, "data": data, "usage": self.usage()}


def prepare(
    request: Request, state: State, prefix: str, kinds: dict[str, Kind], *, batches: bool = False
) -> Pooling:
    """Checks a request as vLLM does; `batches`: whether it may contain several conversations."""
    body = json_object(request)
    _check_removed(body)
    if body.get("input") is None and body.get("messages") is None and body.get("data") is None:
        raise refusal([Issue("missing", "body.input", "Field required", body)])
    values = checked(body, COMMON | kinds)
    _check(values, state)
    name = request.headers.get("x-request-id") or values.get("request_id") or state.new_id()
    pooling = Pooling(values, f"{prefix}-{name}", state.settings.models[0], [])
    if "data" not in values:
        pooling.inputs = [
            _fitting(tokens, values, state) for tokens in _tokenized(values, batches=batches)
        ]
    return pooling


def prompt(request: Request) -> str:
    """Returns the text of all inputs; empty if they are token ids."""
    try:
        return " ".join(_words(request.json))
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""


def _words(body: Json) -> list[str]:
    if "messages" in body:
        return [message_text(one) for talk in _talks(body["messages"]) for one in talk]
    given = body["input"]
    return [
        text for text in ([given] if isinstance(given, str) else given) if isinstance(text, str)
    ]


def _talks(messages: Json) -> list[Json]:
    return list(messages) if messages and isinstance(messages[0], list) else [messages]


def _check_removed(body: dict[str, Json]) -> None:
    if "normalize" in body:
        message = "Parameter `normalize` was removed; use `use_activation` instead."
        raise parameter_error(message, "normalize")
    instead = {"encode": "`token_embed` or `token_classify`", "score": "`classify`"}
    task = body.get("task")
    if isinstance(task, str) and task in instead:
        message = f"`{task}` task was removed; use {instead[task]} instead."
        raise parameter_error(message, "task")


def _check(values: dict[str, Json], state: State) -> None:
    model, served = values.get("model"), state.settings.models
    if model and model not in served:
        # Pooling routes do not list the available models.
        raise ApiError(f"The model `{model}` does not exist.", status=404)
    check_untrusted(values)
    salt = values.get("cache_salt", "-")
    if not salt or len(salt) > _MOST_SALT or set(salt) & set("@/\\\0"):
        message = (
            f"Parameter 'cache_salt' must be at most {_MOST_SALT} characters and must not contain "
            "'@', '/', '\\\\', or NUL."
        )
        raise parameter_error(message, "cache_salt")
    if values.get("truncate_prompt_tokens", 0) > state.settings.max_model_len:
        raise ApiError(
            "truncate_prompt_tokens value is greater than max_model_len. "
            "Please request a smaller truncation size."
        )


def _tokenized(values: dict[str, Json], *, batches: bool) -> list[list[int]]:
    if "messages" in values:
        return [_chat_tokens(talk, values) for talk in _conversations(values, batches=batches)]
    inputs = _inputs(values["input"])
    if not inputs:
        raise ApiError("You must pass at least one prompt")
    special = values.get("add_special_tokens", True)
    return [_text_tokens(one, special) if isinstance(one, str) else _ids(one) for one in inputs]


def _inputs(given: Json) -> Sequence[Any]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise refusal([Issue("list_type", "body.input", "Input should be a valid list", given)])
    if given and isinstance(given[0], int):
        _check_ids(given, "body.input")
        return [given]
    for index, one in enumerate(given):
        place = f"body.input.{index}"
        if isinstance(one, list):
            _check_ids(one, place)
        elif not isinstance(one, str):
            raise refusal([Issue("string_type", place, "Input should be a valid string", one)])
    return given


def _check_ids(tokens: list[Json], place: str) -> None:
    for index, token in enumerate(tokens):
        if not isinstance(token, int):
            message = "Input should be a valid integer"
            raise refusal([Issue("int_type", f"{place}.{index}", message, token)])


def _conversations(values: dict[str, Json], *, batches: bool) -> list[Json]:
    talks = _talks(values["messages"])
    if len(talks) > 1 and not batches:
        message = "Input should be a valid dictionary"
        raise refusal([Issue("dict_type", "body.messages.0", message, talks[0])])
    if talks[0] is values["messages"]:
        check_conversation(values["messages"], "body.messages")
        return talks
    for index, talk in enumerate(talks):
        place = f"body.messages.{index}"
        if not isinstance(talk, list):
            raise refusal([Issue("list_type", place, "Input should be a valid list", talk)])
        check_conversation(talk, place)
    return talks


def _chat_tokens(messages: Json, values: dict[str, Json]) -> list[int]:
    body = {"add_generation_prompt": False, **values, "messages": messages}
    text = render(conversation(body), body, thinking=True)
    return [token.id for token in tokens_of(text)]


def _text_tokens(text: str, special: bool) -> list[int]:
    tokens = [token.id for token in tokens_of(without_directives(text))]
    return [_START, *tokens, _END] if special else tokens


def _ids(tokens: Json) -> list[int]:
    if not tokens:
        raise ApiError("The decoder prompt cannot be empty")
    outside = [token for token in tokens if not 0 <= token < VOCABULARY]
    if outside:
        raise ApiError(f"Token id {outside[0]} is out of vocabulary")
    return list(tokens)


def _fitting(tokens: list[int], values: dict[str, Json], state: State) -> list[int]:
    longest = state.settings.max_model_len
    kept = values.get("truncate_prompt_tokens")
    if kept is not None:
        size = longest if kept < 0 else kept
        left = values.get("truncation_side") == "left"
        tokens = tokens[max(len(tokens) - size, 0) :] if left else tokens[:size]
    if len(tokens) > longest:
        raise TooLong(longest, len(tokens))
    if values.get("padding") == "max_length":
        tokens = tokens + [_PAD] * (longest - len(tokens))
    return tokens
