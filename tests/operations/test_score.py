"""Scoring: requests and faulty answers."""

from typing import Any

import grpc
import pytest
from acceptance.refusals import refused
from documents import value_of
from google.protobuf.json_format import ParseDict

from penstock.v1.rerank_pb2 import ScoreRequest, ScoringInput
from penstock.v1.rerank_pb2_grpc import RerankServiceStub
from penstock_server.convert import score
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer

from .conftest import Stand


def texts(*given: str) -> list[ScoringInput]:
    return [ScoringInput(text=text) for text in given]


def asking(queries: int, documents: int) -> ScoreRequest:
    return ScoreRequest(queries=texts(*["q"] * queries), documents=texts(*["d"] * documents))


@pytest.mark.parametrize(
    ("queries", "documents", "expected"),
    [
        (1, 1, {"text_1": "q", "text_2": ["d"]}),
        (1, 3, {"text_1": "q", "text_2": ["d", "d", "d"]}),
        (2, 2, {"text_1": ["q", "q"], "text_2": ["d", "d"]}),
    ],
)
def test_pairs(queries: int, documents: int, expected: dict[str, Any]) -> None:
    assert score.request_body(asking(queries, documents)) == expected


@pytest.mark.parametrize(
    ("queries", "documents", "field"),
    [
        (0, 1, "queries"),
        (1, 0, "documents"),
        (2, 1, "queries"),
        (2, 3, "queries"),
        (3, 2, "queries"),
    ],
)
def test_numbers_of_texts_that_do_not_match(queries: int, documents: int, field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        score.request_body(asking(queries, documents))
    assert [violation.field for violation in raised.value.violations] == [field]


def test_fields() -> None:
    fields = {
        "model": "m",
        "user": "me",
        "queries": [{"text": "q"}],
        "documents": [{"multimodal": {"parts": [{"text": "t"}]}}],
        "options": {"truncatePromptTokens": 5, "useActivation": True},
        "scoring": {"instruction": "i", "maxTokensPerDoc": 0},
        "engine": {"priority": 1, "cacheSalt": "s"},
        "extraBody": {"object": {"new": 1}},
    }
    assert score.request_body(ParseDict(fields, ScoreRequest())) == {
        "model": "m",
        "user": "me",
        "text_1": "q",
        "text_2": [{"content": [{"type": "text", "text": "t"}]}],
        "truncate_prompt_tokens": 5,
        "use_activation": True,
        "instruction": "i",
        "max_tokens_per_doc": 0,
        "priority": 1,
        "cache_salt": "s",
        "new": 1,
    }


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"options": {"addSpecialTokens": False}}, "options.add_special_tokens"),
        ({"engine": {"returnTokenIds": True}}, "engine.return_token_ids"),
        ({"scoring": {"maxTokensPerQuery": -3}}, "scoring.max_tokens_per_query"),
        *(
            ({"extraBody": {"object": {key: "x"}}}, f"extra_body.{key}")
            for key in ("text_1", "items", "data_2")
        ),
    ],
)
def test_refused(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        score.request_body(ParseDict(fields, asking(1, 1)))
    assert [violation.field for violation in raised.value.violations] == [path]


def pair(index: Any, value: Any = 0.5, **more: Any) -> dict[str, Any]:
    return {"index": index, "object": "score", "score": value, **more}


def test_answer() -> None:
    data = {"id": "score-1", "created": 5, "data": [pair(1, 2), pair(0, -1.5, note="n")], "more": 1}
    message = score.response(data, asking(1, 2))
    assert [(one.index, one.score) for one in message.results] == [(0, -1.5), (1, 2)]
    assert message.create_time.seconds == 5
    assert value_of(message.extra)["more"] == 1
    assert value_of(message.results[0].extra)["note"] == "n"
    assert not message.results[1].HasField("extra")


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no data": ({}, "no list"),
    "no index": ({"data": [{"score": 1}]}, "no integer index"),
    "outside": ({"data": [pair(0), pair(2)]}, "out of range for 2"),
    "twice": ({"data": [pair(1), pair(1)]}, "two results for input 1"),
    "short": ({"data": [pair(1)]}, "1 results for 2"),
    "no score": ({"data": [pair(0, None), pair(1)]}, "document 0 has no score"),
    "score a word": ({"data": [pair(0), pair(1, "x")]}, "document 1 is not a number"),
}


@pytest.mark.parametrize(("data", "words"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedAnswer, match=words):
        score.response(data, asking(1, 2))


@pytest.mark.parametrize("how", ["missing", "outside", "twice", "short", "no-score"])
async def test_faulty_results(stand: Stand, how: str) -> None:
    stand.simulator.faults = f"bad-results how={how}"
    refusal = await refused(RerankServiceStub(stand.channel).Score(asking(1, 2)))
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_requests_through_the_service(stand: Stand) -> None:
    request = asking(1, 2)
    request.model = "tiny-chat"
    request.engine.request_id = "mine"
    answer = await RerankServiceStub(stand.channel).Score(request)
    assert answer.id.startswith("score-mine-")
    assert stand.posts == [
        ("/v1/score", {"model": "tiny-chat", "text_1": "q", "text_2": ["d", "d"]})
    ]
