"""Ranges of the sampling parameters."""

import math

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, parameter_error
from penstock_server.simulator.vllm_settings import SimulatorSettings

_MOST_CHOICES = 16384


def check_sampling(values: dict[str, Json], settings: SimulatorSettings) -> None:
    """Refuses values out of range, in the order of vLLM's checks."""
    _check_choices(values)
    _check_range(values, "presence_penalty", -2, 2)
    _check_range(values, "frequency_penalty", -2, 2)
    if values.get("repetition_penalty", 1) <= 0:
        shown = values["repetition_penalty"]
        raise ApiError(f"repetition_penalty must be greater than zero, got {shown}.")
    _check_temperature(values.get("temperature", 1.0))
    top_p = values.get("top_p", 1.0)
    if not 0 < top_p <= 1:
        raise parameter_error(f"top_p must be in (0, 1], got {top_p}.", "top_p", top_p)
    if values.get("top_k", 0) < -1:
        shown = values["top_k"]
        raise ApiError(f"top_k must be 0 (disable), or at least 1, got {shown}.")
    _check_range(values, "min_p", 0, 1)
    _check_lengths(values, settings)
    if "" in values.get("stop", []):
        raise ApiError("stop cannot contain an empty string.")
    if "" in values.get("bad_words", []):
        words = values["bad_words"]
        raise ApiError(f"bad_words cannot contain an empty string. Got bad_words={words}")
    if values.get("allowed_token_ids") == []:
        message = "allowed_token_ids is not None and empty!"
        raise parameter_error(message, "allowed_token_ids", [])


def _check_choices(values: dict[str, Json]) -> None:
    count = values.get("n", 1)
    if count < 1:
        raise ApiError(f"n must be at least 1, got {count}.")
    if count > _MOST_CHOICES:
        raise ApiError(
            f"n must be at most {_MOST_CHOICES}, got {count}. To increase this limit, "
            "set the VLLM_MAX_N_SEQUENCES environment variable."
        )
    if count > 1 and values.get("temperature") == 0 and not values.get("use_beam_search"):
        raise ApiError(f"n must be 1 when using greedy sampling, got {count}.")


def _check_temperature(temperature: float) -> None:
    if not math.isfinite(temperature):
        wrong = "must be a finite number"
    elif temperature < 0:
        wrong = "must be non-negative"
    elif temperature > 2:
        wrong = "must be in [0, 2]"
    else:
        return
    message = f"temperature {wrong}, got {temperature}."
    raise parameter_error(message, "temperature", temperature)


def _check_lengths(values: dict[str, Json], settings: SimulatorSettings) -> None:
    most, longest = requested_tokens(values), settings.max_model_len
    if most is not None and most < 1:
        message = f"max_tokens must be at least 1, got {most}."
        raise parameter_error(message, "max_tokens", most)
    if most is not None and most > longest:
        message = (
            f"max_tokens={most} cannot be greater than max_model_len={longest}. "
            "Please request fewer output tokens."
        )
        raise parameter_error(message, "max_tokens", most)
    least = values.get("min_tokens", 0)
    if least < 0:
        raise ApiError(f"min_tokens must be greater than or equal to 0, got {least}.")
    if most is not None and least > most:
        message = f"min_tokens must be less than or equal to max_tokens={most}, got {least}."
        raise ApiError(message)
    kept = values.get("truncate_prompt_tokens", -1)
    if kept > longest:
        message = (
            f"truncate_prompt_tokens={kept} cannot be greater than max_model_len = {longest}. "
            "Please request a smaller truncation size."
        )
        raise parameter_error(message, "truncate_prompt_tokens", kept)


def requested_tokens(values: dict[str, Json]) -> int | None:
    """Returns the maximum number of tokens; the newer of the two names has precedence."""
    most: int | None = values.get("max_completion_tokens", values.get("max_tokens"))
    return most


def _check_range(values: dict[str, Json], name: str, low: float, high: float) -> None:
    value = values.get(name, low)
    if not low <= value <= high:
        raise ApiError(f"{name} must be in [{low}, {high}], got {value}.")
