"""Where our messages hold each request field of vLLM.

A key of vLLM has its home in the field of the same name. `REQUESTS` declares, for each route, the
message and what differs from that: keys with other names, and options that a route does not have.
`HOMES` is derived from it. It determines which keys of `extra_body` a typed field covers, and
where the parameter of an upstream error is in our message (field_path.py). The tests compare it
with vLLM's own schema in both directions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from penstock.v1 import (
    chat_completion_pb2,
    classification_pb2,
    common_pb2,
    completion_pb2,
    embedding_pb2,
    generation_pb2,
    message_pb2,
    pooling_pb2,
    rerank_pb2,
    response_pb2,
    tokenization_pb2,
    transcription_pb2,
)
from penstock.v1.common_pb2 import JsonDocument
from penstock_server import routes
from penstock_server.convert import document
from penstock_server.convert.errors import InvalidRequest, Violation
from penstock_server.convert.moved import IN_REQUESTS, moving

_SPREAD = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        common_pb2.SamplingParams,
        common_pb2.LogprobOptions,
        common_pb2.EngineOptions,
        common_pb2.PoolingOptions,
        message_pb2.TemplateOptions,
        rerank_pb2.ScoringOptions,
        tokenization_pb2.ChatTokenizeInput,
        transcription_pb2.TranscriptionConfig,
    )
)
"""Messages whose fields are keys of the body itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """The request of a route.

    Attributes:
        message: our message for it.
        input: path of the input, for which upstreams use another name if it is too long; empty if
            they use our name.
        renamed: paths of fields by vLLM's keys, if the name differs or one field stands for several
            keys; the empty path means that the choice of RPC determines the key.
        keyless: paths of fields that are not sent as a key of their own.
        only: fields that the route has, by the path of their message; without an entry, all.
    """

    message: Descriptor
    input: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    keyless: frozenset[str] = frozenset()
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def homes(self) -> Mapping[str, str]:
        """Returns the path of a field for each key of vLLM."""
        other = {*self.renamed.values(), *self.keyless}
        return {
            path.rpartition(".")[2]: path
            for path in _paths(self.message)
            if path not in other and self._has(path)
        } | {**self.renamed}

    def _has(self, path: str) -> bool:
        parent, _, name = path.rpartition(".")
        return parent not in self.only or name in self.only[parent]


def _paths(message: Descriptor, parent: str = "") -> Iterator[str]:
    """Yields the paths of the fields that correspond to keys."""
    for one in message.fields:
        inner = one.message_type
        if inner and inner.full_name in _SPREAD:
            yield from _paths(inner, f"{parent}{one.name}.")
        else:
            yield f"{parent}{one.name}"


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


# The data-parallel rank is sent as a header; `extra_body` consists of keys itself.
_KEYLESS = _names("extra_body", "engine.data_parallel_rank")
_LIMITS = {
    "max_tokens": "sampling.max_tokens",
    "max_completion_tokens": "sampling.max_tokens",
}
_LOGPROBS = {
    "logprobs": "logprobs",
    "logprob_token_ids": "logprobs.token_ids",
    "return_tokens_as_token_ids": "logprobs.tokens_as_token_ids",
}
_STREAM = {"stream": "", "stream_interval": "stream_options.stream_interval"}

# Conversations have their own switch for special tokens; this is the one for texts.
_SPECIAL_TOKENS = {"add_special_tokens": "options.add_special_tokens"}
_POOLED_ENGINE = _names("priority", "cache_salt", "request_id")
_POOLED: Mapping[str, frozenset[str]] = {
    "engine": _POOLED_ENGINE,
    "template": _names(
        "add_generation_prompt",
        "continue_final_message",
        "chat_template",
        "chat_template_kwargs",
        "mm_processor_kwargs",
        "media_io_kwargs",
    ),
}
_SCORED: Mapping[str, frozenset[str]] = {
    "engine": _POOLED_ENGINE,
    "options": _names("truncate_prompt_tokens", "truncation_side", "padding", "use_activation"),
}
_INPUTS = {"input": "inputs", "messages": "inputs[0].chat.messages", **_SPECIAL_TOKENS}
_ENCODING = dict.fromkeys(("encoding_format", "embed_dtype", "endianness"), "dtype")

