"""Generation from token ids: requests, faulty answers, and upstreams without it."""

import json
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from acceptance.refusals import refused
from documents import value_of
from google.protobuf.json_format import ParseDict

from penstock.v1.generation_pb2 import (
    GENERATE_OUTPUT_MODE_DERENDER,
    GENERATE_OUTPUT_MODE_TEXT,
    GENERATE_OUTPUT_MODE_TOKENS,
    GenerateRequest,
)
from penstock.v1.generation_pb2_grpc import GenerationServiceStub
from penstock_server import routes
from penstock_server.convert import token_generation
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer

from .canned import canned, in_events, in_json
from .conftest import Stand, Start

INTERNAL = grpc.StatusCode.INTERNAL
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
FLAG = "--enable-scale-out"


def body(fields: dict[str, Any], stream: bool = False) -> dict[str, Any]:
    """Returns the upstream JSON of a request in its JSON form; adds a prompt."""
    request = ParseDict({"tokenIds": [1, 2], **fields}, GenerateRequest())
    made = token_generation.request_body(request, stream=stream)
    assert made.pop("token_ids") == [1, 2]
    return made


# Fields

PARAMETERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"sampling": {"maxTokens": 0, "temperature": 0}}, {"max_tokens": 0, "temperature": 0}),
    ({"sampling": {"logitBias": {"5": 1}}}, {"logit_bias": {"5": 1}}),
    ({"logprobs": {}}, {"logprobs": 0}),
    ({"logprobs": {"topLogprobs": -1}}, {"logprobs": -1}),
    ({"logprobs": {"tokenIds": [7, 8]}}, {"logprobs": 2, "logprob_token_ids": [7, 8]}),
    ({"engine": {"promptLogprobs": 0}}, {"prompt_logprobs": 0}),
    ({"engine": {"vllmXargs": {"object": {"a": 1}}}}, {"extra_args": {"a": 1}}),
    ({"structuredOutputs": {"regex": "a+"}}, {"structured_outputs": {"regex": "a+"}}),
    ({"detokenize": False}, {"detokenize": False}),
    (
        {"promptLogprobTokenIds": [{"ids": [1]}, {"ids": [2, 3]}], "promptLogprobStart": 1},
        {"prompt_logprob_token_ids": [[1], [2, 3]], "prompt_logprob_start": 1},
    ),
    ({"extraSamplingParams": {"object": {"new": 1}}}, {"new": 1}),
]


@pytest.mark.parametrize(("fields", "expected"), PARAMETERS)
def test_sampling_parameters(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json.loads(json.dumps(body(fields))) == {"sampling_params": expected}


KEYS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"model": "m", "outputMode": "GENERATE_OUTPUT_MODE_TEXT"},
        {"model": "m", "output_mode": "text"},
    ),
    ({"engine": {"priority": -1, "sessionId": "s"}}, {"priority": -1}),
    ({"engine": {"returnTokenIds": True}}, {"return_token_ids": True}),
    (
        {"engine": {"kvTransferParams": {"object": {"do_remote_decode": True}}}},
        {"kv_transfer_params": {"do_remote_decode": True}},
    ),
    ({"reasoningEnded": False}, {"reasoning_ended": False}),
    ({"extraBody": {"object": {"new": 1}}}, {"new": 1}),
    (
        {"parseContext": {"toolChoice": {"mode": "MODE_NONE"}, "historyToolCallCount": 2}},
        {"parse_context": {"tool_choice": "none", "history_tool_call_cnt": 2}},
    ),
    (
        {"media": [{"image": {"url": "https://h/a.png"}, "uuid": "u"}]},
        {"content_parts": [{"type": "image_url", "url": "https://h/a.png", "uuid": "u"}]},
    ),
    (
        {"media": [{"audio": {"data": "YQ==", "mimeType": "audio/wav"}}]},
        {"content_parts": [{"type": "audio_url", "url": "data:audio/wav;base64,YQ=="}]},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), KEYS)
