"""RerankService."""

import math
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from penstock.v1.common_pb2 import EngineOptions, PoolingOptions
from penstock.v1.message_pb2 import ContentPart
from penstock.v1.rerank_pb2 import (
    MultimodalInput,
    RerankRequest,
    RerankResponse,
    ScoreRequest,
    ScoreResponse,
    ScoringInput,
    ScoringOptions,
    StreamRerankRequest,
    StreamScoreRequest,
)
from penstock.v1.rerank_pb2_grpc import RerankServiceStub

from .chats import members
from .conftest import Target
from .refusals import Refusal, refused
from .vectors import LONG

INVALID = grpc.StatusCode.INVALID_ARGUMENT
QUERY = "import a module"
DOCUMENTS = (
    "the import statement",
    "a string method",
    "numbers and floats",
    "loops",
    "import a module",
)
TOLERANCE = 1e-4
"""Scores vary in their last digits with what else is in the batch."""


@pytest.fixture
def stub(target: Target) -> Any:
    return RerankServiceStub(target.channel)


def inputs(texts: Sequence[str]) -> list[ScoringInput]:
    return [ScoringInput(text=text) for text in texts]


def reranking(
    query: str = QUERY, documents: Sequence[str] = DOCUMENTS, **fields: Any
) -> RerankRequest:
    return RerankRequest(query=ScoringInput(text=query), documents=inputs(documents), **fields)


def scoring(
    queries: Sequence[str] = (QUERY,), documents: Sequence[str] = DOCUMENTS, **fields: Any
) -> ScoreRequest:
    return ScoreRequest(queries=inputs(queries), documents=inputs(documents), **fields)


async def rerank(stub: Any, request: RerankRequest) -> RerankResponse:
    """Returns a reranking, after the checks that apply to every answer."""
    answer: RerankResponse = await stub.Rerank(request)
    wanted = min(request.top_n or len(request.documents), len(request.documents))
    # Before 0.20, ids of rerankings differ from ids of scores.
    assert answer.id.startswith(("score-", "rerank-"))
    assert answer.model
    assert len(answer.results) == wanted
    assert len({result.index for result in answer.results}) == wanted
    for result in answer.results:
        assert 0 <= result.index < len(request.documents)
        assert math.isfinite(result.relevance_score)
        assert not result.HasField("extra")
    scores = [result.relevance_score for result in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    return answer


async def score(stub: Any, request: ScoreRequest) -> ScoreResponse:
    """Returns scores, after the checks that apply to every answer."""
    answer: ScoreResponse = await stub.Score(request)
    assert answer.id.startswith("score-")
    assert answer.create_time.seconds > 1_600_000_000
    assert [result.index for result in answer.results] == list(range(len(request.documents)))
    assert all(math.isfinite(result.score) for result in answer.results)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    return answer


def by_document(answer: RerankResponse) -> list[float]:
    """Returns the scores in the order of the request."""
    ordered = sorted(answer.results, key=lambda result: result.index)
    return [result.relevance_score for result in ordered]


KINDS = [
    pytest.param(kind, marks=pytest.mark.upstream(kind), id=kind) for kind in ("rerank", "embed")
]
either_kind = pytest.mark.parametrize("kind", KINDS)


@either_kind
async def test_items_of_a_stream_of_scores(stub: Any, kind: str) -> None:
    requests = {
        f"key {number}": scoring(documents=[f"{DOCUMENTS[number % 5]} {number}"])
        for number in range(50)
    }
    requests |= {"long": scoring(documents=[LONG]), "several": scoring()}
    sent = (
        StreamScoreRequest(key=key, request=request, in_order=True)
        for key, request in requests.items()
    )
    found = {result.key: result async for result in stub.StreamScore(sent)}
    assert list(found) == list(requests)
    for key in ("key 0", "key 33", "several"):
        alone = await score(stub, requests[key])
        assert [result.score for result in found[key].response.results] == pytest.approx(
            [result.score for result in alone.results], abs=TOLERANCE
        )
    assert found["long"].error.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert {key for key, one in found.items() if one.HasField("error")} == {"long"}


@either_kind
async def test_items_of_a_stream_of_rankings(stub: Any, kind: str) -> None:
    requests = {str(number): reranking(top_n=number) for number in range(6)}
    requests["long"] = reranking(documents=[LONG])
    sent = (
        StreamRerankRequest(key=key, request=request, in_order=True)
        for key, request in requests.items()
    )
    found = {result.key: result async for result in stub.StreamRerank(sent)}
    assert list(found) == list(requests)
    whole = await rerank(stub, reranking())
    for number in range(6):
        results = found[str(number)].response.results
        expected = whole.results[: number or None]
        assert [one.index for one in results] == [one.index for one in expected]
    assert found["long"].error.reason == "CONTEXT_LENGTH_EXCEEDED"


@either_kind
async def test_order(stub: Any, target: Target, kind: str) -> None:
    answer = await rerank(stub, reranking(model=target.kind.model))
    assert answer.model == target.kind.model
    assert not any(result.HasField("document") for result in answer.results)
    most = 1 + TOLERANCE
    assert all(-most <= result.relevance_score <= most for result in answer.results)


@pytest.mark.upstream("embed")
async def test_the_same_text_fits_best(stub: Any) -> None:
    best = (await rerank(stub, reranking())).results[0]
    assert best.index == len(DOCUMENTS) - 1
    assert best.relevance_score == pytest.approx(1, abs=TOLERANCE)


@either_kind
async def test_documents_are_those_of_the_request(stub: Any, kind: str) -> None:
    request = reranking(return_documents=True)
    for result in (await rerank(stub, request)).results:
        assert result.document == request.documents[result.index]


@either_kind
async def test_empty_document(stub: Any, kind: str) -> None:
    answer = await rerank(stub, reranking(documents=[*DOCUMENTS, ""]))
    assert {result.index for result in answer.results} == set(range(len(DOCUMENTS) + 1))


@pytest.mark.upstream("rerank")
@pytest.mark.parametrize("top_n", [0, 1, 3, 5, 100])
async def test_top_n(stub: Any, top_n: int) -> None:
    whole = await rerank(stub, reranking())
    cut = await rerank(stub, reranking(top_n=top_n))
    assert [one.index for one in cut.results] == [one.index for one in whole.results][: top_n or 5]


@pytest.mark.upstream("rerank")
async def test_equal_scores_in_the_order_of_the_request(stub: Any) -> None:
    answer = await rerank(stub, reranking(documents=["same"] * 4))
    scores = [result.relevance_score for result in answer.results]
    for one, other in zip(answer.results, answer.results[1:], strict=False):
        assert (one.relevance_score, -one.index) > (other.relevance_score, -other.index)
    assert scores == pytest.approx([scores[0]] * 4, abs=TOLERANCE)


@pytest.mark.upstream("rerank")
async def test_raw_scores(stub: Any) -> None:
    normal = by_document(await rerank(stub, reranking()))
    options = PoolingOptions(use_activation=False)
    raw = by_document(await rerank(stub, reranking(options=options)))
    assert all(0 < value < 1 for value in normal)
    for value, logit in zip(normal, raw, strict=True):
        assert value == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-3)


