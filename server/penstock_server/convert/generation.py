"""Common parts of generated answers and their events: origin, choices, finish, logprobs."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sized
from functools import partial
from typing import Any, TypeAlias

from penstock.v1 import (
    chat_completion_pb2,
    common_pb2,
    completion_pb2,
    generation_pb2,
    response_pb2,
    transcription_pb2,
)
from penstock_server.convert import document, extra, timestamp
from penstock_server.convert.usage import fill_metrics, fill_usage
from penstock_server.json_numbers import integer, number, position

FINISH_REASONS: Mapping[str, common_pb2.FinishReason.ValueType] = {
    "stop": common_pb2.FINISH_REASON_STOP,
    "length": common_pb2.FINISH_REASON_LENGTH,
    "tool_calls": common_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": common_pb2.FINISH_REASON_CONTENT_FILTER,
    "abort": common_pb2.FINISH_REASON_ABORT,
    "repetition": common_pb2.FINISH_REASON_REPETITION,
}
PLAIN_EVENT_KEYS = frozenset({"id", "object", "model", "created", "choices"})
"""Keys that nearly all events of a stream have; few events have others."""

ANSWER_KEYS = PLAIN_EVENT_KEYS | {
    "usage",
    "system_fingerprint",
    "service_tier",
    "metrics",
    "kv_transfer_params",
    "ec_transfer_params",
}
"""Keys that `fill_origin` and `fill_answer` read, with those of the choices and the object type."""
CHOICE_KEYS = frozenset(
    {"index", "finish_reason", "stop_reason", "token_ids", "weight_versions", "routed_experts"}
)
"""Keys that `fill_choice` reads."""

_PLACE_AND_END = frozenset({"index", "delta", "finish_reason", "stop_reason"})
_NAMES = ("id", "model", "created")

Choice: TypeAlias = (
    chat_completion_pb2.ChatChoice
    | chat_completion_pb2.ChatChoiceDelta
    | completion_pb2.CompletionChoice
    | completion_pb2.CompletionChoiceDelta
    | generation_pb2.GenerateChoice
    | generation_pb2.GenerateChoiceDelta
)
Finished: TypeAlias = Choice | transcription_pb2.TranscriptionDelta
Origin: TypeAlias = Any
"""A message with `id`, `model`, `create_time` and `extra`."""
Answer: TypeAlias = (
    chat_completion_pb2.CreateChatCompletionResponse
    | chat_completion_pb2.StreamChatCompletionResponse
    | completion_pb2.CreateCompletionResponse
    | completion_pb2.StreamCompletionResponse
)
Logprob: TypeAlias = (
    common_pb2.TokenLogprob
    | common_pb2.TopLogprob
    | generation_pb2.GenerateLogprob
    | generation_pb2.GenerateTopLogprob
)
Counted: TypeAlias = (
    Answer | generation_pb2.GenerateResponse | generation_pb2.StreamGenerateResponse
)


def fill_origin(target: Origin, data: Mapping[str, Any]) -> None:
    """Writes the id, model and creation time of an answer."""
    try:
        target.id = data.get("id") or ""
        target.model = data.get("model") or ""
    except TypeError:
        extra.fill(target, "id", data, extra.text)
        extra.fill(target, "model", data, extra.text)
    timestamp.fill(target.create_time, target, "created", data)


def fill_answer(target: Answer, data: Mapping[str, Any]) -> None:
    """Writes an answer or event, except its choices and its origin."""
    try:
        if fingerprint := data.get("system_fingerprint"):
            target.system_fingerprint = fingerprint
        if tier := data.get("service_tier"):
            target.service_tier = tier
    except TypeError:
        for name in ("system_fingerprint", "service_tier"):
            if data.get(name):
                extra.fill(target, name, data, extra.text)
    fill_counts(target, data)


def fill_counts(target: Counted, data: Mapping[str, Any]) -> None:
    """Writes what the engine reports about the whole answer: counts, timings and transfers."""
    if (usage := data.get("usage")) is not None:
        fill_usage(target.usage, usage)
    if data.get("metrics"):
        extra.fill_with(target, "metrics", data, partial(fill_metrics, target.metrics))
    fill_transfer(target, data)


def fill_transfer(target: Counted | response_pb2.ModelResponse, data: Mapping[str, Any]) -> None:
    """Writes the parameters of transfers of caches between servers."""
    if (params := data.get("kv_transfer_params")) is not None:
        target.kv_transfer_params.CopyFrom(document.to_document(params))
    if (params := data.get("ec_transfer_params")) is not None:
        target.ec_transfer_params.CopyFrom(document.to_document(params))


def fill_choice(target: Choice, data: Mapping[str, Any], siblings: Sized) -> None:
    """Writes a choice, except its content and its log probabilities.

    Args:
        target: the choice.
        data: the upstream's object.
        siblings: the choices in the same answer or event, up to this one.
    """
    if type(index := data.get("index")) is not int:
        index = position(data, len(siblings) - 1)
    target.index = index
    if finish_reason := data.get("finish_reason"):
        fill_finish(target, finish_reason, data)
    elif data.get("stop_reason") is not None:
        _fill_stop(target, data)
    if token_ids := data.get("token_ids"):
        extend(target.token_ids, token_ids)
    if data.get("weight_versions"):
        extra.fill_with(target, "weight_versions", data, _spans_into(target))
    if data.get("routed_experts"):
        extra.fill(target, "routed_experts", data, b64decode)


def given(data: Mapping[str, Any]) -> int:
    """Returns the number of values that are not null; that is faster than to look at every key."""
    return len(data) - [*data.values()].count(None)


def extend(target: MutableSequence[int], values: Iterable[Any]) -> None:
    """Appends integers, in whichever form JSON has them.

    Raises:
        ValueError: a value is not an integer.
    """
    try:
        target.extend(values)
    except TypeError:
        target.extend([integer(value) for value in values])


def has_content(choice: Mapping[str, Any]) -> bool:
    """Returns whether a choice of an event contains more than its role and its end."""
    rest = [value for key, value in choice.items() if key not in _PLACE_AND_END and value]
    delta = choice.get("delta") or {}
    return bool(rest) or any(value for key, value in delta.items() if key != "role")


class Beginning:
    """The beginning of the answer in a stream, and the answer's id.

    Attributes:
        id: id of the answer; empty until it is known.
        begun: whether the first event of the answer has arrived.
    """

    def __init__(self) -> None:
        """Creates the state before the first event."""
        self.id = ""
        self.begun = False
        self._early: list[Mapping[str, Any]] = []

    def is_awaited(self, event: Mapping[str, Any]) -> bool:
        """Returns whether an event only keeps the connection alive before the answer begins."""
        if self.begun or begins(event):
            return False
        self._early.append(event)
        return True

    def fill(self, target: Origin, event: Mapping[str, Any], known: frozenset[str]) -> None:
        """Writes the origin into the first message of an answer, or an id that arrived later.

        Args:
            target: the message.
            event: the upstream's event.
            known: keys of events that have a field.
        """
        if self.begun:
            extra.fill(target, "id", event, extra.text)
        else:
            self.begun = True
            for early in self._early:
                extra.keep(target, early, known)
            fill_origin(target, self._named(event))
        self.id = target.id

    def _named(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns an event with the origin that earlier events of the answer reported."""
        found: dict[str, Any] = {}
        for one in (*(early for early in self._early if early.get("created")), event):
            found |= {key: one[key] for key in _NAMES if one.get(key) is not None}
        return found