_SAMPLED_TOKENS = _names(
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "max_tokens",
    "min_tokens",
    "n",
    "stop",
    "stop_token_ids",
    "include_stop_str_in_output",
    "ignore_eos",
    "logit_bias",
    "allowed_token_ids",
    "bad_words",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "thinking_token_budget",
    "repetition_detection",
    "watermarking",
)

_RERANK = Request(
    rerank_pb2.RerankRequest.DESCRIPTOR, input="documents", keyless=_KEYLESS, only=_SCORED
)
# `input_text` is short for `input`, `text_verbosity` is a part of `text`.
_RESPONSE_KEYLESS = _KEYLESS | {"input_text", "text_verbosity"}
_RESPONSE_NAMES = {
    "max_output_tokens": "sampling.max_tokens",
    "text": "text_format",
}
_SPEECH_NAMES = {
    "max_tokens": "config.sampling.max_tokens",
    "max_completion_tokens": "config.sampling.max_tokens",
    "language": "config.language_code",
    "to_language": "config.target_language_code",
    "response_format": "config.detail",
    "stream_continuous_usage_stats": "config.stream_options.continuous_usage_stats",
    "stream": "",
    "stream_include_usage": "",
    "file": "audio",
    "audio_filesize_mb": "audio",
}
# The task selects the route, name and type belong to the file, and subtitles are generated here.
_SPEECH_KEYLESS = _names(
    "config.task",
    "config.filename",
    "config.mime_type",
    "config.subtitles",
    "config.stream_options",
    "config.extra_body",
)
_SPEECH_OPTIONS: Mapping[str, frozenset[str]] = {
    "config.sampling": _names(
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
    ),
    "config.engine": _names("vllm_xargs"),
}
_GRANULARITIES = "config.timestamp_granularities"

CONVERTED: Final = "response"
"""Key of `REQUESTS` for responses that are converted to chats."""

