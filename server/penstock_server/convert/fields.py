"""Where every request field of vLLM lives in our messages.

For each route, `HOMES` maps vLLM's JSON keys to paths of our request message. It tells which
keys of `extra_body` a typed field covers, turns the parameter of an upstream error into our
field's path, and is checked against vLLM's own schema by the tests.
"""

import re
from collections.abc import Mapping
from typing import Any

from penstock_server.convert.errors import InvalidRequest, Violation


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

HOMES: Mapping[str, Mapping[str, str]] = {"/v1/chat/completions": _CHAT}

EXTRA_ONLY: Mapping[str, str] = {
    "return_token_offsets": "of the render endpoints only",
    "mm_payload": "of the render endpoints only",
    "return_mm_kwargs": "of the render endpoints only",
}
"""Keys of vLLM that have no home, and why; `extra_body` takes them."""

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
    "functions": "use tools",
    "function_call": "use tool_choice",
}
"""Keys that vLLM once had and would now ignore without a word."""

_NUMBER = re.compile(r"\.(\d+)(?=\.|$)")


def field_path(route: str, param: str) -> str:
    """Returns our path of the field that an upstream error names, or the name as it stands."""
    head, _, rest = param.removeprefix("body.").partition(".")
    home = HOMES.get(route, {}).get(head)
    if not home:
        return param
    return home + _NUMBER.sub(r"[\1]", f".{rest}") if rest else home


def merge_extra(route: str, body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Adds the keys of `extra_body` to a request body.

    Raises:
        InvalidRequest: a typed field covers a key, or vLLM would ignore it.
    """
    homes = HOMES[route]
    covered = [
        Violation(f"extra_body.{key}", f"use {homes[key]}" if homes[key] else "choose the RPC")
        for key in extra
        if key in homes
    ]
    if covered:
        raise InvalidRequest(*covered, conflicting=True)
    removed = [
        Violation(f"extra_body.{key}", f"vLLM ignores it; {REMOVED[key]}")
        for key in extra
        if key in REMOVED
    ]
    if removed:
        raise InvalidRequest(*removed)
    body.update(extra)
