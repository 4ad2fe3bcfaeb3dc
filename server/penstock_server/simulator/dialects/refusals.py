"""The refusals of older vLLMs that have other words, or other fields of an error.

The newest version's rules decide which request is refused; a rewording replaces the error.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from penstock_server import routes
from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import ApiError, TooLong
from penstock_server.simulator.http.requests import Request
from penstock_server.vllm_fields import OLDEST, Version

_DEFAULT_TOKENS = 16
_PARAMETER = re.compile(r" \(parameter=[^)]*\)$")
_UNKNOWN_FILE = "Error opening <_io.BytesIO object>: Format not recognised."

Reworded = Callable[[Request, ApiError], ApiError | None]


@dataclass(frozen=True, slots=True)
class Rewording:
    """The earlier form of one refusal.

    Attributes:
        before: the first version that words it as the newest does.
        reworded: returns the older refusal, or None if the rewording does not apply.
        since: the first version with the older form, if not all older versions have it.
    """

    before: Version
    reworded: Reworded
    since: Version = OLDEST


def _words(pattern: str, older: str, param: str | None = None, status: int = 400) -> Reworded:
    """Returns a rewording that replaces a message by a template with the groups of a pattern."""
    known = re.compile(pattern, re.DOTALL)

    def reworded(request: Request, error: ApiError) -> ApiError | None:
        match = known.fullmatch(str(error))
        return ApiError(match.expand(older), param, status) if match else None

    return reworded


class VLLMValidationError(ValueError):
    """The error of a validator that names the parameter; its `repr` is part of the message."""


def _by_a_validator(pattern: str, *, named: bool, older: str = "") -> Reworded:
    """Returns a rewording in pydantic's format, with the parameter's name or without.

    Args:
        pattern: what the message starts with.
        named: whether the message names the parameter.
        older: words that replace those of the pattern.
    """
    known = re.compile(pattern)
    kind = VLLMValidationError if named else ValueError

    def reworded(request: Request, error: ApiError) -> ApiError | None:
        if not known.match(str(error)):
            return None
        plain = _PARAMETER.sub("", str(error))
        plain = known.sub(older, plain) if older else plain
        issue = {
            "type": "value_error",
            "loc": ("body",),
            "msg": f"Value error, {error if named else plain}",
            "input": request.json,
            "ctx": {"error": kind(plain)},
        }
        param = error.body["error"]["param"] if named else None
        return ApiError(f"1 validation error:\n  {issue}", param, kind="Bad Request")

    return reworded


def _too_long(request: Request, error: ApiError) -> ApiError | None:
    if not isinstance(error, TooLong) or request.path.startswith("/v1/audio/"):
        return None
    limit, count, param = error.limit, error.count, None
    if request.path in _SCORES:
        what = f"you requested {count} tokens in the input for embedding generation"
        rest = "input"
    else:
        what = f"your request has {count} input tokens"
        rest = "input messages"
    if request.path == routes.COMPLETIONS:
        limit -= _object(request).get("max_tokens") or _DEFAULT_TOKENS
        param = "input_tokens"
    message = (
        f"This model's maximum context length is {limit} tokens. However, {what}. "
        f"Please reduce the length of the {rest}. (parameter=input_tokens, value={count})"
    )
    chat = request.path == routes.CHAT_COMPLETIONS
    return ApiError(f"{message} None" if chat else message, param)


def _too_long_for_a_completion(request: Request, error: ApiError) -> ApiError | None:
    older = _too_long(request, error) if request.path == routes.COMPLETIONS else None
    words = str(older).replace("This model's maximum", "This maximum")
    return ApiError(words, "input_tokens") if older else None


def _too_long_with_its_answer(request: Request, error: ApiError) -> ApiError | None:
    if not isinstance(error, TooLong) or "without any output" not in str(error):
        return None
    asked = 0
    if request.path == routes.COMPLETIONS:
        asked = _object(request).get("max_tokens") or _DEFAULT_TOKENS
    least = error.limit - asked + 1
    message = (
        f"This model's maximum context length is {error.limit} tokens. However, you requested "
        f"{asked} output tokens and your prompt contains at least {least} input tokens, for a "
        f"total of at least {error.limit + 1} tokens. Please reduce the length of the input prompt "
        f"or the number of requested output tokens. (parameter=input_tokens, value={least})"
    )
    return ApiError(message, "input_tokens")


class _Silent(ApiError):
    """A failure without an error message."""

    def answer(self) -> Answer:
        """Returns an empty body."""
        return Answer.of_bytes(b"", None, self.status)


def _dead(request: Request, error: ApiError) -> ApiError | None:
    return _Silent("", status=500) if str(error).startswith("EngineCore encountered") else None


def _negative_tokens(request: Request, error: ApiError) -> ApiError | None:
    if request.path != routes.DETOKENIZE or "'greater_than_equal'" not in str(error):
        return None
    words = "out of range integral type conversion attempted"
    return ApiError(f"1 validation error:\n  {words}", kind="Bad Request")


def _no_audio(request: Request, error: ApiError) -> ApiError | None:
    if not str(error).startswith(("Invalid or corrupted audio", "No audio stream")):
        return None
    return ApiError(_UNKNOWN_FILE, status=500, kind="Internal Server Error")


_SCORES = frozenset(
    (
        routes.RERANK,
        routes.RERANK_UNVERSIONED,
        routes.RERANK_V2,
        routes.SCORE,
        routes.SCORE_UNVERSIONED,
    )
)

_NAMED_CHECKS = (
    "`(prompt_logprobs|top_logprobs|logprobs)` (must|are not)"
    "|when using `top_logprobs`|Stream options can only"
)

REWORDINGS = (
    Rewording(
        (0, 32),
        _words(r"(The model `.*` does not exist\.) Valid aliases: .*", r"\1", "model", 404),
    ),
    Rewording((0, 32), _too_long_with_its_answer),
    Rewording(
        (0, 31),
        _words("suffix is only supported .*", "suffix is not currently supported"),
    ),
    Rewording(
        (0, 26),
        _words(
            "Model '(.*)' does not support Matryoshka embeddings; .*",
            r'Model "\1" does not support matryoshka representation, '
            "changing output dimensions will lead to poor results.",
        ),
    ),
    Rewording(
        (0, 26),
        _words(
            r"Model '(.*)' only supports .*",
            r'Model "\1" only supports [16, 32, 64] matryoshka dimensions, '
            "use other output dimensions will lead to poor results.",
        ),
    ),
    Rewording((0, 21), _by_a_validator(_NAMED_CHECKS, named=True)),
    Rewording(
        (0, 21),
        _by_a_validator(
            "When using `tool_choice`|Invalid value for `(tool_choice|function)`"
            "|The tool specified in|Either prompt or prompt_embeds|Parameter 'cache_salt'"
            "|Cannot set both|`tools` must not be",
            named=False,
        ),
    ),
    Rewording(
        (0, 21),
        _words(
            "(Invalid or corrupted audio|No audio stream).*", "Invalid or unsupported audio file."
        ),
    ),
    Rewording(
        (0, 21),
        _words(
            r"Currently only support response_format: .*",
            "Currently only support response_format: `text`, `json` or `verbose_json`",
        ),
    ),
    Rewording((0, 21), _words(r"(No IOProcessor plugin .*) \(parameter=task\)", r"\1")),
    Rewording((0, 21), _words(r"(Unsupported task: .*) \(parameter=task\)", r"\1")),
    Rewording((0, 17), _negative_tokens),
    Rewording((0, 17), _dead),
    Rewording(
        (0, 16),
        _words(
            r"truncate_prompt_tokens=(\d+) cannot be greater than max_model_len = (\d+)\. .*",
            r"truncate_prompt_tokens=\1 cannot be greater than max_length=\2. "
            "Please select a smaller truncation size.",
        ),
    ),
    Rewording((0, 16), _too_long),
    Rewording(
        (0, 16),
        _words(
            r"Currently only support response_format: .*",
            "Currently only support response_format`text`, `json` or `verbose_json`",
        ),
    ),
    Rewording(
        (0, 16),
        _words(
            r"Unsupported task: '(.*)' Supported tasks: (.*) \(parameter=task\)",
            r"Task \1 is not supported, it must be one of \2.",
        ),
    ),
    Rewording((0, 16), _no_audio),
    Rewording(
        (0, 16),
        _words(r"(The model `.*` does not exist\.)", r"\1", "model", 404),
    ),
    Rewording((0, 14), _by_a_validator(_NAMED_CHECKS, named=False)),
    Rewording(
        (0, 11),
        _by_a_validator(
            r"`prompt_logprobs` must be a positive value or -1\.",
            named=False,
            older="`prompt_logprobs` must be a positive value.",
        ),
    ),
    Rewording(
        (0, 11),
        _words(
            "(Requested .* logprobs of .*, which is) (greater than max allowed: .*)", r"\1 is \2"
        ),
        since=(0, 10, 2),
    ),
    Rewording((0, 11), _too_long_for_a_completion, since=(0, 10, 2)),
)
"""The rewordings, latest first; of those that apply, the oldest is used."""


def reworded(request: Request, error: ApiError, version: Version) -> ApiError:
    """Returns a refusal in a version's words."""
    for one in reversed(REWORDINGS):
        if one.since <= version < one.before and (older := one.reworded(request, error)):
            return older
    return error


def _object(request: Request) -> dict[str, Json]:
    body = request.json
    return body if isinstance(body, dict) else {}