@either_kind
async def test_one_query_scores_as_reranking(stub: Any, kind: str) -> None:
    answer = await score(stub, scoring())
    ranked = by_document(await rerank(stub, reranking()))
    assert [one.score for one in answer.results] == pytest.approx(ranked, abs=TOLERANCE)


@either_kind
async def test_pairs(stub: Any, kind: str) -> None:
    queries = [QUERY, "numbers", "string", "x", QUERY]
    together = [one.score for one in (await score(stub, scoring(queries))).results]
    alone = [
        (await score(stub, scoring([query], [document]))).results[0].score
        for query, document in zip(queries, DOCUMENTS, strict=True)
    ]
    assert together == pytest.approx(alone, abs=TOLERANCE)


@pytest.mark.upstream("rerank")
@pytest.mark.parametrize("queries", [0, 2, 6])
async def test_unequal_numbers_of_texts(stub: Any, queries: int) -> None:
    refusal = await refused(stub.Score(scoring(["q"] * queries)))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")
    assert refusal.fields == ("queries",)


@pytest.mark.upstream("rerank")
async def test_too_long(stub: Any) -> None:
    for call in (
        stub.Rerank(reranking(documents=["short", LONG])),
        stub.Score(scoring(documents=["short", LONG])),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (INVALID, "CONTEXT_LENGTH_EXCEEDED")
        assert refusal.metadata["maxModelLen"] == "256"


@pytest.mark.upstream("rerank")
async def test_truncation(stub: Any) -> None:
    long = [LONG, "short"]
    limited = ScoringOptions(max_tokens_per_doc=10)
    answer = await rerank(stub, reranking(documents=long, scoring=limited, return_documents=True))
    assert answer.usage.prompt_tokens < 60
    assert {result.document.text for result in answer.results} == set(long)
    limited = ScoringOptions(max_tokens_per_query=5, max_tokens_per_doc=5)
    assert (await score(stub, scoring([LONG], ["a"], scoring=limited))).usage.prompt_tokens < 20
    options = PoolingOptions(truncate_prompt_tokens=20)
    assert (await rerank(stub, reranking(documents=long, options=options))).results


@pytest.mark.upstream("rerank")
async def test_media_for_a_model_of_texts(stub: Any) -> None:
    parts = MultimodalInput(parts=[ContentPart(text="a document")])
    request = RerankRequest(
        query=ScoringInput(text="q"), documents=[ScoringInput(multimodal=parts)]
    )
    refusal = await refused(stub.Rerank(request))
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")


@pytest.mark.upstream("rerank")
async def test_engine_options(stub: Any) -> None:
    engine = EngineOptions(request_id="mine", priority=0, cache_salt="salt")
    assert (await rerank(stub, reranking(engine=engine, user="me"))).id.startswith("score-mine-")
    assert (await score(stub, scoring(engine=engine, user="me"))).id.startswith("score-mine-")


@pytest.mark.upstream("rerank")
async def test_an_unknown_parameter_passes(stub: Any) -> None:
    assert (await rerank(stub, reranking(extra_body=members(new_flag=1)))).results


@either_kind
async def test_unknown_model(stub: Any, kind: str) -> None:
    for call in (stub.Rerank(reranking(model="nope")), stub.Score(scoring(model="nope"))):
        refusal: Refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
        assert refusal.resource == "nope"


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.upstream(kind), id=kind)
        for kind in ("chat", "classify")
    ],
)
async def test_a_model_that_does_not_score(stub: Any, kind: str) -> None:
    for call, path in (
        (stub.Rerank(reranking()), "/v1/rerank"),
        (stub.Score(scoring()), "/v1/score"),
    ):
        refusal = await refused(call)
        assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
        assert refusal.reason == "OPERATION_NOT_SUPPORTED"
        assert refusal.metadata["path"] == path
