"""Text completions: requests and faulty answers."""

from base64 import b64encode
from typing import Any

import grpc
import pytest
from acceptance.refusals import refused
from documents import value_of
from google.protobuf.json_format import ParseDict

from penstock.v1.common_pb2 import EngineOptions, LogprobOptions, SamplingParams, TokenIds
from penstock.v1.completion_pb2 import CreateCompletionRequest, Prompt
from penstock.v1.completion_pb2_grpc import CompletionServiceStub
from penstock_server.convert import completion
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer

from .conftest import Stand, Start

INTERNAL = grpc.StatusCode.INTERNAL


def asking(text: str = "Once", **fields: Any) -> CreateCompletionRequest:
    return CreateCompletionRequest(prompts=[Prompt(text=text)], **fields)


def parsed(fields: dict[str, Any]) -> CreateCompletionRequest:
    """Returns a request from its JSON form; adds a prompt if there is none."""
    return ParseDict({"prompts": [{"text": "x"}], **fields}, CreateCompletionRequest())


def body(fields: dict[str, Any], stream: bool = False) -> dict[str, Any]:
    """Returns the upstream JSON of a request."""
    return completion.request_body(parsed(fields), stream=stream)


# Prompts


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([Prompt(text="a")], {"prompt": "a"}),
        ([Prompt(text="a"), Prompt(text="")], {"prompt": ["a", ""]}),
        ([Prompt(token_ids=TokenIds(ids=[1, 2]))], {"prompt": [1, 2]}),
        (
            [Prompt(token_ids=TokenIds(ids=[1])), Prompt(token_ids=TokenIds(ids=[2, 3]))],
            {"prompt": [[1], [2, 3]]},
        ),
        ([Prompt(embeds=b"\0tensor\xff")], {"prompt_embeds": b64encode(b"\0tensor\xff").decode()}),
        (
            [Prompt(embeds=b"a"), Prompt(embeds=b"bc")],
            {"prompt_embeds": [b64encode(b"a").decode(), b64encode(b"bc").decode()]},
        ),
    ],
)
def test_prompts(prompts: list[Prompt], expected: dict[str, Any]) -> None:
    request = CreateCompletionRequest(prompts=prompts)
    assert completion.request_body(request, stream=False) == expected
    request.sampling.n = 3
    assert completion.choices_wanted(request) == 3 * len(prompts)


@pytest.mark.parametrize(
    ("prompts", "field"),
    [
        ([], "prompts"),
        ([{}], "prompts[0]"),
        ([{"text": "a"}, {}], "prompts[1]"),
        ([{"text": "a"}, {"text": "b"}, {"tokenIds": {"ids": [1]}}], "prompts[2]"),
        ([{"embeds": "YQ=="}, {"text": "b"}], "prompts[1]"),
        ([{"text": "a"}, {"tokenIds": {"ids": [1, -1]}}], "prompts[1].token_ids.ids"),
    ],
)
def test_bad_prompts(prompts: list[Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body({"prompts": prompts})
    assert [violation.field for violation in raised.value.violations] == [field]


# Fields

FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"model": "m", "user": "me", "suffix": "end"}, {"model": "m", "user": "me", "suffix": "end"}),
    ({"echo": False}, {"echo": False}),
    ({"addSpecialTokens": False}, {"add_special_tokens": False}),
    ({"sampling": {"maxTokens": 0}}, {"max_tokens": 0}),
    ({"sampling": {"temperature": 0, "topK": 0}}, {"temperature": 0, "top_k": 0}),
    ({"logprobs": {}}, {"logprobs": 0}),
    ({"logprobs": {"topLogprobs": -1}}, {"logprobs": -1}),
    (
        {"logprobs": {"topLogprobs": 2, "tokenIds": [7], "tokensAsTokenIds": True}},
        {"logprobs": 2, "logprob_token_ids": [7], "return_tokens_as_token_ids": True},
    ),
    (
        {"engine": {"promptLogprobs": 0, "returnTokenIds": True, "priority": -1}},
        {"prompt_logprobs": 0, "return_token_ids": True, "priority": -1},
    ),
    (
        {"structuredOutputs": {"regex": "a+"}, "extraBody": {"object": {"new": 1}}},
        {"structured_outputs": {"regex": "a+"}, "new": 1},
    ),
    ({"responseFormat": {"jsonObject": {}}}, {"response_format": {"type": "json_object"}}),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body(fields) == {"prompt": "x", **expected}


