"""Where every request field of vLLM lives in our messages.

For each route, `HOMES` maps vLLM's JSON keys to paths of our request message. It tells which
keys of `extra_body` a typed field covers and where the parameter of an upstream error is in ours
(field_path.py), and is checked against vLLM's own schema by the tests.
"""

from collections.abc import Mapping
from typing import Any, Final

from penstock.v1.common_pb2 import JsonDocument
from penstock_server import routes
from penstock_server.convert import document
from penstock_server.convert.errors import InvalidRequest, Violation
from penstock_server.convert.moved import IN_REQUESTS, moving


def _under(parent: str, *names: str, **renamed: str) -> dict[str, str]:
    same = {name: f"{parent}.{name}" for name in names}
    return same | {key: f"{parent}.{name}" for key, name in renamed.items()}


_SAMPLING = _under(
    "sampling",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "length_penalty",
    "seed",
    "max_tokens",
    "min_tokens",
    "n",
    "use_beam_search",
    "stop",
    "stop_token_ids",
    "include_stop_str_in_output",
    "ignore_eos",
    "logit_bias",
    "allowed_token_ids",
    "bad_words",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "truncate_prompt_tokens",
    "truncation_side",
    "thinking_token_budget",
    "repetition_detection",
    "watermarking",
    max_completion_tokens="max_tokens",
)
_LOGPROBS = {
    "logprobs": "logprobs",
    "top_logprobs": "logprobs.top_logprobs",
    "logprob_token_ids": "logprobs.token_ids",
    "return_tokens_as_token_ids": "logprobs.tokens_as_token_ids",
}
_ENGINE = _under(
    "engine",
    "priority",
    "cache_salt",
    "session_id",
    "vllm_xargs",
    "kv_transfer_params",
    "ec_transfer_params",
    "return_token_ids",
    "return_prompt_text",
    "return_weight_versions",
    "prompt_logprobs",
    "routed_experts_prompt_start",
    "request_id",
)
_TEMPLATE = _under(
    "template",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
    "echo",
    "chat_template",
    "chat_template_kwargs",
    "documents",
    "mm_processor_kwargs",
    "media_io_kwargs",
)
_STREAM = {
    "stream": "",  # the choice of RPC
    "stream_options": "stream_options",
    "stream_interval": "stream_options.stream_interval",
}

_CHAT = (
    _SAMPLING
    | _LOGPROBS
    | _ENGINE
    | _TEMPLATE
    | _STREAM
    | {
        name: name
        for name in (
            "model",
            "messages",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "response_format",
            "structured_outputs",
            "reasoning_effort",
            "include_reasoning",
            "user",
        )
    }
)

_COMPLETION = (
    {key: home for key, home in _SAMPLING.items() if key != "max_completion_tokens"}
    | {key: home for key, home in _LOGPROBS.items() if key != "top_logprobs"}
    | {key: home for key, home in _ENGINE.items() if key != "return_prompt_text"}
    | _STREAM
    | {
        name: name
        for name in (
            "model",
            "echo",
            "suffix",
            "response_format",
            "structured_outputs",
            "add_special_tokens",
            "user",
        )
    }
    | {"prompt": "prompts", "prompt_embeds": "prompts", "logprobs": "logprobs.top_logprobs"}
)
_TOKENIZE = {
    **{key: f"chat.{home}" for key, home in _TEMPLATE.items() if key not in ("echo", "documents")},
    "add_special_tokens": "add_special_tokens",
    "model": "model",
    "prompt": "text",
    "messages": "chat.messages",
    "tools": "chat.tools",
    "return_token_strs": "return_token_strings",
}
_SCORING = (
    _under("options", "truncate_prompt_tokens", "truncation_side", "padding", "use_activation")
    | _under(
        "scoring",
        "max_tokens_per_query",
        "max_tokens_per_doc",
        "instruction",
        "chat_template_kwargs",
        "mm_processor_kwargs",
    )
    | _under("engine", "priority", "cache_salt", "request_id")
    | {"model": "model", "user": "user"}
)
_RERANK = _SCORING | {name: name for name in ("query", "documents", "top_n", "return_documents")}
# Each version of vLLM knows some of the names for the two sides of a pair.
_SCORE = (
    _SCORING
    | dict.fromkeys(("text_1", "data_1", "queries"), "queries")
    | dict.fromkeys(("text_2", "data_2", "documents", "items"), "documents")
)
_POOLING_INPUT = (
    # Conversations have a switch of their own for special tokens; here the one for texts counts.
    {key: home for key, home in _TEMPLATE.items() if key not in ("echo", "documents")}
    | _under(
        "options",
        "truncate_prompt_tokens",
        "truncation_side",
        "padding",
        "add_special_tokens",
        "use_activation",
    )
    | _under("engine", "priority", "cache_salt", "request_id")
    | {"model": "model", "input": "inputs", "messages": "inputs[0].chat.messages", "user": "user"}
)
_ENCODING = dict.fromkeys(("encoding_format", "embed_dtype", "endianness"), "dtype")
_EMBEDDING = (
    _POOLING_INPUT
    | _ENCODING
    | {"dimensions": "dimensions", "late_chunking_params": "late_chunking"}
)
_POOLING = _POOLING_INPUT | _ENCODING | {"task": "task", "data": "plugin_data"}

