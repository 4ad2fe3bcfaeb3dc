"""What generated answers and their events have in common: origin, choices, finish, logprobs."""

from base64 import b64decode
from collections.abc import Iterable, Mapping, MutableSequence
from typing import Any, TypeAlias

from penstock.v1 import chat_completion_pb2, common_pb2, completion_pb2, transcription_pb2
from penstock_server.convert import document
from penstock_server.convert.usage import fill_metrics, fill_usage

FINISH_REASONS: Mapping[str, common_pb2.FinishReason.ValueType] = {
    "stop": common_pb2.FINISH_REASON_STOP,
    "length": common_pb2.FINISH_REASON_LENGTH,
    "tool_calls": common_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": common_pb2.FINISH_REASON_CONTENT_FILTER,
    "abort": common_pb2.FINISH_REASON_ABORT,
    "repetition": common_pb2.FINISH_REASON_REPETITION,
}
PLAIN_EVENT_KEYS = frozenset({"id", "object", "model", "created", "choices"})
"""What nearly all events of a stream have, and nothing else."""

Choice: TypeAlias = (
    chat_completion_pb2.ChatChoice
    | chat_completion_pb2.ChatChoiceDelta
    | completion_pb2.CompletionChoice
    | completion_pb2.CompletionChoiceDelta
)
Finished: TypeAlias = Choice | transcription_pb2.TranscriptionDelta
Answer: TypeAlias = (
    chat_completion_pb2.CreateChatCompletionResponse
    | chat_completion_pb2.StreamChatCompletionResponse
    | completion_pb2.CreateCompletionResponse
    | completion_pb2.StreamCompletionResponse
)


def fill_origin(target: Answer, data: Mapping[str, Any]) -> None:
    """Writes which model answers, and since when."""
    target.model = data.get("model") or ""
    target.create_time.seconds = data.get("created") or 0


def fill_answer(target: Answer, data: Mapping[str, Any]) -> None:
    """Writes what an answer or event has beside its choices and its origin."""
    if (usage := data.get("usage")) is not None:
        fill_usage(target.usage, usage)
    if fingerprint := data.get("system_fingerprint"):
        target.system_fingerprint = fingerprint
    if tier := data.get("service_tier"):
        target.service_tier = tier
    if metrics := data.get("metrics"):
        fill_metrics(target.metrics, metrics)
    if (params := data.get("kv_transfer_params")) is not None:
        target.kv_transfer_params.CopyFrom(document.to_document(params))
    if (params := data.get("ec_transfer_params")) is not None:
        target.ec_transfer_params.CopyFrom(document.to_document(params))


def fill_choice(target: Choice, data: Mapping[str, Any]) -> None:
    """Writes everything of a choice but what was said and its log probabilities."""
    target.index = data.get("index") or 0
    if finish_reason := data.get("finish_reason"):
        fill_finish(target, finish_reason, data.get("stop_reason"))
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


def fill_finish(target: Finished, finish_reason: str, stop_reason: int | str | None) -> None:
    """Writes why a choice or a transcription ended."""
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
        record = common_pb2.TokenLogprob()
        _fill_logprob(record, token)
        for top in token.get("top_logprobs") or ():
            _fill_logprob(record.top_logprobs.add(), top)
        target.append(record)


def _fill_logprob(
    target: common_pb2.TokenLogprob | common_pb2.TopLogprob, token: Mapping[str, Any]
) -> None:
    # Assigned, because a constructor would take None for unset: a probability of 1.
    target.token = token["token"]
    target.logprob = token["logprob"]
    if utf8 := token.get("bytes"):
        target.bytes = bytes(utf8)


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
