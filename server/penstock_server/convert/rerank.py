"""Reranking: documents ordered by relevance to a query."""

from collections.abc import Mapping
from typing import Any

from penstock.v1.rerank_pb2 import RerankRequest, RerankResponse, RerankResult
from penstock_server import routes
from penstock_server.convert import batch, extra, scoring
from penstock_server.convert.errors import MalformedAnswer, invalid, reads_answer
from penstock_server.convert.usage import fill_usage

_ANSWER_KEYS = frozenset({"id", "model", "usage", "results"})
_RESULT_KEYS = frozenset({"index", "document", "relevance_score"})


def request_body(request: RerankRequest) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    body = {
        "query": scoring.scoring_input(request.query, "query"),
        "documents": scoring.inputs(request.documents, "documents"),
    }
    if request.HasField("top_n"):
        if request.top_n < 0:
            raise invalid("top_n", "must not be negative")
        body["top_n"] = request.top_n
    return body | scoring.settings(routes.RERANK, request)


@reads_answer
def response(data: Mapping[str, Any], request: RerankRequest) -> RerankResponse:
    """Returns the message for the answer to a request.

    The order, the number of results and the documents are set here, because upstreams differ in
    them.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = RerankResponse()
    extra.fill(answer, "id", data, extra.text)
    extra.fill(answer, "model", data, extra.text)
    documents = len(request.documents)
    wanted = min(request.top_n or documents, documents)
    results = [
        _result(item, i) for i, item in batch.by_index(data.get("results"), documents).items()
    ]
    if len(results) < wanted:
        raise MalformedAnswer(f"{len(results)} results instead of {wanted}")
    results.sort(key=lambda result: (-result.relevance_score, result.index))
    answer.results.extend(results[:wanted])
    if request.return_documents:
        for result in answer.results:
            result.document.CopyFrom(request.documents[result.index])
    if (usage := data.get("usage")) is not None:
        # vLLM before 0.13 sends the total alone; all tokens belong to the prompt.
        fill_usage(answer.usage, {"prompt_tokens": usage.get("total_tokens"), **usage})
    extra.keep(answer, data, _ANSWER_KEYS)
    return answer


def _result(item: Mapping[str, Any], index: int) -> RerankResult:
    # Some upstreams name it `score`.
    key = "score" if item.get("relevance_score") is None else "relevance_score"
    result = RerankResult(index=index, relevance_score=scoring.score(item, key, index))
    extra.keep(result, item, _RESULT_KEYS | {key})
    return result
