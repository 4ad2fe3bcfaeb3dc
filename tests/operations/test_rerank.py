"""Reranking: requests, their paths, and faulty answers."""

from typing import Any

import grpc
import pytest
from acceptance.refusals import refused
from documents import value_of
from google.protobuf.json_format import ParseDict

from penstock.v1.rerank_pb2 import RerankRequest, ScoreRequest, ScoringInput
from penstock.v1.rerank_pb2_grpc import RerankServiceStub
from penstock_server.convert import rerank
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer
from penstock_server.simulator import Simulator

from .conftest import Stand, Start

PATHS = ("/v1/rerank", "/v2/rerank", "/rerank")
MISSING = [
    "status code=404 body=detail",
    "status code=404 body=empty",
    "status code=404 body=html",
    "status code=405 body=detail",
    "status code=501",
]
PIXEL = {"image": {"data": "iVBORw0KGgo=", "mimeType": "image/png"}}


def asking(*documents: str, **fields: Any) -> RerankRequest:
    texts = documents or ("no words of it", "one word: wheel", "the mill wheel")
    inputs = [ScoringInput(text=text) for text in texts]
    return RerankRequest(query=ScoringInput(text="mill wheel"), documents=inputs, **fields)


def parsed(fields: dict[str, Any]) -> RerankRequest:
    """Returns a request from its JSON form; adds a query and a document if there are none."""
    whole = {"query": {"text": "q"}, "documents": [{"text": "d"}], **fields}
    return ParseDict(whole, RerankRequest())


# Requests

BODIES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"query": {"text": ""}, "documents": [{"text": ""}]}, {"query": "", "documents": [""]}),
    ({"model": "m", "user": "me", "topN": 0}, {"model": "m", "user": "me", "top_n": 0}),
    ({"returnDocuments": True}, {}),
    (
        {"options": {"truncatePromptTokens": -1, "truncationSide": "TRUNCATION_SIDE_LEFT"}},
        {"truncate_prompt_tokens": -1, "truncation_side": "left"},
    ),
    (
        {"options": {"padding": "PADDING_DO_NOT_PAD", "useActivation": False}},
        {"padding": "do_not_pad", "use_activation": False},
    ),
    (
        {
            "scoring": {
                "maxTokensPerQuery": 0,
                "maxTokensPerDoc": 7,
                "instruction": "i",
                "chatTemplateKwargs": {"object": {"a": 1}},
                "mmProcessorKwargs": {"object": {"b": 2}},
            }
        },
        {
            "max_tokens_per_query": 0,
            "max_tokens_per_doc": 7,
            "instruction": "i",
            "chat_template_kwargs": {"a": 1},
            "mm_processor_kwargs": {"b": 2},
        },
    ),
    (
        {
            "engine": {"priority": -2, "cacheSalt": "s", "requestId": "r"},
            "extraBody": {"object": {"new": 1}},
        },
        {"priority": -2, "cache_salt": "s", "new": 1},
    ),
    (
        {"documents": [{"multimodal": {"parts": [{"text": "t"}, PIXEL]}}, {"text": "d"}]},
        {
            "documents": [
                {
                    "content": [
                        {"type": "text", "text": "t"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
                        },
                    ]
                },
                "d",
            ]
        },
    ),
    (
        {
            "query": {
                "multimodal": {"parts": [{"other": {"object": {"type": "image_embeds", "x": 1}}}]}
            }
        },
        {"query": {"content": [{"type": "image_embeds", "x": 1}]}},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), BODIES)
def test_bodies(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = {"query": "q", "documents": ["d"], **expected}
    assert rerank.request_body(parsed(fields)) == body


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"query": {}}, "query"),
    ({"documents": []}, "documents"),
    ({"documents": [{"text": "a"}, {}]}, "documents[1]"),
    ({"topN": -1}, "top_n"),
    ({"documents": [{"multimodal": {}}]}, "documents[0].multimodal.parts"),
    (
        {"documents": [{"multimodal": {"parts": [{"text": "a"}, {"refusal": "r"}]}}]},
        "documents[0].multimodal.parts[1].refusal",
    ),
    (
        {"query": {"multimodal": {"parts": [{"audio": {"url": "http://a/b"}}]}}},
        "query.multimodal.parts[0].audio",
    ),
    (
        {"query": {"multimodal": {"parts": [{"image": {"url": "nope"}}]}}},
        "query.multimodal.parts[0].image.url",
    ),
    ({"options": {"addSpecialTokens": True}}, "options.add_special_tokens"),
    ({"options": {"padding": 9}}, "options.padding"),
    ({"scoring": {"maxTokensPerDoc": -1}}, "scoring.max_tokens_per_doc"),
    ({"scoring": {"maxTokensPerQuery": -1}}, "scoring.max_tokens_per_query"),
    ({"engine": {"sessionId": "s"}}, "engine.session_id"),
    ({"engine": {"dataParallelRank": 0}}, "engine.data_parallel_rank"),
    ({"engine": {"promptLogprobs": 0}}, "engine.prompt_logprobs"),
    ({"extraBody": {"object": {"documents": ["x"]}}}, "extra_body.documents"),
    ({"extraBody": {"object": {"return_documents": True}}}, "extra_body.return_documents"),
]


