"""A checked transcription request, and the values derived from it."""

import json
import math
import time
from dataclasses import dataclass, field

from penstock_server.simulator.generation.dialogues import Script
from penstock_server.simulator.generation.generation import Generation, Limits, generate
from penstock_server.simulator.generation.sampling import check_sampling
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, TooLong, parameter_error, unknown_model
from penstock_server.simulator.http.form import Form
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    boolean,
    checked,
    int64,
    integer,
    number,
    refusal,
    string,
)
from penstock_server.simulator.prompts.context import tokens_of
from penstock_server.simulator.state import State
from penstock_server.simulator.transcription.audio import duration_of, parts_of
from penstock_server.simulator.vllm_settings import SimulatorSettings

SENTENCES = {
    "transcribe": (" Hello world, this is a", " test. The quick brown fox — café."),
    "translate": (" This is the", " English translation."),
}
"""The text of any audio, in two segments of half a second, as with the tests' tiny model."""

SEGMENT_S = 0.5
_LANGUAGES = [
    *("af", "ar", "hy", "az", "be", "bs", "bg", "ca", "zh", "hr", "cs", "da", "nl"),
    *("en", "et", "fi", "fr", "gl", "de", "el", "he", "hi", "hu", "is", "id", "it"),
    *("ja", "kn", "kk", "ko", "lv", "lt", "mk", "ms", "mr", "mi", "ne", "no", "fa"),
    *("pl", "pt", "ro", "ru", "sr", "sk", "sl", "es", "sw", "sv", "tl", "ta", "th"),
    *("tr", "uk", "ur", "vi", "cy"),
]
_PROMPT_TOKENS = 4
_TOKENS_PER_S = 100
_GRANULARITIES = "timestamp_granularities[]"
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_FORMATS_IN_WORDS = "'json', 'text', 'srt', 'verbose_json' or 'vtt'"
_DEFAULTED = (
    *("prompt", "response_format", _GRANULARITIES, "stream", "stream_include_usage"),
    *("stream_continuous_usage_stats", "use_beam_search", "n", "length_penalty"),
    *("include_stop_str_in_output", "temperature", "frequency_penalty", "presence_penalty"),
)
"""Fields that a form has even if the request omits them."""
_STREAM_FLAGS = ("stream_include_usage", "stream_continuous_usage_stats")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("model", "language", "to_language", "prompt", "hotwords"), string),
    **dict.fromkeys(("stream", *_STREAM_FLAGS, "use_beam_search", "watermarking"), boolean),
    **dict.fromkeys(("temperature", "top_p", "min_p", "length_penalty"), number),
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "repetition_penalty"), number),
    **dict.fromkeys(("n", "top_k", "max_completion_tokens"), integer),
    "include_stop_str_in_output": boolean,
    "seed": int64,
}


@dataclass(slots=True)
class Speech:
    """One checked request."""

    task: str
    values: dict[str, Json]
    duration: float
    name: str
    """The part of the id that is the request's own."""
    settings: SimulatorSettings
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def language(self) -> str:
        """The given language, or the default."""
        return str(self.values.get("language") or "en")

    @property
    def starts(self) -> list[float]:
        """The start of each part that is processed at once, in seconds."""
        return parts_of(self.duration)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt and of the audio."""
        return _PROMPT_TOKENS + math.ceil(self.duration * _TOKENS_PER_S)

    def flag(self, name: str) -> bool:
        """Returns a boolean of the form."""
        return bool(self.values.get(name))

    def generate(self, text: str) -> Generation:
        """Returns the tokens of the transcribed text."""
        most = self.values.get("max_completion_tokens") or self.settings.max_model_len
        return generate(Script(text), Limits(most))


def prepare(request: Request, form: Form, task: str, state: State) -> Speech:
    """Checks a request in vLLM's order; raises ApiError."""
    values = _values(form, task)
    _check_file(form, values)
    data = form.files["file"]
    megabytes, most = len(data) / 2**20, state.settings.max_audio_megabytes
    if megabytes > most:
        raise parameter_error("Maximum file size exceeded", "audio_filesize_mb", megabytes)
    if values.get("stream") and values.get("use_beam_search"):
        raise ApiError("Streaming is not currently supported with beam search")
    if values.get("model") and values["model"] not in state.settings.models:
        raise unknown_model(values["model"], state.settings.models)
    _check_format(values, state.settings.models[0])
    _check_languages(values)
    duration = duration_of(data)
    longest = state.settings.max_model_len
    count = _PROMPT_TOKENS + len(tokens_of(values.get("prompt", "")))
    if count >= longest:
        raise TooLong(longest, count)
    # Without beam search, `n` is ignored.
    check_sampling({key: values[key] for key in values if key != "n"}, state.settings)
    name = request.headers.get("x-request-id") or state.new_id()
    return Speech(task, values, duration, name, state.settings)


def _values(form: Form, task: str) -> dict[str, Json]:
    values = checked(dict(form.fields), _KINDS)
    _check_literals(form, task)
    flags = [name for name in _STREAM_FLAGS if values.get(name)]
    if flags and not values.get("stream"):
        message = "Stream options can only be defined when `stream=True`."
        raise parameter_error(message, flags[0])
    if "vllm_xargs" in values:
        values["vllm_xargs"] = _xargs(values["vllm_xargs"])
    return values


def _check_literals(form: Form, task: str) -> None:
    wanted = form.text("response_format") or "json"
    diarized = task == "transcribe"
    issues = []
    if wanted not in _FORMATS and not (diarized and wanted == "diarized_json"):
        issues.append(_literal("response_format", _FORMATS_IN_WORDS, wanted))
        # A union of two enumerations: each reports the values that it accepts.
        issues += [_literal("response_format", "'diarized_json'", wanted)] if diarized else []
    granularities = [value for name, value in form.fields if name == _GRANULARITIES]
    issues += [
        _literal(str(index), "'word' or 'segment'", value)
        for index, value in enumerate(granularities)
        if value not in ("word", "segment")
    ]
    if issues:
        raise refusal(issues)


def _literal(name: str, expected: str, value: str) -> Issue:
    message = f"Input should be {expected}"
    return Issue("literal_error", f"body.{name}", message, value, {"expected": expected})


def _xargs(text: str) -> Json:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"Failed to parse vllm_xargs. Must be valid JSON: {error}"
        raise parameter_error(message, "vllm_xargs") from None


def _check_file(form: Form, values: dict[str, Json]) -> None:
    if "file" in form.files:
        return
    if "file" in values:
        message = "Expected 'file' to be a file-like object, not 'str'."
        raise ApiError(message, status=422)
    known = dict.fromkeys((*_DEFAULTED, *values))
    raise refusal([Issue("missing", "body.file", "Field required", known)])


def _check_format(values: dict[str, Json], model: str) -> None:
    wanted = values.get("response_format", "json")
    if wanted in ("srt", "vtt"):
        raise ApiError(
            "Currently only support response_format: "
            "`text`, `json`, `verbose_json` or `diarized_json`"
        )
    if wanted == "diarized_json":
        raise ApiError(f"Currently do not support diarized_json for {model}")
    if wanted == "verbose_json" and values.get("stream"):
        raise ApiError("verbose_json format doesn't support streaming case")


def _check_languages(values: dict[str, Json]) -> None:
    for language in (values.get("language"), values.get("to_language")):
        if language and language not in _LANGUAGES:
            raise ApiError(f"Unsupported language: '{language}'.  Must be one of {_LANGUAGES}.")