def begins(event: Mapping[str, Any]) -> bool:
    """Returns whether an event belongs to an answer.

    Servers that keep a connection alive with events send empty ones, at most with a role, and
    without the model or the time.
    """
    if event.get("created") and any(event[key] for key in event.keys() - PLAIN_EVENT_KEYS):
        return True
    return any(
        choice.get("finish_reason")
        or has_content(choice)
        or (event.get("created") and (choice.get("delta") or {}).get("role"))
        for choice in event.get("choices") or ()
    )


def fill_finish(target: Finished, finish_reason: str, data: Mapping[str, Any]) -> None:
    """Writes why a choice or a transcription ended.

    Args:
        target: the message.
        finish_reason: the upstream's name for the reason.
        data: the upstream's object, whose `stop_reason` may name the stop string or token.
    """
    target.finish_reason = FINISH_REASONS.get(finish_reason, common_pb2.FINISH_REASON_OTHER)
    if target.finish_reason == common_pb2.FINISH_REASON_OTHER:
        target.native_finish_reason = finish_reason
    _fill_stop(target, data)


def _fill_stop(target: Finished, data: Mapping[str, Any]) -> None:
    if isinstance(stop_reason := data.get("stop_reason"), str):
        target.stop_string = stop_reason
    elif stop_reason is not None:
        extra.fill_with(target, "stop_reason", data, _stop_token_into(target))


def fill_logprobs(
    target: MutableSequence[common_pb2.TokenLogprob], tokens: Iterable[Mapping[str, Any]]
) -> None:
    """Writes the log probabilities of generated tokens; drops unknown keys of an entry.

    The entries are many and have no `extra`; see `protos/README.md`.
    """
    for token in tokens:
        record = common_pb2.TokenLogprob()
        fill_logprob(record, token)
        for top in token.get("top_logprobs") or ():
            if top is not None:
                fill_logprob(record.top_logprobs.add(), top)
        target.append(record)


def fill_logprob(target: Logprob, token: Mapping[str, Any]) -> None:
    """Writes the log probability of a token that is named by its text."""
    target.token = token["token"]
    # vLLM writes null for non-finite numbers.
    target.logprob = number(token["logprob"])
    if utf8 := token.get("bytes"):
        target.bytes = _bytes(utf8)


def _bytes(values: Any) -> bytes:
    try:
        return bytes(values)
    except TypeError:
        return bytes(map(integer, values))


def prompt_logprobs(
    positions: Iterable[Mapping[str, Any] | None],
) -> list[common_pb2.PromptTokenLogprobs]:
    """Returns one record per position of the prompt; the first has no candidates."""
    return [_prompt_position(candidates or {}) for candidates in positions]


def _prompt_position(candidates: Mapping[str, Any]) -> common_pb2.PromptTokenLogprobs:
    record = common_pb2.PromptTokenLogprobs()
    for token_id, candidate in candidates.items():
        ranked = record.candidates[int(token_id)]
        ranked.logprob = number(candidate["logprob"])
        if (rank := candidate.get("rank")) is not None:
            ranked.rank = integer(rank)
        if (token := candidate.get("decoded_token")) is not None:
            ranked.decoded_token = token
    return record


def _spans_into(target: Choice) -> Callable[[Any], None]:
    def write(spans: Any) -> None:
        target.weight_versions.extend([_span(span) for span in spans])

    return write


def _span(span: Mapping[str, Any]) -> common_pb2.WeightVersionSpan:
    return common_pb2.WeightVersionSpan(
        version=span["version"], start=integer(span["start"]), end=integer(span["end"])
    )


def _stop_token_into(target: Finished) -> Callable[[Any], None]:
    def write(token_id: Any) -> None:
        target.stop_token_id = integer(token_id)

    return write