_RESPONSE = (
    _under(
        "sampling",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "seed",
        "stop",
        "stop_token_ids",
        "include_stop_str_in_output",
        "ignore_eos",
        "logit_bias",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "watermarking",
        max_output_tokens="max_tokens",
    )
    | _under(
        "engine",
        "priority",
        "cache_salt",
        "session_id",
        "vllm_xargs",
        "kv_transfer_params",
        "ec_transfer_params",
        "request_id",
    )
    | _under("template", "chat_template_kwargs", "mm_processor_kwargs", "media_io_kwargs")
    | {
        name: name
        for name in (
            "model",
            "input",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "structured_outputs",
            "reasoning",
            "include_reasoning",
            "previous_response_id",
            "store",
            "background",
            "include",
            "max_tool_calls",
            "truncation",
            "service_tier",
            "metadata",
            "user",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "prompt_cache_options",
        )
    }
    | {"text": "text_format", "top_logprobs": "logprobs.top_logprobs", "stream": ""}
)
# Asked for as a chat, a response takes the keys of both APIs in fields of its own.
_RESPONSE_AS_CHAT = (
    _RESPONSE
    | _CHAT
    | {
        "messages": "input",
        "response_format": "text_format",
        "reasoning_effort": "reasoning.effort",
    }
)

_TRANSLATION = {
    **_under(
        "config.sampling",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "length_penalty",
        "n",
        "use_beam_search",
        "include_stop_str_in_output",
        "watermarking",
        "max_tokens",
        max_completion_tokens="max_tokens",
    ),
    **_under(
        "config",
        "model",
        "prompt",
        "hotwords",
        language="language_code",
        to_language="target_language_code",
        response_format="detail",
        vllm_xargs="engine.vllm_xargs",
        stream_continuous_usage_stats="stream_options.continuous_usage_stats",
    ),
    **dict.fromkeys(("stream", "stream_include_usage"), ""),  # the choice of RPC
    **dict.fromkeys(("file", "audio_filesize_mb"), "audio"),
}
_TRANSCRIPTION = _TRANSLATION | dict.fromkeys(
    ("timestamp_granularities", "timestamp_granularities[]"), "config.timestamp_granularities"
)

CONVERTED: Final = "response"
"""Key of `HOMES` for responses that are asked for as chats."""

HOMES: Mapping[str, Mapping[str, str]] = {
    routes.CHAT_COMPLETIONS: _CHAT,
    CONVERTED: _RESPONSE_AS_CHAT,
    routes.RESPONSES: _RESPONSE,
    routes.COMPLETIONS: _COMPLETION,
    routes.EMBEDDINGS: _EMBEDDING,
    routes.CLASSIFY: _POOLING_INPUT,
    routes.POOLING: _POOLING,
    routes.TOKENIZE: _TOKENIZE,
    routes.DETOKENIZE: {"model": "model", "tokens": "token_ids"},
    routes.RERANK: _RERANK,
    routes.RERANK_UNVERSIONED: _RERANK,
    routes.SCORE: _SCORE,
    routes.TRANSCRIPTIONS: _TRANSCRIPTION,
    routes.TRANSLATIONS: _TRANSLATION,
}

EXTRA_ONLY: Mapping[str, str] = {
    "return_token_offsets": "of the render endpoints only",
    "mm_payload": "of the render endpoints only",
    "return_mm_kwargs": "of the render endpoints only",
    "dimensions": "refused by the pooling endpoint",
}
"""Keys of vLLM that have no home, and why; `extra_body` takes them."""

_MOVING = moving(IN_REQUESTS)

REMOVED: Mapping[str, str] = {
    "guided_json": "use structured_outputs.json_schema",
    "guided_regex": "use structured_outputs.regex",
    "guided_choice": "use structured_outputs.choice",
    "guided_grammar": "use structured_outputs.grammar",
    "guided_decoding_backend": "the upstream chooses the backend",
    "guided_whitespace_pattern": "use structured_outputs.whitespace_pattern",
    "structural_tag": "use structured_outputs.structural_tag",
    "best_of": "use sampling.n or sampling.use_beam_search",
    "logits_processors": "use engine.vllm_xargs with a processor loaded by the upstream",
    "activation": "use options.use_activation",
    "softmax": "use options.use_activation",
    "functions": "use tools",
    "function_call": "use tool_choice",
}
"""Keys that vLLM once had and would now ignore without a word."""


def names_under(route: str, parent: str) -> frozenset[str]:
    """Returns which fields of an inner message of the request a route knows.

    Args:
        route: a key of `HOMES`.
        parent: the path of the inner message, such as "sampling".
    """
    paths = (home.rpartition(".") for home in HOMES[route].values())
    return frozenset(name for above, _, name in paths if above == parent)


def merge_extra(
    route: str, body: dict[str, Any], given: JsonDocument, path: str = "extra_body"
) -> None:
    """Adds the keys of `extra_body`, which is found at the path, to a request body.

    Raises:
        InvalidRequest: it is not a JSON object, or a key has a field or would be ignored by vLLM.
    """
    extra = document.members(given, path)
    homes = HOMES[route]
    covered = [
        Violation(f"{path}.{key}", f"use {homes[key]}" if homes[key] else "choose the RPC")
        for key in extra
        if key in homes and (key in body or key not in _MOVING)
    ]
    if covered:
        raise InvalidRequest(*covered, conflicting=True)
    removed = [
        Violation(f"{path}.{key}", f"vLLM ignores it; {REMOVED[key]}")
        for key in extra
        if key in REMOVED
    ]
    if removed:
        raise InvalidRequest(*removed)
    body.update(extra)
