"""What answers and their streamed events have in common: usage, finish, logprobs, metrics."""

from base64 import b64decode
from collections.abc import Iterable, Mapping, MutableSequence
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from penstock.v1 import chat_completion_pb2, common_pb2

from penstock_server.convert import document, extra

FINISH_REASONS: Mapping[str, common_pb2.FinishReason.ValueType] = {
    "stop": common_pb2.FINISH_REASON_STOP,
    "length": common_pb2.FINISH_REASON_LENGTH,
    "tool_calls": common_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": common_pb2.FINISH_REASON_CONTENT_FILTER,
    "abort": common_pb2.FINISH_REASON_ABORT,
    "repetition": common_pb2.FINISH_REASON_REPETITION,
}
_USAGE_KEYS = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
_DURATIONS = {
    "time_to_first_token_ms": "time_to_first_token",
    "generation_time_ms": "generation_time",
    "queue_time_ms": "queue_time",
    "mean_itl_ms": "mean_inter_token_latency",
}
_METRIC_KEYS = frozenset({*_DURATIONS, "tokens_per_second", "speculative_decoding"})

Choice = TypeVar("Choice", chat_completion_pb2.ChatChoice, chat_completion_pb2.ChatChoiceDelta)


def fill_choice(target: Choice, data: Mapping[str, Any]) -> None:
    """Writes everything of a chat choice but its message or delta."""
    target.index = data.get("index") or 0
    if finish_reason := data.get("finish_reason"):
        fill_finish(target, finish_reason, data.get("stop_reason"))
    if logprobs := data.get("logprobs"):
        fill_logprobs(target.logprobs, logprobs.get("content") or ())
    if token_ids := data.get("token_ids"):
        target.token_ids.extend(token_ids)
    if versions := data.get("weight_versions"):
        target.weight_versions.extend(
            common_pb2.WeightVersionSpan(
                version=span["version"], start=span["start"], end=span["end"]
            )
            for span in versions
        )
    if experts := data.get("routed_experts"):
        target.routed_experts = b64decode(experts)


def fill_finish(target: Choice, finish_reason: str, stop_reason: int | str | None) -> None:
    """Writes why a choice ended."""
    target.finish_reason = FINISH_REASONS.get(finish_reason, common_pb2.FINISH_REASON_OTHER)
    if target.finish_reason == common_pb2.FINISH_REASON_OTHER:
        target.native_finish_reason = finish_reason
    if isinstance(stop_reason, str):
        target.stop_string = stop_reason
    elif stop_reason is not None:
        target.stop_token_id = stop_reason


def fill_logprobs(
    target: MutableSequence[common_pb2.TokenLogprob], tokens: Iterable[Mapping[str, Any]]
) -> None:
    """Writes the log probabilities of generated tokens."""
    for token in tokens:
        record = common_pb2.TokenLogprob(
            token=token["token"],
            logprob=token["logprob"],
            bytes=bytes(token.get("bytes") or ()),
        )
        for top in token.get("top_logprobs") or ():
            record.top_logprobs.add(
                token=top["token"], logprob=top["logprob"], bytes=bytes(top.get("bytes") or ())
            )
        target.append(record)


def prompt_logprobs(
    positions: Iterable[Mapping[str, Any] | None],
) -> list[common_pb2.PromptTokenLogprobs]:
    """Returns one record for each position of the prompt; the first has no candidates."""
    return [_prompt_position(candidates or {}) for candidates in positions]


def _prompt_position(candidates: Mapping[str, Any]) -> common_pb2.PromptTokenLogprobs:
    record = common_pb2.PromptTokenLogprobs()
    for token_id, candidate in candidates.items():
        ranked = record.candidates[int(token_id)]
        ranked.logprob = candidate["logprob"]
        if (rank := candidate.get("rank")) is not None:
            ranked.rank = rank
        if (token := candidate.get("decoded_token")) is not None:
            ranked.decoded_token = token
    return record


def fill_usage(target: common_pb2.Usage, usage: Mapping[str, Any]) -> None:
    """Writes the counts of tokens."""
    target.prompt_tokens = usage.get("prompt_tokens") or 0
    target.completion_tokens = usage.get("completion_tokens") or 0
    target.total_tokens = usage.get("total_tokens") or 0
    if prompt := usage.get("prompt_tokens_details"):
        _fill_prompt_details(target.prompt_tokens_details, prompt)
    if completion := usage.get("completion_tokens_details"):
        reasoning = completion.get("reasoning_tokens") or 0
        target.completion_tokens_details.reasoning_tokens = reasoning
    extra.keep(target, usage, _USAGE_KEYS)


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
