"""Scoring: relevance of documents to queries, pair by pair."""

from collections.abc import Mapping
from typing import Any

from penstock.v1.rerank_pb2 import ScoreRequest, ScoreResponse
from penstock_server import routes
from penstock_server.convert import batch, extra, generation, scoring
from penstock_server.convert.errors import invalid, reads_answer
from penstock_server.convert.usage import fill_usage

_ANSWER_KEYS = frozenset({"id", "object", "created", "model", "usage", "data"})
_RESULT_KEYS = frozenset({"index", "object", "score"})


def request_body(request: ScoreRequest) -> dict[str, Any]:
    """Returns the JSON of a request, with the keys for the pairs that every vLLM knows.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    queries = scoring.inputs(request.queries, "queries")
    documents = scoring.inputs(request.documents, "documents")
    if len(queries) not in (1, len(documents)):
        counts = f"{len(queries)} queries for {len(documents)} documents"
        raise invalid("queries", f"must be one or as many as the documents, not {counts}")
    body = {"text_1": queries[0] if len(queries) == 1 else queries, "text_2": documents}
    return body | scoring.settings(routes.SCORE, request)


@reads_answer
def response(data: Mapping[str, Any], request: ScoreRequest) -> ScoreResponse:
    """Returns the message for the answer to a request.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = ScoreResponse()
    generation.fill_origin(answer, data)
    for index, item in enumerate(batch.in_order(data.get("data"), len(request.documents))):
        result = answer.results.add(index=index, score=scoring.score(item, "score", index))
        extra.keep(result, item, _RESULT_KEYS)
    if (usage := data.get("usage")) is not None:
        fill_usage(answer.usage, usage)
    extra.keep(answer, data, _ANSWER_KEYS)
    return answer
