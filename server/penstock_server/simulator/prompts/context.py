"""Prompts as tokens within the model's limit."""

from collections.abc import Sequence

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, TooLong
from penstock_server.simulator.prompts.tokens import Token, tokenize
from penstock_server.simulator.vllm_settings import SimulatorSettings


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
