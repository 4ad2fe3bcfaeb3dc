"""A checked request to score or rerank: pairs of texts, and their scores."""

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from penstock_server.simulator.faults.table import without_directives
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, TooLong
from penstock_server.simulator.http.validation import (
    Issue,
    Kind,
    Mistyped,
    array,
    boolean,
    integer,
    mapping,
    refusal,
    string,
)
from penstock_server.simulator.prompts.context import tokens_of
from penstock_server.simulator.prompts.media import in_words, medium
from penstock_server.simulator.vllm_settings import SimulatorSettings

_WORD = re.compile(r"\w+")
_FRAME_TOKENS = 3
"""Special tokens around and between the texts of a pair."""


def natural(value: Json) -> int:
    """Converts an integer that is 0 or larger."""
    whole = integer(value)
    if whole < 0:
        message = "Input should be greater than or equal to 0"
        raise Mistyped("greater_than_equal", message, {"ge": 0})
    return whole


KINDS: dict[str, Kind] = {
    **dict.fromkeys(("model", "user", "request_id", "cache_salt", "instruction"), string),
    **dict.fromkeys(("top_n", "max_tokens_per_query", "max_tokens_per_doc"), natural),
    **dict.fromkeys(("truncate_prompt_tokens", "priority"), integer),
    **dict.fromkeys(("chat_template_kwargs", "mm_processor_kwargs"), mapping),
    "use_activation": boolean,
}


@dataclass(frozen=True, slots=True)
class Side:
    """A query or a document.

    Attributes:
        text: its text, including the description of its media.
        raw: its form in the request.
    """

    text: str
    raw: Json


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of a pair."""

    score: float
    tokens: int


def sides(value: Json, name: str, settings: SimulatorSettings) -> list[Side]:
    """Reads one or several queries or documents."""
    items = value if isinstance(value, list) else [value]
    issues = [
        issue for index, item in enumerate(items) for issue in _issues(item, f"body.{name}.{index}")
    ]
    if issues:
        outer = "Input should be a valid string"
        raise refusal([Issue("string_type", f"body.{name}", outer, value), *issues])
    return [Side(_text(item, settings), item) for item in items]


def scored(
    query: Side, document: Side, values: dict[str, Json], settings: SimulatorSettings
) -> Scored:
    """Scores a pair by the words that its sides share; ApiError if it is too long."""
    asked = _cut(query.text, values.get("max_tokens_per_query", 0))
    given = _cut(document.text, values.get("max_tokens_per_doc", 0))
    tokens = len(tokens_of(asked)) + len(tokens_of(given)) + _FRAME_TOKENS
    longest = settings.max_model_len
    kept = values.get("truncate_prompt_tokens")
    if kept is not None:
        tokens = min(tokens, longest if kept < 0 else kept)
    if tokens > longest:
        raise TooLong(longest, tokens)
    if settings.kind == "embed":
        return Scored(_cosine(asked, given), tokens)
    raw = values.get("use_activation") is False
    logit = _logit(asked, given)
    return Scored(logit if raw else 1 / (1 + math.exp(-logit)), tokens)


def _issues(item: Json, place: str) -> list[Issue]:
    if isinstance(item, str):
        return []
    if not isinstance(item, dict):
        return [
            Issue("string_type", place, "Input should be a valid string", item),
            Issue("dict_type", place, "Input should be a valid dictionary", item),
        ]
    if isinstance(item.get("content"), list):
        return []
    return [
        Issue("string_type", place, "Input should be a valid string", item),
        Issue("missing", f"{place}.ScoreMultiModalParam.content", "Field required", item),
    ]


def _text(item: Json, settings: SimulatorSettings) -> str:
    if isinstance(item, str):
        return without_directives(item)
    if not settings.multimodal:
        raise ApiError("MultiModalParam is not supported for BertForSequenceClassification")
    parts = array(item["content"])
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    media = [medium(part) for part in parts if part.get("type") != "text"]
    return " ".join([*texts, *([in_words(media)] if media else [])])


def _cut(text: str, most: int) -> str:
    return "".join(token.text for token in tokens_of(text)[:most]) if most else text


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _logit(query: str, document: str) -> float:
    asked, given = _words(query), _words(document)
    shared = len(asked & given) / len(asked) if asked else 0.0
    return 6 * shared - 3 + _own(document)


def _cosine(query: str, document: str) -> float:
    asked, given = _words(query), _words(document)
    if query == document:
        return 1.0
    shared = len(asked & given) / math.sqrt(len(asked) * len(given)) if asked and given else 0.0
    return 0.9 * shared + _own(document)


def _own(document: str) -> float:
    """Returns a small difference between documents that share the same number of words."""
    return zlib.crc32(document.encode()) % 1000 / 10_000


def tokens_used(pairs: Sequence[Scored]) -> int:
    """Returns the number of tokens of all pairs."""
    return sum(pair.tokens for pair in pairs)
