"""Checks of text completion requests, with vLLM's error messages."""

from collections.abc import Callable, Collection

from penstock_server.simulator.chat import checks as chat_checks
from penstock_server.simulator.generation.sampling import check_sampling
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, parameter_error, unknown_model
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    boolean,
    checked,
    integer,
    refusal,
    string,
)
from penstock_server.simulator.prompts.tokens import VOCABULARY
from penstock_server.simulator.structured import outputs
from penstock_server.simulator.vllm_settings import SimulatorSettings

_MOST_PROMPTS = 1024
_KINDS: dict[str, Kind] = {
    **chat_checks.KINDS,
    "logprobs": integer,
    "suffix": string,
    "add_special_tokens": boolean,
}


def check(
    body: dict[str, Json], settings: SimulatorSettings, adapters: Collection[str]
) -> dict[str, Json]:
    """Returns the body with its values converted; raises ApiError if vLLM refuses it."""
    values = checked(body, _KINDS)
    _check_prompt(values.get("prompt"), "prompt_embeds" in values)
    _check_logprobs(values)
    chat_checks.check_combinations(values)
    if values.get("model") and values["model"] not in (*settings.models, *adapters):
        raise unknown_model(values["model"], settings.models)
    if values.get("suffix"):
        message = "suffix is only supported for models with FIM completion rendering"
        raise ApiError(message, "suffix")
    if values.get("use_beam_search") and values.get("stream"):
        raise ApiError("Streaming is not currently supported with beam search")
    check_sampling(_sampled(values), settings)
    outputs.check_request(values)
    if "prompt_embeds" in values:
        message = "You must set `--enable-prompt-embeds` to input `prompt_embeds`."
        raise parameter_error(message, "prompt_embeds")
    return values


def check_engine(values: dict[str, Json], settings: SimulatorSettings) -> None:
    """Raises the errors of the engine; in a stream, they follow the status."""
    asked = values.get("logprobs", 0)
    counted = {"top_logprobs": VOCABULARY if asked < 0 else asked}
    chat_checks.check_engine(values | counted, settings)


def scores_only(values: dict[str, Json]) -> bool:
    """Returns whether the request only scores the prompt, without generating text."""
    return bool(values.get("echo")) and values.get("max_tokens") == 0


def _sampled(values: dict[str, Json]) -> dict[str, Json]:
    """Returns the values without a limit of 0 tokens, which is allowed here."""
    return {**values, "max_tokens": 1} if scores_only(values) else values


def _check_prompt(prompt: Json, embedded: bool) -> None:
    if embedded and not prompt:
        return
    if prompt is None or prompt == "":
        message = "Either prompt or prompt_embeds must be provided and non-empty."
        raise parameter_error(message, "prompt")
    if prompt == []:
        raise ApiError("You must pass at least one prompt")
    issues = _prompt_issues(prompt)
    if issues:
        raise refusal(issues)
    if isinstance(prompt, list) and not isinstance(prompt[0], int) and len(prompt) > _MOST_PROMPTS:
        message = (
            f"prompt list length {len(prompt)} exceeds the maximum allowed count of "
            f"{_MOST_PROMPTS}. To increase this limit, set the VLLM_MAX_COMPLETION_PROMPTS "
            "environment variable."
        )
        raise parameter_error(message, "prompt")


def _prompt_issues(prompt: Json) -> list[Issue]:
    """Returns the issues of every valid form of a prompt, if the prompt has none of the forms."""
    if isinstance(prompt, str) or (isinstance(prompt, list) and _is_prompts(prompt)):
        return []
    if not isinstance(prompt, list):
        wrong = [("list_type", "list"), ("list_type", "list"), ("string_type", "string")]
        return [
            Issue(kind, "body.prompt", f"Input should be a valid {noun}", prompt)
            for kind, noun in (*wrong, ("list_type", "list"))
        ]
    first = prompt[0]
    place = "body.prompt.0"
    if isinstance(first, int):
        message = "Input should be greater than or equal to 0"
        issues = [Issue("greater_than_equal", place, message, min(prompt), {"ge": 0})]
    else:
        issues = [Issue("int_type", place, "Input should be a valid integer", first)]
    return [
        *issues,
        Issue("list_type", place, "Input should be a valid list", first),
        Issue("string_type", "body.prompt", "Input should be a valid string", prompt),
        Issue("string_type", place, "Input should be a valid string", first),
    ]


def _is_prompts(prompt: list[Json]) -> bool:
    forms: tuple[Callable[[Json], bool], ...] = (
        lambda item: isinstance(item, str),
        _is_id,
        lambda item: isinstance(item, list) and all(map(_is_id, item)),
    )
    return any(all(map(form, prompt)) for form in forms)


def _is_id(item: Json) -> bool:
    return isinstance(item, int) and item >= 0


def _check_logprobs(values: dict[str, Json]) -> None:
    asked = values.get("logprobs", 0)
    if asked < -1:
        message = "`logprobs` must be a positive value or -1."
        raise parameter_error(message, "logprobs", asked)
