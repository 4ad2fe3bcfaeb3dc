"""Common parts of reranking and scoring: inputs, settings, scores."""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.v1.rerank_pb2 import MultimodalInput, RerankRequest, ScoreRequest, ScoringInput
from penstock_server.convert import fields, message, option_messages
from penstock_server.convert.errors import MalformedAnswer, invalid
from penstock_server.json_numbers import number

_PARTS = ("text", "image", "video", "other")


def inputs(items: Iterable[ScoringInput], path: str) -> list[Any]:
    """Returns the JSON of queries or documents.

    Raises:
        InvalidRequest: the list is empty, or an item is faulty.
    """
    converted = [scoring_input(item, f"{path}[{i}]") for i, item in enumerate(items)]
    if not converted:
        raise invalid(path, "must not be empty")
    return converted


def scoring_input(item: ScoringInput, path: str) -> Any:
    """Returns the JSON of one query or document: a string, or an object with content parts.

    Raises:
        InvalidRequest: it is empty, or a part is faulty or of a kind that cannot be scored.
    """
    match item.WhichOneof("input"):
        case "text":
            return item.text
        case "multimodal":
            return {"content": _parts(item.multimodal, f"{path}.multimodal.parts")}
    raise invalid(path, "set text or multimodal")


def settings(route: str, request: RerankRequest | ScoreRequest) -> dict[str, Any]:
    """Returns the JSON of a request except its queries and documents.

    Raises:
        InvalidRequest: an option does not apply to scoring, is faulty, or is set twice.
    """
    option_messages.refuse(request.options, "options", "add_special_tokens")
    option_messages.refuse_all_but(request.engine, "engine", *fields.names_under(route, "engine"))
    body = option_messages.pooling(request.options)
    body |= option_messages.engine(request.engine)
    body |= _scoring(request)
    for name in ("model", "user"):
        if value := getattr(request, name):
            body[name] = value
    if request.HasField("extra_body"):
        fields.merge_extra(route, body, request.extra_body)
    return body


def score(result: Mapping[str, Any], key: str, index: int) -> float:
    """Returns the score of a document.

    Args:
        result: the upstream's result.
        key: key of the score in the result.
        index: index of the document.

    Raises:
        MalformedAnswer: there is no score, or it is not a number.
    """
    found = result.get(key)
    if found is None:
        raise MalformedAnswer(f"the result for document {index} has no score")
    try:
        return number(found)
    except ValueError:
        raise MalformedAnswer(f"the score of document {index} is not a number") from None


def _parts(item: MultimodalInput, path: str) -> list[Any]:
    if not item.parts:
        raise invalid(path, "must contain at least one part")
    for i, part in enumerate(item.parts):
        kind = part.WhichOneof("part")
        if kind is not None and kind not in _PARTS:
            raise invalid(
                f"{path}[{i}].{kind}", "is not supported; use text, image, video or other"
            )
    return [message.content_part(part, f"{path}[{i}]") for i, part in enumerate(item.parts)]


def _scoring(request: RerankRequest | ScoreRequest) -> dict[str, Any]:
    body = option_messages.scalars(request.scoring, "scoring")
    for name in ("max_tokens_per_query", "max_tokens_per_doc"):
        if body.get(name, 0) < 0:
            raise invalid(f"scoring.{name}", "must not be negative")
    return body