def test_a_stream_always_requests_usage() -> None:
    assert body({}, stream=True) == {
        "prompt": "x",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    options = {"streamOptions": {"continuousUsageStats": True, "streamInterval": 4}}
    assert body(options) == {"prompt": "x"}
    sent = body(options, stream=True)
    assert sent["stream_options"]["continuous_usage_stats"] is True
    assert sent["stream_interval"] == 4


@pytest.mark.parametrize(
    ("fields", "path", "conflicting"),
    [
        ({"engine": {"returnPromptText": False}}, "engine.return_prompt_text", False),
        ({"sampling": {"temperature": "NaN"}}, "sampling.temperature", False),
        ({"extraBody": {"object": {"max_tokens": 3}}}, "extra_body.max_tokens", True),
        ({"extraBody": {"object": {"logprobs": 3}}}, "extra_body.logprobs", True),
        ({"extraBody": {"object": {"prompt_embeds": "x"}}}, "extra_body.prompt_embeds", True),
        ({"extraBody": {"object": {"stream": True}}}, "extra_body.stream", True),
        ({"extraBody": {"object": {"best_of": 3}}}, "extra_body.best_of", False),
        ({"structuredOutputs": {}}, "structured_outputs", False),
        ({"responseFormat": {}}, "response_format", False),
    ],
)
def test_refused_fields(fields: dict[str, Any], path: str, conflicting: bool) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(fields)
    assert [violation.field for violation in raised.value.violations] == [path]
    assert raised.value.conflicting is conflicting


# Answers


def choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "text": "x", "finish_reason": "stop", **fields}


def answering(**fields: Any) -> dict[str, Any]:
    return {"id": "cmpl-1", "choices": [choice(**fields)]}


def test_logprobs_without_values() -> None:
    given = {
        "tokens": ["a", "b"],
        "token_logprobs": [None, -1.5],
        "text_offset": [0, 1],
        "top_logprobs": None,
    }
    message = completion.response(answering(logprobs=given), echo=True)
    first, second = message.choices[0].logprobs
    assert not first.HasField("logprob")
    assert (second.token, second.logprob, second.text_offset) == ("b", -1.5, 1)


def test_unknown_keys_are_kept() -> None:
    message = completion.response({**answering(note="n", prompt_logprobs=None), "more": [1]})
    assert value_of(message.extra) == {"more": [1]}
    assert value_of(message.choices[0].extra)["note"] == "n"


MALFORMED: dict[str, dict[str, Any]] = {
    "no choices": {"id": "cmpl-1"},
    "choices empty": {"id": "cmpl-1", "choices": []},
    "text a number": answering(text=42),
    "index a word": answering(index="first"),
    "logprobs of unequal length": answering(
        logprobs={"tokens": ["a"], "token_logprobs": [], "text_offset": [0]}
    ),
    "token outside int32": answering(token_ids=[2**40]),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        completion.response(data)
    if data.get("choices"):
        with pytest.raises(MalformedAnswer):
            completion.CompletionStream().message(data)


# Through the service


async def test_requests_through_the_service(stand: Stand) -> None:
    stub = CompletionServiceStub(stand.channel)
    request = asking(
        model="tiny-chat",
        logprobs=LogprobOptions(),
        engine=EngineOptions(request_id="mine", session_id="s"),
        sampling=SamplingParams(max_tokens=2),
    )
    await stub.CreateCompletion(request)
    assert stand.posts[-1][0] == "/v1/completions"
    assert stand.sent == {
        "model": "tiny-chat",
        "prompt": "Once",
        "logprobs": 0,
        "session_id": "s",
        "max_tokens": 2,
    }
    [request_id] = [one.headers["x-request-id"] for one in stand.simulator.requests if one.body]
    assert request_id.startswith("mine-")


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("missing-choices", INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
        ("wrong-type", INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
        ("error-in-200 code=404", grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        ("status code=503", grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("status code=404 body=detail", grpc.StatusCode.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED"),
    ],
)
async def test_faults(stand: Stand, fault: str, code: grpc.StatusCode, reason: str) -> None:
    stub = CompletionServiceStub(stand.channel)
    # A 404 for a model that the upstream lists would be a contradiction.
    model = "unlisted" if "404" in fault else ""
    request = asking(f"Once [[simulate: {fault}]]", model=model)
    refusal = await refused(stub.CreateCompletion(request))
    assert (refusal.code, refusal.reason) == (code, reason)


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("cut after=3", grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED"),
        ("reset after=3", grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED"),
        ("malformed-event after=3", INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
        ("error-event after=3 code=503", grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("no-usage", INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
        ("no-finish", INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
    ],
)
async def test_streams_that_break(
    stand: Stand, fault: str, code: grpc.StatusCode, reason: str
) -> None:
    request = asking(f"Once [[simulate: {fault}]]", sampling=SamplingParams(max_tokens=6))
    received: list[Any] = []
    call = CompletionServiceStub(stand.channel).StreamCompletion(request)
    refusal = await refused(_gather(call, received))
    assert (refusal.code, refusal.reason) == (code, reason)
    assert len(received) >= 3
    assert refusal.metadata["messagesSent"] == str(len(received))


async def test_cancelling_ends_the_work(start: Start) -> None:
    stand = await start(time_to_first_token=60)
    call = CompletionServiceStub(stand.channel).CreateCompletion(asking())
    await stand.simulator.wait_active(1)
    call.cancel()
    await stand.simulator.wait_aborted(1)


async def test_a_model_without_completions(start: Start) -> None:
    stand = await start(kind="rerank")
    refusal = await refused(CompletionServiceStub(stand.channel).CreateCompletion(asking()))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.reason == "OPERATION_NOT_SUPPORTED"


async def _gather(call: Any, received: list[Any]) -> None:
    async for message in call:
        received.append(message)
