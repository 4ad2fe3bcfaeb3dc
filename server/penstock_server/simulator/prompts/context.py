"""Prompts as tokens within the model's limit."""

from collections.abc import Sequence

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError
from penstock_server.simulator.prompts.tokens import Token, tokenize
from penstock_server.simulator.settings import SimulatorSettings


def tokens_of(text: str) -> list[Token]:
    """Returns the tokens of a text; raises vLLM's ApiError for a lone surrogate."""
    try:
        return list(tokenize(text))
    except UnicodeEncodeError:
        raise ApiError(
            "TextEncodeInput must be Union[TextInputSequence, Tuple[InputSequence, InputSequence]]"
        ) from None


def fitting(
    tokens: Sequence[Token], values: dict[str, Json], settings: SimulatorSettings
) -> list[Token]:
    """Returns a prompt truncated as requested; raises ApiError if no token could follow it."""
    longest = settings.max_model_len
    kept = values.get("truncate_prompt_tokens")
    if kept is not None:
        tokens = tokens[-(longest - 1 if kept < 0 else kept) :]
    if len(tokens) >= longest:
        raise TooLong(longest, len(tokens))
    return list(tokens)


class TooLong(ApiError):
    """The error for a prompt that is too long; vLLM counts only up to the limit."""

    def __init__(self, limit: int, count: int) -> None:
        message = (
            f"This model's maximum context length is {limit} tokens. However, your prompt "
            f"contains at least {limit + 1} input tokens, which exceeds this limit even "
            "without any output tokens. Please reduce the length of the input prompt. "
            f"(parameter=input_tokens, value={limit + 1})"
        )
        super().__init__(message, "input_tokens")
        self.limit = limit
        self.count = count
