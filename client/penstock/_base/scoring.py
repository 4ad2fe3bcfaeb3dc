"""Inputs and options of calls that score documents."""

from collections.abc import Iterable
from typing import TypeAlias

from penstock._base.options import JsonObject, PoolingOptions, UserOptions
from penstock.v1.message_pb2 import ContentPart
from penstock.v1.rerank_pb2 import MultimodalInput, ScoringInput

Document: TypeAlias = str | ScoringInput | ContentPart | Iterable[str | ContentPart]
"""A text, or parts such as `image` and `video` make."""


class ScoringOptions(UserOptions, PoolingOptions, total=False):
    """The fields of `ScoringOptions`, which `penstock/v1/rerank.proto` describes."""

    max_tokens_per_query: int | None
    max_tokens_per_doc: int | None
    instruction: str | None
    chat_template_kwargs: JsonObject | None
    mm_processor_kwargs: JsonObject | None


def as_input(given: Document) -> ScoringInput:
    """Returns a query or a document as a message."""
    if isinstance(given, ScoringInput):
        return given
    if isinstance(given, str):
        return ScoringInput(text=given)
    parts = [given] if isinstance(given, ContentPart) else given
    made = [ContentPart(text=part) if isinstance(part, str) else part for part in parts]
    return ScoringInput(multimodal=MultimodalInput(parts=made))