@pytest.mark.parametrize(("fields", "path"), REFUSED)
def test_refused(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        rerank.request_body(parsed(fields))
    assert [violation.field for violation in raised.value.violations] == [path]


# Answers


def answer(*results: Any, **more: Any) -> dict[str, Any]:
    return {"id": "score-1", "model": "m", "results": list(results), **more}


def ranked(index: Any, score: Any = 0.5, **more: Any) -> dict[str, Any]:
    return {"index": index, "relevance_score": score, **more}


def read(data: dict[str, Any], documents: int = 3, **fields: Any) -> Any:
    return rerank.response(data, asking(*(["d"] * documents), **fields))


def test_results_are_sorted_best_first() -> None:
    message = read(answer(ranked(2, 0.1), ranked(1, 0.9), ranked(0, 0.1)))
    assert [result.index for result in message.results] == [1, 0, 2]


def test_excess_results_are_cut() -> None:
    message = read(answer(ranked(0, 0.1), ranked(1, 0.2), ranked(2, 0.3)), top_n=1)
    assert [result.index for result in message.results] == [2]


def test_unknown_keys_are_kept() -> None:
    results = [
        {"index": 0, "relevance_score": 0.5, "logit": 2.5, "score": 7},
        {"index": 1, "relevance_score": None, "score": 1},
    ]
    message = read(answer(*results, note="n"), documents=2)
    assert value_of(message.extra)["note"] == "n"
    renamed, named = message.results
    assert value_of(named.extra) == {"logit": 2.5, "score": 7}
    assert renamed.relevance_score == 1
    assert not renamed.HasField("extra")


def test_usage_of_an_old_vllm() -> None:
    message = read(answer(ranked(0), usage={"total_tokens": 7}), documents=1)
    assert (message.usage.prompt_tokens, message.usage.total_tokens) == (7, 7)


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no results": ({"id": "score-1"}, "no list of results"),
    "results null": ({"results": None}, "no list of results"),
    "results an object": ({"results": {}}, "no list of results"),
    "not an object": (answer(ranked(0), "x"), "result 1 is not an object"),
    "no index": (answer({"relevance_score": 1}), "no integer index"),
    "index a word": (answer(ranked("first")), "no integer index"),
    "index a fraction": (answer(ranked(0.5)), "no integer index"),
    "index true": (answer(ranked(True)), "no integer index"),
    "index below": (answer(ranked(-1)), "out of range for 3"),
    "index above": (answer(ranked(3)), "out of range for 3"),
    "index twice": (answer(ranked(0), ranked(1), ranked(0)), "two results for input 0"),
    "no score": (answer({"index": 0}), "document 0 has no score"),
    "score null": (answer(ranked(0, None)), "document 0 has no score"),
    "score a word": (answer(ranked(0, "high")), "is not a number"),
    "score true": (answer(ranked(0, True)), "is not a number"),
    "one missing": (answer(ranked(0), ranked(1)), "2 results instead of 3"),
    "empty": (answer(), "0 results instead of 3"),
}


