"""Counts of tokens, and the engine's measurements."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from penstock.v1 import common_pb2
from penstock_server.convert import document, extra

USAGE_KEYS = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
"""What OpenAI's usage has, and our messages have fields for."""

_PROMPT_KEYS = frozenset({"cached_tokens", "created_cache_tokens", "multimodal_tokens"})
_COMPLETION_KEYS = frozenset({"reasoning_tokens"})
_DURATIONS = {
    "time_to_first_token_ms": "time_to_first_token",
    "generation_time_ms": "generation_time",
    "queue_time_ms": "queue_time",
    "mean_itl_ms": "mean_inter_token_latency",
}
_METRIC_KEYS = frozenset({*_DURATIONS, "tokens_per_second", "speculative_decoding"})


def fill_usage(target: common_pb2.Usage, usage: Mapping[str, Any]) -> None:
    """Writes the counts of tokens."""
    target.prompt_tokens = usage.get("prompt_tokens") or 0
    target.completion_tokens = usage.get("completion_tokens") or 0
    target.total_tokens = usage.get("total_tokens") or 0
    extra.keep(target, usage, USAGE_KEYS)
    if prompt := usage.get("prompt_tokens_details"):
        _fill_prompt_details(target.prompt_tokens_details, prompt)
        extra.keep_under("prompt_tokens_details", target, prompt, _PROMPT_KEYS)
    if completion := usage.get("completion_tokens_details"):
        reasoning = completion.get("reasoning_tokens") or 0
        target.completion_tokens_details.reasoning_tokens = reasoning
        extra.keep_under("completion_tokens_details", target, completion, _COMPLETION_KEYS)


def _fill_prompt_details(
    target: common_pb2.PromptTokensDetails, details: Mapping[str, Any]
) -> None:
    if (cached := details.get("cached_tokens")) is not None:
        target.cached_tokens = cached
    if (created := details.get("created_cache_tokens")) is not None:
        target.created_cache_tokens = created
    for modality, tokens in (details.get("multimodal_tokens") or {}).items():
        target.multimodal_tokens[modality] = tokens


def fill_metrics(target: common_pb2.RequestMetrics, metrics: Mapping[str, Any]) -> None:
    """Writes the engine's measurements."""
    for key, name in _DURATIONS.items():
        if (milliseconds := metrics.get(key)) is not None:
            duration: Duration = getattr(target, name)
            duration.FromNanoseconds(round(milliseconds * 1e6))
    if (rate := metrics.get("tokens_per_second")) is not None:
        target.tokens_per_second = rate
    if speculative := metrics.get("speculative_decoding"):
        document.to_struct(target.speculative_decoding, speculative)
    extra.keep(target, metrics, _METRIC_KEYS)
