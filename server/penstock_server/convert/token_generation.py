"""Generation from token ids to token ids."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any

from penstock.v1 import generation_pb2
from penstock.v1.common_pb2 import TokenIds
from penstock.v1.generation_pb2 import (
    GenerateChoice,
    GenerateChoiceDelta,
    GenerateLogprob,
    GenerateOutputMode,
    GenerateRequest,
    GenerateResponse,
    GenerateTopLogprob,
    ParseContext,
    StreamGenerateResponse,
)
from penstock_server import routes
from penstock_server.convert import (
    extra,
    fields,
    generation,
    message,
    option_messages,
    prompt_ids,
    prompt_media,
)
from penstock_server.convert.errors import (
    InvalidRequest,
    MalformedAnswer,
    Violation,
    invalid,
    reads_answer,
)
from penstock_server.json_numbers import integer, number

ANSWER_KEYS = (generation.ANSWER_KEYS - {"system_fingerprint", "service_tier"}) | {
    "request_id",
    "output_mode",
    "prompt_token_ids",
    "mm_placeholders",
    "prompt_logprobs",
    "prompt_token_id_logprobs",
}
"""Keys of an answer that are read."""
# Upstreams do not stream them, so the streamed message has no field for them.
_EVENT_KEYS = ANSWER_KEYS - {"prompt_logprobs", "prompt_token_id_logprobs"}
CHOICE_KEYS = generation.CHOICE_KEYS | {"text", "logprobs", "message", "sampling_mask"}
"""Keys of a choice that are read."""
_DELTA_KEYS = CHOICE_KEYS - {"message"}
_LOGPROB_KEYS = frozenset({"content"})

_MODES = {
    generation_pb2.GENERATE_OUTPUT_MODE_TOKENS: "tokens",
    generation_pb2.GENERATE_OUTPUT_MODE_TEXT: "text",
    generation_pb2.GENERATE_OUTPUT_MODE_DERENDER: "derender",
}
_MODES_BY_NAME = {name: mode for mode, name in _MODES.items()}
_CONTENT = {
    generation_pb2.GENERATE_OUTPUT_MODE_UNSPECIFIED: "token_ids",
    generation_pb2.GENERATE_OUTPUT_MODE_TOKENS: "token_ids",
    generation_pb2.GENERATE_OUTPUT_MODE_TEXT: "text",
    generation_pb2.GENERATE_OUTPUT_MODE_DERENDER: "message",
}
"""Key that each choice of a unary answer has, by the requested mode."""
_TO_SAMPLING = {
    "prompt_logprobs": "prompt_logprobs",
    "routed_experts_prompt_start": "routed_experts_prompt_start",
    "stream_interval": "stream_interval",
    "vllm_xargs": "extra_args",
}
"""Names of the sampling parameters that are keys of the body in other operations, by that key."""
_KEYS = frozenset({"model", "reasoning_ended", "reasoning_parser_kwargs"})
"""Fields of the request that are keys of the body."""
_SAMPLING_KEYS = frozenset(
    {
        "detokenize",
        "prompt_logprob_start",
        "trace_decode_token_ids",
        "skip_reading_prefix_cache",
    }
)
"""Fields of the request that are sampling parameters."""
_FIELDS = frozenset(GenerateRequest.DESCRIPTOR.fields_by_name)


def request_body(request: GenerateRequest, *, stream: bool) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    _refuse(request, stream=stream)
    ids = prompt_ids.checked(request.token_ids, "token_ids")
    if not ids:
        raise invalid("token_ids", "must contain at least one token id")
    keys = option_messages.engine(request.engine)
    if stream:
        keys |= option_messages.streaming(request.stream_options)
    sampling = _sampling(request) | {
        name: keys.pop(key) for key, name in _TO_SAMPLING.items() if key in keys
    }
    keys.pop("session_id", None)  # sent as a header only
    body = {"token_ids": ids, "sampling_params": sampling, **keys}
    body |= option_messages.scalars(request, "", skip=_FIELDS - _KEYS)
    if request.output_mode:
        body["output_mode"] = option_messages.known(_MODES.get(request.output_mode), "output_mode")
    if request.HasField("features"):
        body["features"] = prompt_media.features(request.features, "features")
    if request.media:
        body["content_parts"] = prompt_media.parts(request.media, "media")
    if request.HasField("parse_context"):
        body["parse_context"] = _parse_context(request.parse_context)
    if request.HasField("extra_body"):
        fields.merge_extra(routes.GENERATE, body, request.extra_body)
    if request.HasField("extra_sampling_params"):
        given, path = request.extra_sampling_params, "extra_sampling_params"
        fields.merge_extra(routes.GENERATE, sampling, given, path)
    return body


def choices_wanted(request: GenerateRequest) -> int:
    """Returns the number of requested choices."""
    return max(1, request.sampling.n)


@reads_answer
def response(data: Mapping[str, Any], mode: GenerateOutputMode.ValueType) -> GenerateResponse:
    """Returns the message for a unary answer.

    Args:
        data: the upstream's answer.
        mode: the mode that the request names.

    Raises:
        MalformedAnswer: the answer does not have the API's shape, or not what the mode promises.
    """
    answer = GenerateResponse()
    generation.fill_origin(answer, _named(data))
    content = _CONTENT[mode]
    choices = answer.choices
    for item in data["choices"]:
        target = choices.add()
        _fill_choice(target, item, choices)
        if item[content] is None:
            raise MalformedAnswer(f"a choice has no {content}")
        if (parsed := item.get("message")) is not None:
            message.fill_message(target.message, parsed)
        extra.keep(target, item, CHOICE_KEYS)
    if not choices:
        raise MalformedAnswer("it has no choices")
    if positions := data.get("prompt_logprobs"):
        answer.prompt_logprobs.extend(generation.prompt_logprobs(positions))
    if data.get("prompt_token_id_logprobs"):
        extra.fill(answer, "prompt_token_id_logprobs", data, b64decode)
    _fill_rest(answer, data)
    extra.keep(answer, data, ANSWER_KEYS)
    return answer


class GenerateStream:
    """Turns the events of one stream into messages."""

    def __init__(self, mode: GenerateOutputMode.ValueType) -> None:
        """Creates a stream before its first event.

        Args:
            mode: the mode that the request names.
        """
        self._with_text = mode == generation_pb2.GENERATE_OUTPUT_MODE_TEXT
        self._beginning = generation.Beginning()

    @reads_answer
    def message(self, event: Mapping[str, Any]) -> StreamGenerateResponse | None:
        """Returns the message for the next event; None if it comes before the answer.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        beginning = self._beginning
        if not beginning.begun and beginning.is_awaited(event):
            return None
        answer = StreamGenerateResponse(id=beginning.id)
        if not beginning.id:
            beginning.fill(answer, {**event, **_named(event)}, _EVENT_KEYS)
        choices = answer.choices
        for item in event.get("choices") or ():
            target = choices.add()
            _fill_choice(target, item, choices)
            if self._with_text and target.token_ids and item.get("text") is None:
                raise MalformedAnswer("a choice has no text")
            extra.keep(target, item, _DELTA_KEYS)
        _fill_rest(answer, event)
        extra.keep(answer, event, _EVENT_KEYS)
        return answer


