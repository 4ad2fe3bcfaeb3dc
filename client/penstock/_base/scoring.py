"""Inputs and options of calls that score documents."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from penstock._base.openai import parts_from
from penstock._base.option_docs import documented
from penstock._base.options import JsonObject, PoolingOptions, UserOptions
from penstock.messages import Part
from penstock.v1.message_pb2 import ContentPart
from penstock.v1.rerank_pb2 import MultimodalInput, ScoringInput

Document: TypeAlias = ScoringInput | Part | Iterable[Part]
"""A text, or content parts such as those that `image` and `video` return."""

Documents: TypeAlias = str | ScoringInput | ContentPart | Sequence[Document]
"""Several documents, or one."""


@documented
class ScoringOptions(UserOptions, PoolingOptions, total=False):
    """Options of scoring; see `penstock/v1/rerank.proto`.

    Attributes:
        max_tokens_per_query: maximum number of tokens of a query; longer ones are truncated.
        max_tokens_per_doc: maximum number of tokens of a document; longer ones are truncated.
        instruction: instruction that defines relevance, for models that support one.
        chat_template_kwargs: variables for the model's template.
        mm_processor_kwargs: parameters of the model's multimodal processor.
    """

    max_tokens_per_query: int | None
    max_tokens_per_doc: int | None
    instruction: str | None
    chat_template_kwargs: JsonObject | None
    mm_processor_kwargs: JsonObject | None


def as_documents(given: Documents) -> list[ScoringInput]:
    """Returns queries or documents as messages.

    Raises:
        TypeError: an item is not a valid query or document.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        given = [given]
    return [as_document(one) for one in given]


def as_document(given: Document) -> ScoringInput:
    """Returns a query or a document as a message; raises the errors of `as_documents`."""
    if isinstance(given, ScoringInput):
        return given
    if isinstance(given, str):
        return ScoringInput(text=given)
    return ScoringInput(multimodal=MultimodalInput(parts=parts_from(given)))
