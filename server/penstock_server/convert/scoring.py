"""What reranking and scoring have in common: inputs, settings, scores."""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.v1.rerank_pb2 import MultimodalInput, RerankRequest, ScoreRequest, ScoringInput
from penstock_server.convert import fields, message, options
from penstock_server.convert.errors import MalformedAnswer, invalid
from penstock_server.json_numbers import number

_PARTS = ("text", "image", "video", "other")


def inputs(items: Iterable[ScoringInput], path: str) -> list[Any]:
    """Returns queries or documents.

    Raises:
        InvalidRequest: there is none, or one is faulty.
    """
    converted = [scoring_input(item, f"{path}[{i}]") for i, item in enumerate(items)]
    if not converted:
        raise invalid(path, "give at least one")
    return converted


def scoring_input(item: ScoringInput, path: str) -> Any:
    """Returns one query or document: a string, or an object with content parts.

    Raises:
        InvalidRequest: it is empty, or a part is faulty or of a kind that is not scored.
    """
    match item.WhichOneof("input"):
        case "text":
            return item.text
        case "multimodal":
            return {"content": _parts(item.multimodal, f"{path}.multimodal.parts")}
    raise invalid(path, "give text or multimodal")


def settings(route: str, request: RerankRequest | ScoreRequest) -> dict[str, Any]:
    """Returns everything of a request but its queries and documents.

    Raises:
        InvalidRequest: an option has no meaning for scoring, is faulty, or stands twice.
    """
    options.refuse(request.options, "options", "add_special_tokens")
    options.refuse_all_but(request.engine, "engine", *fields.names_under(route, "engine"))
    body = options.pooling(request.options)
    body |= options.engine(request.engine)
    body |= _scoring(request)
    for name in ("model", "user"):
        if value := getattr(request, name):
            body[name] = value
    if request.HasField("extra_body"):
        fields.merge_extra(route, body, request.extra_body)
    return body


def score(result: Mapping[str, Any], key: str, index: int) -> float:
    """Returns the score that stands under a key of the result for a document.

    Raises:
        MalformedAnswer: there is none.
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
        raise invalid(path, "give at least one part")
    for i, part in enumerate(item.parts):
        kind = part.WhichOneof("part")
        if kind is not None and kind not in _PARTS:
            raise invalid(f"{path}[{i}].{kind}", "has no meaning here")
    return [message.content_part(part, f"{path}[{i}]") for i, part in enumerate(item.parts)]


def _scoring(request: RerankRequest | ScoreRequest) -> dict[str, Any]:
    body = options.scalars(request.scoring, "scoring")
    for name in ("max_tokens_per_query", "max_tokens_per_doc"):
        if body.get(name, 0) < 0:
            raise invalid(f"scoring.{name}", "must not be negative")
    return body
