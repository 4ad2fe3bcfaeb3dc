"""Checks of requests with token ids, with vLLM's error messages."""

import sys
from dataclasses import replace

from penstock_server.simulator.chat import checks as chat_checks
from penstock_server.simulator.generation.sampling import check_sampling
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, parameter_error, unknown_model
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    Mistyped,
    array,
    boolean,
    checked,
    int64,
    integer,
    mapping,
    refusal,
    string,
)
from penstock_server.simulator.prompts.tokens import VOCABULARY
from penstock_server.simulator.structured import outputs
from penstock_server.simulator.vllm_settings import SimulatorSettings
from penstock_server.vllm_fields import numbers

MOST_SEQUENCES = 16
"""Largest number of choices, as of the vLLM that was captured."""

_SAMPLING = "sampling_params"
_DERENDER = (0, 33)


def _features(value: Json) -> Json:
    places = mapping(value).get("mm_placeholders", {})
    for name, hashes in value.get("mm_hashes", {}).items():
        if len(places.get(name, ())) != len(hashes):
            raise _wrong_value(f"{name} mm_hashes and mm_placeholders must have the same length")
    return value


def _wrong_value(message: str) -> Mistyped:
    return Mistyped("value_error", f"Value error, {message}", {"error": ValueError(message)})


_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("model", "request_id", "cache_salt"), string),
    **dict.fromkeys(("stream", "reasoning_ended", "return_token_ids"), boolean),
    **dict.fromkeys(("stream_options", "parse_context", "reasoning_parser_kwargs"), mapping),
    **dict.fromkeys(("kv_transfer_params", "ec_transfer_params"), mapping),
    "content_parts": array,
    "features": _features,
    "priority": int64,
}
_SHARED = (
    *("temperature", "top_p", "min_p", "top_k", "repetition_penalty", "frequency_penalty"),
    *("presence_penalty", "max_tokens", "min_tokens", "n", "seed", "stop", "stop_token_ids"),
    *("ignore_eos", "include_stop_str_in_output", "logit_bias", "allowed_token_ids"),
    *("prompt_logprobs", "structured_outputs"),
)
_SAMPLING_KINDS: dict[str, Kind] = {
    **{name: chat_checks.KINDS[name] for name in _SHARED},
    **dict.fromkeys(("logprobs", "stream_interval", "thinking_token_budget"), integer),
    **dict.fromkeys(("prompt_logprob_start", "routed_experts_prompt_start"), integer),
    **dict.fromkeys(("detokenize", "skip_special_tokens", "watermarking"), boolean),
    **dict.fromkeys(("spaces_between_special_tokens", "skip_reading_prefix_cache"), boolean),
    **dict.fromkeys(("bad_words", "logprob_token_ids", "trace_decode_token_ids"), array),
    **dict.fromkeys(("prompt_logprob_token_ids",), array),
    **dict.fromkeys(("repetition_detection", "extra_args"), mapping),
}


def check(body: dict[str, Json], settings: SimulatorSettings) -> dict[str, Json]:
    """Returns the body with its values converted; raises ApiError if vLLM refuses it."""
    if body.get("cache_salt") == "":
        message = "Parameter 'cache_salt' must be a non-empty string if provided."
        raise parameter_error(message, "cache_salt")
    missing = [name for name in ("token_ids", _SAMPLING) if body.get(name) is None]
    if missing:
        raise refusal([Issue("missing", f"body.{one}", "Field required", body) for one in missing])
    values = checked(body, {**_KINDS, "token_ids": _ids, "output_mode": _modes(settings)})
    values[_SAMPLING] = sampling = _sampling(values[_SAMPLING])
    check_sampling(sampling, _unlimited(settings))
    outputs.check_request(sampling)
    _check_reasoning(values)
    _check_combinations(values, sampling, body)
    if values.get("model") and values["model"] not in settings.models:
        raise unknown_model(values["model"], settings.models)
    _check_server(values, sampling, settings)
    return values


def check_engine(values: dict[str, Json], settings: SimulatorSettings) -> None:
    """Raises the errors of the engine; in a stream, they follow the status."""
    token_ids, sampling = values["token_ids"], values[_SAMPLING]
    if len(token_ids) > settings.max_model_len:
        raise ApiError(
            f"The decoder prompt (length {len(token_ids)}) is longer than the maximum model length "
            f"of {settings.max_model_len}. Make sure that `max_model_len` is no smaller than the "
            "number of text tokens."
        )
    outside = [one for one in token_ids if one >= VOCABULARY]
    if outside:
        raise ApiError(f"Token id {outside[0]} is out of vocabulary")
    asked = sampling.get("logprobs", 0)
    chat_checks.check_engine(sampling | {"top_logprobs": asked}, settings)
    if "trace_decode_token_ids" in sampling:
        raise ApiError(
            "trace_decode_token_ids is set but trace replay is not enabled. Start the engine with "
            "--enable-trace-replay to use it."
        )
    if "prompt_logprob_token_ids" in sampling:
        message = (
            "prompt_logprob_token_ids requires the V2 model runner (VLLM_USE_V2_MODEL_RUNNER=1)."
        )
        raise parameter_error(message, "prompt_logprob_token_ids")


