"""Reranking of 100 documents."""

import random

from google.protobuf.message import Message

from bench.payloads.common import dump, expect_usage, text
from penstock.v1 import rerank_pb2

RERANK_MODEL = "bench-rerank"
_DOCUMENTS = [text(16, 500 + i) for i in range(100)]
_QUERY = text(12, 499)


def _scores() -> list[tuple[int, float]]:
    chosen = random.Random(7)
    scores = [(i, round(chosen.random(), 12)) for i in range(len(_DOCUMENTS))]
    return sorted(scores, key=lambda entry: -entry[1])


def rerank_http() -> bytes:
    """Returns a request to rerank 100 documents over HTTP."""
    return dump({"model": RERANK_MODEL, "query": _QUERY, "documents": _DOCUMENTS})


def rerank_grpc() -> bytes:
    """Returns the same request as a message."""
    request = rerank_pb2.RerankRequest(model=RERANK_MODEL)
    request.query.text = _QUERY
    for document in _DOCUMENTS:
        request.documents.add(text=document)
    return request.SerializeToString()


def rerank_answer() -> bytes:
    """Returns the upstream's answer."""
    results = [
        {
            "index": index,
            "document": {"text": _DOCUMENTS[index], "multi_modal": None},
            "relevance_score": score,
        }
        for index, score in _scores()
    ]
    usage = {"prompt_tokens": 3000, "total_tokens": 3000}
    name = "score-ab670d94712c0896"
    return dump({"id": name, "model": RERANK_MODEL, "usage": usage, "results": results})


def rerank_expected() -> Message:
    """Returns the expected message."""
    expected = rerank_pb2.RerankResponse(id="score-ab670d94712c0896", model=RERANK_MODEL)
    for index, score in _scores():
        expected.results.add(index=index, relevance_score=score)
    expect_usage(expected.usage, 3000, 0)
    return expected
