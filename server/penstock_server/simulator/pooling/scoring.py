"""POST /v1/rerank, /v1/score and their other paths: pairs of texts scored by shared words."""

import time
from collections.abc import Sequence

from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import ApiError, detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import Issue, checked, json_object, refusal
from penstock_server.simulator.pooling.scoring_request import (
    KINDS,
    Scored,
    Side,
    scored,
    sides,
    tokens_used,
)
from penstock_server.simulator.state import State

_PAIRS = (
    ("queries", "documents"),
    ("queries", "items"),
    ("data_1", "data_2"),
    ("text_1", "text_2"),
)
"""The names of the two sides, in the order in which vLLM looks for them."""


async def rerank(request: Request, state: State) -> Answer:
    """Returns documents ordered by score; always includes their content, as vLLM does."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    missing = [name for name in ("query", "documents") if name not in body]
    if missing:
        raise _missing(missing, body)
    values = checked(body, KINDS)
    _check_model(values, state)
    [query] = sides(values["query"], "query", state.settings)
    documents = sides(values["documents"], "documents", state.settings)
    if not documents:
        raise ApiError("At least one text_pair element must be given")
    _check_empty([query, *documents], state)
    pairs = [scored(query, document, values, state.settings) for document in documents]
    used = tokens_used(pairs)
    return Answer.of_json(
        {
            "id": f"score-{_name(request, values, state)}",
            "model": state.settings.models[0],
            "usage": {"prompt_tokens": used, "total_tokens": used},
            "results": _results(documents, pairs, values.get("top_n", 0)),
        }
    )


async def score(request: Request, state: State) -> Answer:
    """Returns a score for each pair, in order."""
    try:
        body = json_object(request)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    first, second = _named(body)
    values = checked(body, KINDS)
    _check_model(values, state)
    left = sides(values[first], first, state.settings)
    right = sides(values[second], second, state.settings)
    _check_empty([*left, *right], state)
    pairs = [scored(query, one, values, state.settings) for query, one in _paired(left, right)]
    used = tokens_used(pairs)
    return Answer.of_json(
        {
            "id": f"score-{_name(request, values, state)}",
            "object": "list",
            "created": int(time.time()),
            "model": state.settings.models[0],
            "data": [
                {"index": index, "object": "score", "score": pair.score}
                for index, pair in enumerate(pairs)
            ],
            "usage": {
                "prompt_tokens": used,
                "total_tokens": used,
                "completion_tokens": 0,
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            },
        }
    )


def prompt(request: Request) -> str:
    """Returns the queries, which may contain fault directives."""
    try:
        body = request.json
        asked = next(body[name] for name in ("query", *(one for one, _ in _PAIRS)) if name in body)
        queries = asked if isinstance(asked, list) else [asked]
        return "\n".join(query for query in queries if isinstance(query, str))
    except (ValueError, TypeError, StopIteration):
        return ""


def _results(documents: Sequence[Side], pairs: Sequence[Scored], most: int) -> list[Json]:
    ranked = sorted(enumerate(pairs), key=lambda item: -item[1].score)
    return [
        {
            "index": index,
            "document": _returned(documents[index]),
            "relevance_score": pair.score,
        }
        for index, pair in ranked[: most or len(ranked)]
    ]


def _returned(document: Side) -> Json:
    if isinstance(document.raw, str):
        return {"text": document.raw, "multi_modal": None}
    return {"text": None, "multi_modal": document.raw["content"]}


def _paired(left: list[Side], right: list[Side]) -> list[tuple[Side, Side]]:
    if not left:
        raise ApiError("At least one text element must be given")
    if not right:
        raise ApiError("At least one text_pair element must be given")
    if len(left) not in (1, len(right)):
        raise ApiError("Input lengths must be either 1:1, 1:N or N:N")
    queries = left * len(right) if len(left) == 1 else left
    return list(zip(queries, right, strict=True))


def _named(body: dict[str, Json]) -> tuple[str, str]:
    """Returns the names of the sides in a body."""
    for pair in _PAIRS:
        if all(name in body for name in pair):
            return pair
    raise _missing([name for pair in _PAIRS for name in pair if name not in body], body)


def _missing(names: Sequence[str], body: Json) -> ApiError:
    return refusal([Issue("missing", f"body.{name}", "Field required", body) for name in names])


def _check_model(values: dict[str, Json], state: State) -> None:
    model = values.get("model")
    if model and model not in state.settings.models:
        raise ApiError(f"The model `{model}` does not exist.", status=404)


def _check_empty(texts: Sequence[Side], state: State) -> None:
    if state.settings.kind == "embed" or state.dialect.scores_empty_texts:
        return
    if any(one.raw == "" for one in texts):
        raise ApiError("Only one multi-modal item is supported")


def _name(request: Request, values: dict[str, Json], state: State) -> str:
    header = request.headers.get("x-request-id")
    return str(header or values.get("request_id") or state.new_id())