def test_keys_of_the_body(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body(fields) == {"sampling_params": {}, **expected}


def test_features_are_parallel_lists_by_modality() -> None:
    image = {"hashes": ["a", "b"], "placeholders": [{"length": 1}, {"offset": 1, "length": 1}]}
    audio = {"hashes": ["c"], "placeholders": [{"length": 2}]}
    given = {"image": {**image, "kwargsData": ["YQ==", ""]}, "audio": audio}
    assert body({"features": {"modalities": given}})["features"] == {
        "mm_hashes": {"image": ["a", "b"], "audio": ["c"]},
        "mm_placeholders": {
            "image": [{"offset": 0, "length": 1}, {"offset": 1, "length": 1}],
            "audio": [{"offset": 0, "length": 2}],
        },
        "kwargs_data": {"image": ["YQ==", None], "audio": [None]},
    }


def test_a_stream_always_requests_usage() -> None:
    options = {"streamOptions": {"continuousUsageStats": True, "streamInterval": 4}}
    assert body(options) == {"sampling_params": {}}
    assert body(options, stream=True) == {
        "sampling_params": {"stream_interval": 4},
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }


IMAGE = {"hashes": ["a"], "placeholders": [{"length": 1}]}
REFUSED: list[tuple[dict[str, Any], str, bool]] = [
    ({"tokenIds": []}, "token_ids", False),
    ({"tokenIds": [1, -1]}, "token_ids", False),
    ({"traceDecodeTokenIds": [-1]}, "trace_decode_token_ids", False),
    ({"promptLogprobTokenIds": [{}, {"ids": [-1]}]}, "prompt_logprob_token_ids[1].ids", False),
    ({"sampling": {"temperature": "NaN"}}, "sampling.temperature", False),
    ({"sampling": {"useBeamSearch": True}}, "sampling.use_beam_search", False),
    ({"sampling": {"truncatePromptTokens": 1}}, "sampling.truncate_prompt_tokens", False),
    ({"logprobs": {"tokensAsTokenIds": False}}, "logprobs.tokens_as_token_ids", False),
    ({"engine": {"returnPromptText": False}}, "engine.return_prompt_text", False),
    ({"engine": {"returnWeightVersions": True}}, "engine.return_weight_versions", False),
    ({"outputMode": 9}, "output_mode", False),
    ({"structuredOutputs": {}}, "structured_outputs", False),
    ({"reasoningParserKwargs": {"json": "1"}}, "reasoning_parser_kwargs", False),
    ({"media": [{}]}, "media[0]", False),
    ({"media": [{"image": {"url": "x"}}]}, "media[0].image.url", False),
    (
        {"media": [{"image": {"url": "https://h/a", "detail": "IMAGE_DETAIL_LOW"}}]},
        "media[0].image.detail",
        False,
    ),
    ({"media": [{}], "features": {"modalities": {"image": IMAGE}}}, "media", True),
    (
        {"features": {"modalities": {"image": {}}}},
        "features.modalities[image].hashes",
        False,
    ),
    (
        {"features": {"modalities": {"image": {**IMAGE, "placeholders": []}}}},
        "features.modalities[image].placeholders",
        False,
    ),
    (
        {"features": {"modalities": {"image": {**IMAGE, "metadata": ["YQ==", ""]}}}},
        "features.modalities[image].metadata",
        False,
    ),
    ({"extraBody": {"object": {"temperature": 1}}}, "extra_body.temperature", True),
    ({"extraBody": {"object": {"sampling_params": {}}}}, "extra_body.sampling_params", True),
    ({"extraBody": {"object": {"stream": True}}}, "extra_body.stream", True),
    ({"extraSamplingParams": {"object": {"n": 2}}}, "extra_sampling_params.n", True),
]
ONLY_UNARY: list[tuple[dict[str, Any], str]] = [
    ({"outputMode": "GENERATE_OUTPUT_MODE_DERENDER"}, "output_mode"),
    ({"promptLogprobTokenIds": [{"ids": [1]}]}, "prompt_logprob_token_ids"),
    ({"engine": {"promptLogprobs": 1}}, "engine.prompt_logprobs"),
]


@pytest.mark.parametrize(("fields", "path", "conflicting"), REFUSED)
def test_refused_fields(fields: dict[str, Any], path: str, conflicting: bool) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(fields)
    assert [violation.field for violation in raised.value.violations] == [path]
    assert raised.value.conflicting is conflicting


@pytest.mark.parametrize(("fields", "path"), ONLY_UNARY)
def test_fields_that_a_stream_refuses(fields: dict[str, Any], path: str) -> None:
    assert body(fields)
    with pytest.raises(InvalidRequest) as raised:
        body(fields, stream=True)
    assert [violation.field for violation in raised.value.violations] == [path]


# Answers


def choice(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "token_ids": [5], "finish_reason": "stop", **fields}


def answering(**fields: Any) -> dict[str, Any]:
    return {"request_id": "g-1", "choices": [choice(**fields)], "usage": {"prompt_tokens": 1}}


def test_unknown_keys_are_kept() -> None:
    data = {**answering(note="n", logprobs={"content": [], "of": 1}), "more": [1]}
    message = token_generation.response(data, GENERATE_OUTPUT_MODE_TOKENS)
    assert value_of(message.extra) == {"more": [1]}
    assert value_of(message.choices[0].extra) == {"note": "n", "logprobs": {"of": 1}}


def test_what_an_answer_can_do_without_is_kept_if_it_cannot_be_read() -> None:
    masks, modes = [[2**40]], {"output_mode": "dream", "mm_placeholders": {"image": 1}}
    data = {**answering(sampling_mask=masks, routed_experts=1), **modes}
    message = token_generation.response(data, GENERATE_OUTPUT_MODE_TOKENS)
    assert value_of(message.extra) == modes
    assert value_of(message.choices[0].extra) == {"sampling_mask": masks, "routed_experts": 1}


def test_everything_has_its_field() -> None:
    data = {
        **answering(sampling_mask=[[1, 2], [3]], routed_experts="YQ=="),
        "mm_placeholders": {"image": [{"offset": 1, "length": 2}]},
        "prompt_token_id_logprobs": "YWI=",
        "kv_transfer_params": {"a": 1},
    }
    message = token_generation.response(data, GENERATE_OUTPUT_MODE_TOKENS)
    assert [list(one.ids) for one in message.choices[0].sampling_mask] == [[1, 2], [3]]
    assert message.choices[0].routed_experts == b"a"
    assert message.placeholders["image"].ranges[0].length == 2
    assert message.prompt_token_id_logprobs == b"ab"
    assert value_of(message.kv_transfer_params) == {"a": 1}
    assert not message.HasField("extra")


def test_log_probabilities_that_are_no_numbers() -> None:
    entry = {"token_id": 5, "logprob": None, "rank": None, "top_logprobs": [None]}
    data = answering(logprobs={"content": [entry]})
    [read] = token_generation.response(data, GENERATE_OUTPUT_MODE_TOKENS).choices[0].logprobs
    assert read.logprob != read.logprob
    assert not read.HasField("rank")
    assert not read.top_logprobs


MALFORMED: Mapping[str, dict[str, Any]] = {
    "no choices": {"request_id": "g-1"},
    "choices empty": {"request_id": "g-1", "choices": []},
    "no token ids": {"choices": [{"index": 0, "finish_reason": "stop"}]},
    "token ids null": answering(token_ids=None),
    "token id outside int32": answering(token_ids=[2**40]),
    "token id negative": answering(token_ids=[5, -1]),
    "token id a word": answering(token_ids=["x"]),
    "prompt id negative": {**answering(), "prompt_token_ids": [-1]},
    "logprob of no token": answering(logprobs={"content": [{"logprob": -1}]}),
    "logprob of a negative id": answering(logprobs={"content": [{"token_id": -1, "logprob": -1}]}),
}
EVENTS = {name: data for name, data in MALFORMED.items() if "outside" in name or "negative" in name}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        token_generation.response(data, GENERATE_OUTPUT_MODE_TOKENS)


@pytest.mark.parametrize("data", EVENTS.values(), ids=EVENTS)
def test_malformed_event(data: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        token_generation.GenerateStream(GENERATE_OUTPUT_MODE_TOKENS).message(data)


@pytest.mark.parametrize("mode", [GENERATE_OUTPUT_MODE_TEXT, GENERATE_OUTPUT_MODE_DERENDER])
def test_an_answer_without_what_was_requested(mode: Any) -> None:
    """An older vLLM ignores the mode."""
    with pytest.raises(MalformedAnswer):
        token_generation.response(answering(), mode)


def test_a_stream_without_the_requested_text() -> None:
    with pytest.raises(MalformedAnswer):
        token_generation.GenerateStream(GENERATE_OUTPUT_MODE_TEXT).message(answering())


# Through the service


def asking(**fields: Any) -> GenerateRequest:
    return ParseDict({"tokenIds": [1, 369, 84], **fields}, GenerateRequest())


async def test_requests_through_the_service(stand: Stand) -> None:
    stub = GenerationServiceStub(stand.channel)
    request = asking(
        model="tiny-chat", engine={"requestId": "mine", "sessionId": "s"}, sampling={"maxTokens": 2}
    )
    answer = await stub.Generate(request)
    assert stand.posts[-1][0] == routes.GENERATE
    assert stand.sent == {
        "model": "tiny-chat",
        "token_ids": [1, 369, 84],
        "sampling_params": {"max_tokens": 2},
    }
    [sent] = [one for one in stand.simulator.requests if one.body]
    assert sent.headers["x-request-id"].startswith("mine-")
    assert sent.headers["x-session-id"] == "s"
    assert answer.id == f"generate-tokens-{sent.headers['x-request-id']}"


async def test_bad_input_is_refused_before_a_request(stand: Stand) -> None:
    call = GenerationServiceStub(stand.channel).StreamGenerate(asking(tokenIds=[3, -4]))
    refusal = await refused(_gather(call, []))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == ("token_ids",)
    assert not stand.posts


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"sampling": {"temperature": 9}}, "sampling.temperature"),
        ({"sampling": {"maxTokens": 0}}, "sampling.max_tokens"),
        ({"logprobs": {"topLogprobs": 21}}, "logprobs.top_logprobs"),
    ],
)
async def test_refusals_of_the_upstream_name_the_field(
    stand: Stand, fields: dict[str, Any], path: str
) -> None:
    stub = GenerationServiceStub(stand.channel)
    refusal = await refused(stub.Generate(asking(**fields)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert refusal.fields == (path,)


async def test_errors_of_the_engine_precede_the_first_message(stand: Stand) -> None:
    call = GenerationServiceStub(stand.channel).StreamGenerate(asking(tokenIds=[99999]))
    received: list[Any] = []
    refusal = await refused(_gather(call, received))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UPSTREAM_REJECTED")
    assert not received


async def test_a_prompt_that_is_too_long(stand: Stand) -> None:
    refusal = await refused(
        GenerationServiceStub(stand.channel).Generate(asking(tokenIds=[5] * 600))
    )
    assert refusal.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert refusal.metadata["maxModelLen"] == "512"


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("missing-choices", INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
        ("status code=503", grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        ("status code=404 body=detail", UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED"),
    ],
)
async def test_faults(stand: Stand, fault: str, code: grpc.StatusCode, reason: str) -> None:
    stand.simulator.path_faults[routes.GENERATE] = fault
    refusal = await refused(GenerationServiceStub(stand.channel).Generate(asking()))
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
    stand.simulator.path_faults[routes.GENERATE] = fault
    received: list[Any] = []
    request = asking(sampling={"maxTokens": 6})
    call = GenerationServiceStub(stand.channel).StreamGenerate(request)
    refusal = await refused(_gather(call, received))
    assert (refusal.code, refusal.reason) == (code, reason)
    assert len(received) >= 3
    assert refusal.metadata["messagesSent"] == str(len(received))


async def test_harmless_events_are_read_past() -> None:
    ended = choice(token_ids=[7], finish_reason="length")
    events = [
        {"request_id": "g", "choices": []},
        {"request_id": "g", "choices": [choice(finish_reason=None)]},
        {"request_id": "g", "choices": [choice(token_ids=[], finish_reason=None)]},
        {"request_id": "g", "choices": [ended], "new": True},
        {"request_id": "g", "choices": [], "usage": {"completion_tokens": 2}},
    ]
    async with canned(in_events(*events)) as (channel, _):
        call = GenerationServiceStub(channel).StreamGenerate(asking())
        received = [message async for message in call]
    ids = [list(one.token_ids) for message in received for one in message.choices]
    assert [one for one in ids if one] == [[5], [7]]
    assert {message.id for message in received} == {"g"}
    assert received[-1].usage.completion_tokens == 2


async def test_a_choice_that_does_not_finish() -> None:
    answer = {"request_id": "g", "choices": [choice()], "usage": {"prompt_tokens": 1}}
    async with canned(in_json(answer)) as (channel, _):
        request = asking(sampling={"n": 2, "temperature": 1})
        refusal = await refused(GenerationServiceStub(channel).Generate(request))
    assert (refusal.code, refusal.reason) == (INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")


async def test_the_answer_to_another_request(stand: Stand) -> None:
    stub = GenerationServiceStub(stand.channel)
    first = await stub.Generate(asking())
    answer = in_json(answering() | {"request_id": first.id})
    async with canned(answer) as (channel, _):
        refusal = await refused(GenerationServiceStub(channel).Generate(asking()))
    assert (refusal.code, refusal.reason) == (INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")


async def test_cancelling_ends_the_work(start: Start) -> None:
    stand = await start(time_to_first_token=60)
    call = GenerationServiceStub(stand.channel).Generate(asking())
    await stand.simulator.wait_active(1)
    call.cancel()
    await stand.simulator.wait_aborted(1)


# Upstreams without it


@pytest.mark.parametrize("settings", [{"scale_out": False}, {"dialect": "0.14.1"}])
async def test_an_upstream_without_it(start: Start, settings: dict[str, Any]) -> None:
    stand = await start(kind="chat", **settings)
    refusal = await refused(GenerationServiceStub(stand.channel).Generate(asking()))
    assert (refusal.code, refusal.reason) == (UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
    assert FLAG in refusal.message


DISABLED = {
    "error": {
        "message": "Scale-out endpoints are disabled. Restart vllm serve with "
        f"{FLAG} to enable them.",
        "type": "PermissionDeniedError",
        "param": None,
        "code": 403,
    }
}


@pytest.mark.parametrize("forwarded", [False, True])
@pytest.mark.parametrize(
    ("status", "answer"),
    [("403 Forbidden", DISABLED), ("404 Not Found", {"detail": "Not Found"})],
)
async def test_an_upstream_that_refuses_the_route(
    status: str, answer: Any, forwarded: bool
) -> None:
    settings = {"forward_authorization": True} if forwarded else {}
    async with canned(in_json(answer, status), **settings) as (channel, upstream):
        stub = GenerationServiceStub(channel)
        metadata = (("authorization", "Bearer x"),) if forwarded else ()
        for call in (
            stub.Generate(asking(model="canned"), metadata=metadata),
            _gather(stub.StreamGenerate(asking(model="canned"), metadata=metadata), []),
        ):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == (UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
            assert FLAG in refusal.message
    assert upstream.requests


async def test_another_refusal_for_lack_of_permission() -> None:
    answer = {"error": {"message": "no", "code": 403}}
    async with canned(in_json(answer, "403 Forbidden")) as (channel, _):
        refusal = await refused(GenerationServiceStub(channel).Generate(asking()))
    assert (refusal.code, refusal.reason) == (INTERNAL, "UPSTREAM_AUTH_FAILED")


async def _gather(call: Any, received: list[Any]) -> None:
    async for message in call:
        received.append(message)