def _refuse(request: GenerateRequest, *, stream: bool) -> None:
    """Checks that nothing is set that does not apply to the operation."""
    not_sampled = ("length_penalty", "use_beam_search", "truncate_prompt_tokens", "truncation_side")
    option_messages.refuse(request.sampling, "sampling", *not_sampled)
    option_messages.refuse(request.logprobs, "logprobs", "tokens_as_token_ids")
    not_of_engine = ("return_prompt_text", "return_weight_versions")
    option_messages.refuse(request.engine, "engine", *not_of_engine)
    if request.media and request.HasField("features"):
        raise InvalidRequest(Violation("media", "contradicts features"), conflicting=True)
    if stream and request.output_mode == generation_pb2.GENERATE_OUTPUT_MODE_DERENDER:
        raise invalid("output_mode", "does not apply to a stream; valid are TOKENS and TEXT")
    if stream and request.engine.prompt_logprobs:
        # vLLM would leave them out.
        raise invalid("engine.prompt_logprobs", "does not apply to a stream")
    if stream and request.prompt_logprob_token_ids:
        raise invalid("prompt_logprob_token_ids", "does not apply to a stream")


def _sampling(request: GenerateRequest) -> dict[str, Any]:
    """Returns vLLM's `sampling_params`, except those in other option messages."""
    body = option_messages.sampling(request.sampling, max_tokens="max_tokens")
    body |= option_messages.scalars(request, "", skip=_FIELDS - _SAMPLING_KEYS)
    prompt_ids.checked(request.trace_decode_token_ids, "trace_decode_token_ids")
    if request.HasField("logprobs"):
        wanted = request.logprobs
        # vLLM returns the selected tokens only if it is asked for as many as there are.
        given = wanted.HasField("top_logprobs")
        body["logprobs"] = wanted.top_logprobs if given else len(wanted.token_ids)
        body |= option_messages.logprob_tokens(wanted)
    if request.prompt_logprob_token_ids:
        body["prompt_logprob_token_ids"] = [
            prompt_ids.read(row, f"prompt_logprob_token_ids[{i}]")
            for i, row in enumerate(request.prompt_logprob_token_ids)
        ]
    if request.HasField("structured_outputs"):
        body["structured_outputs"] = option_messages.structured_outputs(request.structured_outputs)
    return body