@pytest.mark.parametrize(("data", "words"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedAnswer, match=words):
        read(data)


@pytest.mark.parametrize(
    "how",
    [
        *("missing", "no-list", "no-object", "no-index", "outside", "twice"),
        *("short", "no-score", "null-score", "word-score"),
    ],
)
async def test_faulty_results(stand: Stand, how: str) -> None:
    stand.simulator.faults = f"bad-results how={how}"
    refusal = await refused(RerankServiceStub(stand.channel).Rerank(asking()))
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_scores_under_another_name(stand: Stand) -> None:
    plain = await RerankServiceStub(stand.channel).Rerank(asking())
    stand.simulator.faults = "bad-results how=renamed"
    renamed = await RerankServiceStub(stand.channel).Rerank(asking())
    assert renamed.results == plain.results


async def test_documents_are_returned_unchanged(start: Start) -> None:
    stand = await start(multimodal=True)
    request = parsed({"documents": [{"multimodal": {"parts": [PIXEL]}}, {"text": "q"}]})
    request.return_documents = True
    message = await RerankServiceStub(stand.channel).Rerank(request)
    for result in message.results:
        assert result.document == request.documents[result.index]
    assert message.results[0].index == 1


# Paths


@pytest.mark.parametrize("fault", MISSING)
async def test_the_other_path_is_tried_and_remembered(stand: Stand, fault: str) -> None:
    stub = RerankServiceStub(stand.channel)
    stand.simulator.path_faults["/v1/rerank"] = fault
    for _ in range(2):
        assert len((await stub.Rerank(asking())).results) == 3
    assert asked(stand.simulator) == ["/v1/rerank", "/v2/rerank", "/v2/rerank"]
    assert stand.posts[0][1] == stand.posts[1][1]


async def test_a_remembered_path_that_disappears(stand: Stand) -> None:
    stub = RerankServiceStub(stand.channel)
    stand.simulator.path_faults["/v1/rerank"] = MISSING[0]
    await stub.Rerank(asking())
    stand.simulator.path_faults.clear()
    stand.simulator.path_faults["/v2/rerank"] = MISSING[0]
    for _ in range(2):
        assert len((await stub.Rerank(asking())).results) == 3
    assert asked(stand.simulator)[2:] == ["/v2/rerank", "/v1/rerank", "/v1/rerank"]


async def test_no_path(stand: Stand) -> None:
    stub = RerankServiceStub(stand.channel)
    stand.simulator.path_faults.update(dict.fromkeys(PATHS, MISSING[0]))
    for _ in range(2):
        refusal = await refused(stub.Rerank(asking()))
        assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
        assert refusal.reason == "OPERATION_NOT_SUPPORTED"
        assert refusal.metadata["path"] == "/v1/rerank"
    assert asked(stand.simulator) == [*PATHS, *PATHS]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("status code=400", grpc.StatusCode.INVALID_ARGUMENT),
        ("status code=401 body=string", grpc.StatusCode.INTERNAL),
        ("status code=404 body=nested", grpc.StatusCode.NOT_FOUND),
        ("status code=404 body=flat", grpc.StatusCode.NOT_FOUND),
        ("status code=500", grpc.StatusCode.INTERNAL),
        ("status code=503", grpc.StatusCode.UNAVAILABLE),
        ("error-in-200 code=404", grpc.StatusCode.NOT_FOUND),
        ("empty-body", grpc.StatusCode.INTERNAL),
        ("nan", grpc.StatusCode.INTERNAL),
        ("reset after=0", grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_no_second_path_for_other_failures(
    stand: Stand, fault: str, code: grpc.StatusCode
) -> None:
    stand.simulator.path_faults["/v1/rerank"] = fault
    # A 404 for a model that the upstream lists would be a contradiction.
    request = asking(model="unlisted" if "404" in fault else "")
    refusal = await refused(RerankServiceStub(stand.channel).Rerank(request))
    assert refusal.code is code
    # Once, or once for each try of the client.
    assert set(asked(stand.simulator)) == {"/v1/rerank"}


async def test_a_failure_on_the_other_path_is_reported(stand: Stand) -> None:
    stand.simulator.path_faults.update({"/v1/rerank": MISSING[0], "/v2/rerank": "status code=503"})
    refusal = await refused(RerankServiceStub(stand.channel).Rerank(asking()))
    assert refusal.reason == "UPSTREAM_UNAVAILABLE"
    assert refusal.metadata["path"] == "/v2/rerank"


async def test_other_operations_have_one_path(stand: Stand) -> None:
    stand.simulator.path_faults["/v1/score"] = MISSING[0]
    inputs = [ScoringInput(text="x")]
    stub = RerankServiceStub(stand.channel)
    refusal = await refused(stub.Score(ScoreRequest(queries=inputs, documents=inputs)))
    assert refusal.reason == "OPERATION_NOT_SUPPORTED"
    assert asked(stand.simulator) == ["/v1/score"]


def asked(simulator: Simulator) -> list[str]:
    """Returns the paths of the requests to operations."""
    return [one.path for one in simulator.requests if one.method == "POST"]