def _ids(value: Json) -> list[int]:
    items = array(value)
    if not items:
        message = "List should have at least 1 item after validation, not 0"
        context = {"field_type": "List", "min_length": 1, "actual_length": 0}
        raise Mistyped("too_short", message, context)
    ids = [_id(item, position) for position, item in enumerate(items)]
    if min(ids) < 0:
        raise _wrong_value("token_ids must not contain negative values")
    return ids


def _id(item: Json, position: int) -> int:
    try:
        return integer(item)
    except Mistyped as error:
        issue = Issue(error.kind, f"body.token_ids.{position}", error.message, item, error.context)
        raise refusal([issue]) from None


def _modes(settings: SimulatorSettings) -> Kind:
    version = numbers(settings.dialect)
    derenders = version is not None and version >= _DERENDER
    names = ("tokens", "text", "derender") if derenders else ("tokens", "text")
    *others, last = map(repr, names)
    expected = f"{', '.join(others)} or {last}"

    def check(value: Json) -> Json:
        if value not in names:
            message = f"Input should be {expected}"
            raise Mistyped("literal_error", message, {"expected": expected})
        return value

    return check


def _sampling(given: Json) -> dict[str, Json]:
    place, kind = f"body.{_SAMPLING}", "Input should be an instance of SamplingParams"
    issue = Issue("is_instance_of", place, kind, given, {"class": "SamplingParams"})
    if not isinstance(given, dict):
        other = Issue("dict_type", place, "Input should be a valid dictionary", given)
        raise refusal([issue, other])
    return checked(given, _SAMPLING_KINDS, place, [issue])


def _unlimited(settings: SimulatorSettings) -> SimulatorSettings:
    """Returns settings for the checks, which compare `max_tokens` with no length here."""
    return replace(settings, max_model_len=sys.maxsize)


def _check_reasoning(values: dict[str, Json]) -> None:
    given = values.get("reasoning_parser_kwargs", {})
    unknown = given.keys() - {"chat_template_kwargs"}
    issues = [
        Issue(
            "extra_forbidden",
            f"body.reasoning_parser_kwargs.{key}",
            "Extra inputs are not permitted",
            given[key],
        )
        for key in unknown
    ]
    if issues:
        raise refusal(issues)


def _check_combinations(
    values: dict[str, Json], sampling: dict[str, Json], body: dict[str, Json]
) -> None:
    mode = values.get("output_mode", "tokens")
    if values.get("content_parts") and values.get("features"):
        raise _invalid("content_parts and features are mutually exclusive", body)
    placed = values.get("features", {}).get("mm_placeholders", {}).values()
    ends = [place["offset"] + place["length"] for places in placed for place in places]
    if max(ends, default=0) > len(values["token_ids"]):
        raise _invalid("mm_placeholders must remain within the token_ids sequence", body)
    if mode != "tokens" and not sampling.get("detokenize", True):
        raise _invalid(f"output_mode={mode!r} requires sampling_params.detokenize to be true", body)


def _invalid(message: str, body: dict[str, Json]) -> ApiError:
    context = {"error": ValueError(message)}
    return refusal([Issue("value_error", "body", f"Value error, {message}", body, context)])


def _check_server(
    values: dict[str, Json], sampling: dict[str, Json], settings: SimulatorSettings
) -> None:
    count = sampling.get("n", 1)
    if count > MOST_SEQUENCES:
        raise ApiError(
            "sampling_params.n must be at most the server's max_num_seqs "
            f"({MOST_SEQUENCES}), got {count}."
        )
    selected = sampling.get("logprob_token_ids")
    if selected and sampling.get("logprobs", len(selected)) != len(selected):
        message = (
            "When both logprobs and logprob_token_ids are set, logprobs must equal "
            f"len(logprob_token_ids). Got logprobs={sampling['logprobs']}, "
            f"len(logprob_token_ids)={len(selected)}."
        )
        raise parameter_error(message, "logprob_token_ids", len(selected))
    if values.get("output_mode") == "derender":
        if values.get("stream"):
            raise ApiError("output_mode='derender' does not support stream=true.")
        if "parse_context" not in values:
            raise ApiError(
                "output_mode='derender' requires parse_context on a server with a tool or "
                "reasoning parser. Use the one returned by /render."
            )
    if values.get("content_parts"):
        raise ApiError(f"{settings.models[0]} is not a multimodal model")
