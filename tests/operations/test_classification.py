"""ClassificationService: requests, valid answers and malformed answers."""

import math
from typing import Any

import grpc
import pytest
from acceptance.refusals import refused
from acceptance.vectors import talks, texts, token_ids
from documents import document, value_of
from grpc import aio

from penstock.v1.classification_pb2 import ClassifyRequest, ClassifyResponse
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.common_pb2 import EngineOptions, JsonDocument, PoolingOptions
from penstock.v1.message_pb2 import TemplateOptions
from penstock_server.convert import classification

from .canned import canned, in_json


def request(inputs: Any = None, **fields: Any) -> ClassifyRequest:
    return ClassifyRequest(inputs=inputs or texts("a", "b"), **fields)


def answer(*results: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return {"id": "classify-1", "created": 1, "model": "m", "data": list(results), "usage": usage}


def result(index: Any, probs: Any, label: Any = None, **more: Any) -> dict[str, Any]:
    return {"index": index, "label": label, "probs": probs, **more}


async def classify(channel: aio.Channel, asked: ClassifyRequest) -> ClassifyResponse:
    stub: Any = ClassificationServiceStub(channel)
    made: ClassifyResponse = await stub.Classify(asked)
    return made


def test_request_body() -> None:
    asked = request(
        talks("a"),
        model="m",
        user="u",
        options=PoolingOptions(use_activation=False, truncate_prompt_tokens=3),
        template=TemplateOptions(add_special_tokens=True),
        engine=EngineOptions(priority=-1),
    )
    assert classification.request_body(asked) == {
        "model": "m",
        "user": "u",
        "messages": [{"role": "user", "content": "a"}],
        "use_activation": False,
        "truncate_prompt_tokens": 3,
        "add_special_tokens": True,
        "priority": -1,
    }
    assert classification.request_body(request(texts("a"))) == {"input": ["a"]}
    assert classification.request_body(request(token_ids([1]))) == {"input": [[1]]}


def _extra(key: str) -> JsonDocument:
    return document({key: 1})


REFUSED = {
    "no input": (ClassifyRequest(), "inputs"),
    "mixed kinds": (request([*token_ids([1]), *texts("a")]), "inputs[1]"),
    "several conversations": (request(talks("a", "b")), "inputs[1]"),
    "template for texts": (request(template=TemplateOptions(echo=True)), "template.echo"),
    "engine": (request(engine=EngineOptions(data_parallel_rank=0)), "engine.data_parallel_rank"),
    "removed parameter": (request(extra_body=_extra("softmax")), "extra_body.softmax"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(case: str, channel: aio.Channel) -> None:
    asked, field = REFUSED[case]
    found = await refused(classify(channel, asked))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert found.fields == (field,)


async def test_answer() -> None:
    sent = answer(
        result(1, [0.25, None], num_classes=2, note="x"),
        result(0, [0.75, 0.25], "YES", num_classes=2),
    )
    async with canned(in_json({**sent, "region": "x"})) as (channel, _):
        found = await classify(channel, request())
    yes, unnamed = found.results
    assert (yes.index, yes.label, list(yes.probs), yes.num_classes) == (0, "YES", [0.75, 0.25], 2)
    assert (unnamed.index, unnamed.probs[0], unnamed.num_classes) == (1, 0.25, 2)
    assert math.isnan(unnamed.probs[1])
    assert not unnamed.HasField("label")
    assert value_of(unnamed.extra) == {"note": "x"}
    assert value_of(found.extra) == {"region": "x"}
    assert (found.id, found.model, found.usage.prompt_tokens) == ("classify-1", "m", 5)


GOOD = result(1, [1.0], num_classes=1)
MALFORMED = {
    "no results": ({"id": "x"}, "no list of results"),
    "one missing": (answer(GOOD), "none for 0"),
    "a duplicate": (answer(GOOD, GOOD), "two results for input 1"),
    "out of range": (answer(GOOD, result(7, [1.0])), "index 7, out of range for 2 inputs"),
    "no probabilities": (answer({"index": 0}, GOOD), "it lacks "),
    "empty probabilities": (answer(result(0, []), GOOD), "0 probabilities"),
    "null": (answer(result(0, None), GOOD), "wrong type"),
    "words": (answer(result(0, ["x"]), GOOD), "wrong type"),
    "another count": (answer(result(0, [1.0], num_classes=2), GOOD), "1 probabilities for 2"),
    "count of another kind": (answer(result(0, [1.0], num_classes="one"), GOOD), "wrong type"),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_answer(case: str) -> None:
    sent, words = MALFORMED[case]
    async with canned(in_json(sent)) as (channel, _):
        found = await refused(classify(channel, request()))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INTERNAL,
        "UPSTREAM_MALFORMED_RESPONSE",
    )
    assert words in found.message