REQUESTS: Mapping[str, Request] = {
    routes.CHAT_COMPLETIONS: Request(
        chat_completion_pb2.CreateChatCompletionRequest.DESCRIPTOR,
        input="messages",
        renamed={**_LIMITS, **_LOGPROBS, **_STREAM},
        keyless=_KEYLESS,
    ),
    # The request of a converted response has fields for the keys of both APIs.
    CONVERTED: Request(
        response_pb2.CreateResponseRequest.DESCRIPTOR,
        input="input",
        renamed={
            **_LIMITS,
            **_LOGPROBS,
            **_STREAM,
            **_RESPONSE_NAMES,
            "response_format": "text_format",
            "input": "input",
            "messages": "input",
            "reasoning_effort": "reasoning.effort",
        },
        keyless=_RESPONSE_KEYLESS,
    ),
    routes.RESPONSES: Request(
        response_pb2.CreateResponseRequest.DESCRIPTOR,
        input="input",
        renamed={**_RESPONSE_NAMES, "stream": ""},
        keyless=_RESPONSE_KEYLESS | {"stream_options"},
        only={
            "sampling": _names(
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
            ),
            "engine": _names(
                "priority",
                "cache_salt",
                "session_id",
                "vllm_xargs",
                "kv_transfer_params",
                "ec_transfer_params",
                "request_id",
            ),
            "template": _names("chat_template_kwargs", "mm_processor_kwargs", "media_io_kwargs"),
            "logprobs": _names("top_logprobs"),
        },
    ),
    routes.COMPLETIONS: Request(
        completion_pb2.CreateCompletionRequest.DESCRIPTOR,
        input="prompts",
        renamed={
            **_LOGPROBS,
            **_STREAM,
            "logprobs": "logprobs.top_logprobs",
            "prompt": "prompts",
            "prompt_embeds": "prompts",
        },
        keyless=_KEYLESS | {"engine.return_prompt_text"},
    ),
    # The keys of `sampling_params` are here, too: upstream errors name them without their object.
    routes.GENERATE: Request(
        generation_pb2.GenerateRequest.DESCRIPTOR,
        input="token_ids",
        renamed={
            **_STREAM,
            "sampling_params": "sampling",
            "logprobs": "logprobs.top_logprobs",
            "logprob_token_ids": "logprobs.token_ids",
            "extra_args": "engine.vllm_xargs",
            "content_parts": "media",
        },
        keyless=_KEYLESS | {"extra_sampling_params", "engine.session_id"},
        only={
            "sampling": _SAMPLED_TOKENS,
            "logprobs": _names("top_logprobs", "token_ids"),
            "engine": _names(
                "priority",
                "cache_salt",
                "vllm_xargs",
                "kv_transfer_params",
                "ec_transfer_params",
                "return_token_ids",
                "prompt_logprobs",
                "routed_experts_prompt_start",
                "request_id",
            ),
        },
    ),
    routes.EMBEDDINGS: Request(
        embedding_pb2.CreateEmbeddingsRequest.DESCRIPTOR,
        input="inputs",
        renamed={**_INPUTS, **_ENCODING, "late_chunking_params": "late_chunking"},
        keyless=_KEYLESS,
        only=_POOLED,
    ),
    routes.CLASSIFY: Request(
        classification_pb2.ClassifyRequest.DESCRIPTOR,
        input="inputs",
        renamed=_INPUTS,
        keyless=_KEYLESS,
        only=_POOLED,
    ),
    routes.POOLING: Request(
        pooling_pb2.PoolRequest.DESCRIPTOR,
        input="inputs",
        renamed={**_INPUTS, **_ENCODING, "data": "plugin_data"},
        keyless=_KEYLESS,
        only=_POOLED,
    ),
    routes.TOKENIZE: Request(
        tokenization_pb2.TokenizeRequest.DESCRIPTOR,
        renamed={
            "prompt": "text",
            "add_special_tokens": "add_special_tokens",
            "return_token_strs": "return_token_strings",
        },
        keyless=_names("extra_body"),
        only={"chat.template": _POOLED["template"]},
    ),
    routes.DETOKENIZE: Request(
        tokenization_pb2.DetokenizeRequest.DESCRIPTOR,
        renamed={"tokens": "token_ids"},
        keyless=_names("extra_body"),
    ),
    routes.RERANK: _RERANK,
    routes.RERANK_UNVERSIONED: _RERANK,
    routes.SCORE: Request(
        rerank_pb2.ScoreRequest.DESCRIPTOR,
        input="documents",
        # Versions of vLLM differ in the names of the two sides of a pair.
        renamed={
            **dict.fromkeys(("text_1", "data_1", "queries"), "queries"),
            **dict.fromkeys(("text_2", "data_2", "documents", "items"), "documents"),
        },
        keyless=_KEYLESS,
        only=_SCORED,
    ),
    routes.TRANSCRIPTIONS: Request(
        transcription_pb2.TranscribeRequest.DESCRIPTOR,
        input="config.prompt",
        renamed={
            **_SPEECH_NAMES,
            **dict.fromkeys(
                ("timestamp_granularities", "timestamp_granularities[]"), _GRANULARITIES
            ),
        },
        keyless=_SPEECH_KEYLESS,
        only=_SPEECH_OPTIONS,
    ),
    routes.TRANSLATIONS: Request(
        transcription_pb2.TranscribeRequest.DESCRIPTOR,
        input="config.prompt",
        renamed=_SPEECH_NAMES,
        keyless=_SPEECH_KEYLESS | {_GRANULARITIES},
        only=_SPEECH_OPTIONS,
    ),
}
"""The request of each route."""

HOMES: Mapping[str, Mapping[str, str]] = {
    route: request.homes() for route, request in REQUESTS.items()
}
"""Path of the field for each key of vLLM, by route."""

EXTRA_ONLY: Mapping[str, str] = {
    "return_token_offsets": "for the render endpoints only",
    "mm_payload": "for the render endpoints only",
    "return_mm_kwargs": "for the render endpoints only",
    "dimensions": "refused by the pooling endpoint",
}
"""Keys of vLLM without a field, with the reason; callers use `extra_body` for them."""

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
"""Keys of older vLLMs, which newer ones ignore silently."""


def names_under(route: str, parent: str) -> frozenset[str]:
    """Returns the names of the fields that a route has in an inner message of the request.

    Args:
        route: a key of `HOMES`.
        parent: the path of the inner message, such as "sampling".
    """
    paths = (home.rpartition(".") for home in HOMES[route].values())
    return frozenset(name for above, _, name in paths if above == parent)


def merge_extra(
    route: str, body: dict[str, Any], given: JsonDocument, path: str = "extra_body"
) -> None:
    """Adds the keys of `extra_body` to a request body.

    Raises:
        InvalidRequest: it is not a JSON object, or a key has a field or would be ignored by vLLM.
    """
    extra = document.members(given, path)
    homes = HOMES[route]
    covered = [
        Violation(f"{path}.{key}", f"use {homes[key]}" if homes[key] else "the RPC sets it")
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