def _parse_context(context: ParseContext) -> dict[str, Any]:
    path = "parse_context"
    body = option_messages.scalars(context, path, skip=("history_tool_call_count",))
    if context.tools:
        body["tools"] = message.tools(context.tools, f"{path}.tools")
    if context.HasField("tool_choice"):
        body["tool_choice"] = message.tool_choice(context.tool_choice, f"{path}.tool_choice")
    if context.HasField("history_tool_call_count"):
        body["history_tool_call_cnt"] = context.history_tool_call_count
    return body


def _named(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the origin of an answer under the names of other operations."""
    named = {key: data.get(key) for key in ("id", "model", "created")}
    request_id = data.get("request_id")
    return named | ({"id": request_id} if request_id else {})


def _fill_choice(
    target: GenerateChoice | GenerateChoiceDelta, data: Mapping[str, Any], siblings: Sized
) -> None:
    generation.fill_choice(target, data, siblings)
    _require_ids(target.token_ids)
    if text := data.get("text"):
        target.text = text
    if logprobs := data.get("logprobs"):
        for entry in logprobs.get("content") or ():
            _fill_token(target.logprobs.add(), entry)
        extra.keep_under("logprobs", target, logprobs, _LOGPROB_KEYS)
    if data.get("sampling_mask"):
        extra.fill_with(target, "sampling_mask", data, _mask_into(target))


def _fill_rest(target: GenerateResponse | StreamGenerateResponse, data: Mapping[str, Any]) -> None:
    generation.fill_counts(target, data)
    if data.get("output_mode"):
        extra.fill(target, "output_mode", data, _MODES_BY_NAME.__getitem__)
    if token_ids := data.get("prompt_token_ids"):
        generation.extend(target.prompt_token_ids, token_ids)
        _require_ids(target.prompt_token_ids)
    if data.get("mm_placeholders"):
        write = prompt_media.placeholders_into(target.placeholders)
        extra.fill_with(target, "mm_placeholders", data, write)


def _require_ids(token_ids: Sequence[int]) -> None:
    if token_ids and min(token_ids) < 0:
        raise MalformedAnswer("a token id is negative")


def _fill_token(target: GenerateLogprob, data: Mapping[str, Any]) -> None:
    """Writes a log probability; unknown keys of the entries are dropped, as everywhere."""
    _fill_logprob(target, data)
    for top in data.get("top_logprobs") or ():
        if top is not None:
            _fill_logprob(target.top_logprobs.add(), top)


def _fill_logprob(target: GenerateLogprob | GenerateTopLogprob, data: Mapping[str, Any]) -> None:
    if (token_id := data.get("token_id")) is None:
        generation.fill_logprob(target, data)
        return
    target.token_id = integer(token_id)
    _require_ids((target.token_id,))
    # vLLM writes null for non-finite numbers.
    target.logprob = number(data["logprob"])
    if (rank := data.get("rank")) is not None:
        target.rank = integer(rank)


def _mask_into(target: GenerateChoice | GenerateChoiceDelta) -> Callable[[Any], None]:
    def write(positions: Iterable[Iterable[Any]]) -> None:
        masks = [TokenIds(ids=map(integer, position)) for position in positions]
        target.sampling_mask.extend(masks)

    return write
