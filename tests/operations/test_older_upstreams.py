"""Fields that an older vLLM has under another name, or not at all."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from conftest import Serve
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from grpc import StatusCode as Code
from grpc import aio
from rpc.calls import Ended, ended, until

from penstock.channel import open_async_channel
from penstock.v1 import (
    chat_completion_pb2 as chats,
)
from penstock.v1 import (
    chat_completion_pb2_grpc,
    classification_pb2_grpc,
    completion_pb2_grpc,
    embedding_pb2_grpc,
    pooling_pb2_grpc,
    rerank_pb2_grpc,
    response_pb2_grpc,
    tokenization_pb2_grpc,
    transcription_pb2_grpc,
)
from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.completion_pb2 import CreateCompletionRequest
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.pooling_pb2 import PoolRequest
from penstock.v1.rerank_pb2 import RerankRequest, ScoreRequest
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.tokenization_pb2 import TokenizeRequest
from penstock.v1.transcription_pb2 import TranscribeRequest
from penstock_server import vllm_fields
from penstock_server.convert.fields import HOMES
from penstock_server.fleet import adaptation
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.dialects.versions import NEWEST
from penstock_server.upstream.operations import ALL_OPERATIONS, CHAT_COMPLETION

from .canned import probed
from .conftest import Start
from .transcriptions import SECOND

Case = tuple[Message, Callable[[aio.Channel], Any]]


def _chat(**fields: Any) -> Case:
    said = {"messages": [{"role": "ROLE_USER", "content": [{"text": "Say hello."}]}]}
    message = ParseDict(said | fields, chats.CreateChatCompletionRequest())
    return (
        message,
        lambda channel: (
            chat_completion_pb2_grpc.ChatCompletionServiceStub(channel).CreateChatCompletion
        ),
    )


def _chat_stream(**fields: Any) -> Case:
    message, _ = _chat(**fields)
    return (
        message,
        lambda channel: (
            chat_completion_pb2_grpc.ChatCompletionServiceStub(channel).StreamChatCompletion
        ),
    )


def _completion(**fields: Any) -> Case:
    message = ParseDict({"prompts": [{"text": "Once"}]} | fields, CreateCompletionRequest())
    return (
        message,
        lambda channel: completion_pb2_grpc.CompletionServiceStub(channel).CreateCompletion,
    )


def _response(**fields: Any) -> Case:
    message = ParseDict({"inputText": "Say hello."} | fields, CreateResponseRequest())
    return message, lambda channel: response_pb2_grpc.ResponseServiceStub(channel).CreateResponse


def _response_stream(**fields: Any) -> Case:
    message, _ = _response(**fields)
    return message, lambda channel: response_pb2_grpc.ResponseServiceStub(channel).StreamResponse


def _embedding(**fields: Any) -> Case:
    message = ParseDict({"inputs": [{"text": "a"}]} | fields, CreateEmbeddingsRequest())
    return (
        message,
        lambda channel: embedding_pb2_grpc.EmbeddingServiceStub(channel).CreateEmbeddings,
    )


def _pooling(**fields: Any) -> Case:
    message = ParseDict({"inputs": [{"text": "a"}]} | fields, PoolRequest())
    return message, lambda channel: pooling_pb2_grpc.PoolingServiceStub(channel).Pool


def _classification(**fields: Any) -> Case:
    message = ParseDict({"inputs": [{"text": "a"}]} | fields, ClassifyRequest())
    return (
        message,
        lambda channel: classification_pb2_grpc.ClassificationServiceStub(channel).Classify,
    )


def _rerank(**fields: Any) -> Case:
    asked = {"query": {"text": "q"}, "documents": [{"text": "d"}]}
    message = ParseDict(asked | fields, RerankRequest())
    return message, lambda channel: rerank_pb2_grpc.RerankServiceStub(channel).Rerank


def _score(**fields: Any) -> Case:
    asked = {"queries": [{"text": "q"}], "documents": [{"text": "d"}]}
    message = ParseDict(asked | fields, ScoreRequest())
    return message, lambda channel: rerank_pb2_grpc.RerankServiceStub(channel).Score


def _tokenization(**fields: Any) -> Case:
    talk = {"chat": {"messages": [{"role": "ROLE_USER", "content": [{"text": "Hi"}]}]} | fields}
    message = ParseDict(talk, TokenizeRequest())
    return message, lambda channel: tokenization_pb2_grpc.TokenizationServiceStub(channel).Tokenize


def _transcription(**config: Any) -> Case:
    message = ParseDict({"config": config}, TranscribeRequest())
    message.audio = SECOND
    return (
        message,
        lambda channel: transcription_pb2_grpc.TranscriptionServiceStub(channel).Transcribe,
    )


RAW = {"options": {"useActivation": False}}
NULL = {"name": "x", "schema": {"type": "null"}}
SCHEMA = {"jsonSchema": {"name": "x", "schema": {"json": '{"type": "null"}'}}}


@pytest.mark.parametrize(
    ("dialect", "case", "older", "newer"),
    [
        (
            "0.10.2",
            _chat(structuredOutputs={"regex": "[0-9]{3}"}),
            {"guided_regex": "[0-9]{3}"},
            {"structured_outputs": {"regex": "[0-9]{3}"}},
        ),
        (
            "0.10.2",
            _chat(structuredOutputs={"choice": {"choices": ["a", "b"]}}),
            {"guided_choice": ["a", "b"]},
            {"structured_outputs": {"choice": ["a", "b"]}},
        ),
        (
            "0.10.2",
            _completion(structuredOutputs={"regex": "[0-9]{3}", "disableAnyWhitespace": False}),
            {"guided_regex": "[0-9]{3}"},
            {"structured_outputs": {"regex": "[0-9]{3}", "disable_any_whitespace": False}},
        ),
        (
            "0.10.2",
            _completion(responseFormat=SCHEMA),
            {"guided_json": {"type": "null"}},
            {"response_format": {"type": "json_schema", "json_schema": NULL}},
        ),
        (
            "0.11.0",
            _completion(responseFormat=SCHEMA),
            {"structured_outputs": {"json": {"type": "null"}}},
            {"response_format": {"type": "json_schema", "json_schema": NULL}},
        ),
        (
            "0.10.2",
            _response(structuredOutputs={"regex": "[0-9]{3}"}),
            {"guided_regex": "[0-9]{3}"},
            {"structured_outputs": {"regex": "[0-9]{3}"}},
        ),
        (
            "0.10.2",
            _chat(structuredOutputs={"jsonObject": {}}),
            {"response_format": {"type": "json_object"}},
            {"structured_outputs": {"json_object": True}},
        ),
        ("0.14.1", _embedding(**RAW), {"normalize": False}, {"use_activation": False}),
        ("0.10.2", _embedding(**RAW), {"normalize": False}, {"use_activation": False}),
        ("0.10.2", _rerank(**RAW), {"activation": False}, {"use_activation": False}),
        ("0.10.2", _score(**RAW), {"activation": False}, {"use_activation": False}),
        ("0.10.2", _classification(**RAW), {"activation": False}, {"use_activation": False}),
    ],
)
async def test_an_older_upstream_receives_the_older_name(
    start: Start, dialect: str, case: Case, older: dict[str, Any], newer: dict[str, Any]
) -> None:
    for version, wanted, not_wanted in ((dialect, older, newer), (NEWEST, newer, older)):
        stand = await start(dialect=version)
        await probed(stand.channel)
        await _done(stand.channel, case)
        assert wanted.items() <= stand.sent.items()
        assert not_wanted.keys().isdisjoint(stand.sent)


@pytest.mark.parametrize("dialect", ["0.10.2", "0.14.1"])
async def test_the_older_name_has_the_effect(start: Start, dialect: str) -> None:
    stand = await start(dialect=dialect)
    await probed(stand.channel)
    digits = _chat(structuredOutputs={"regex": "[0-9]{3}"})
    answer = await _done(stand.channel, digits)
    assert re.fullmatch("[0-9]{3}", answer.choices[0].message.content[0].text)
    answer = await _done(stand.channel, _completion(responseFormat=SCHEMA))
    assert answer.choices[0].text == "null"
    raw, usual = [await _done(stand.channel, _rerank(**fields)) for fields in (RAW, {})]
    assert raw.results[0].relevance_score != usual.results[0].relevance_score


@pytest.mark.parametrize(
    ("dialect", "case", "fields", "came"),
    [
        (
            "0.14.1",
            _rerank(scoring={"maxTokensPerDoc": 2}),
            ["scoring.max_tokens_per_doc"],
            "0.20.0",
        ),
        ("0.14.1", _score(scoring={"instruction": "x"}), ["scoring.instruction"], "0.22.0"),
        (
            "0.20.2",
            _chat(sampling={"truncationSide": "TRUNCATION_SIDE_LEFT", "thinkingTokenBudget": 5}),
            ["sampling.truncation_side"],
            "0.22.0",
        ),
        (
            "0.14.1",
            _chat_stream(sampling={"thinkingTokenBudget": 5}),
            ["sampling.thinking_token_budget"],
            "0.19.0",
        ),
        (
            "0.14.1",
            _chat(
                engine={"returnPromptText": True}, sampling={"repetitionDetection": {"minCount": 2}}
            ),
            ["sampling.repetition_detection", "engine.return_prompt_text"],
            "0.17.0",
        ),
        ("0.20.2", _completion(sampling={"badWords": ["a"]}), ["sampling.bad_words"], "0.26.0"),
        (
            "0.20.2",
            _response(sampling={"truncationSide": "TRUNCATION_SIDE_LEFT"}),
            ["sampling.truncation_side"],
            "0.22.0",
        ),
        (
            "0.20.2",
            _response_stream(sampling={"truncationSide": "TRUNCATION_SIDE_LEFT"}),
            ["sampling.truncation_side"],
            "0.22.0",
        ),
        (
            "0.10.2",
            _chat(structuredOutputs={"regex": "a", "disableAnyWhitespace": True}),
            ["structured_outputs.disable_any_whitespace"],
            "0.11.0",
        ),
        (
            "0.14.1",
            _embedding(lateChunking={"chunkSize": 2}),
            ["late_chunking"],
            "0.33.0",
        ),
        ("0.10.0", _embedding(**RAW), ["options.use_activation"], "0.16.0"),
        ("0.10.2", _pooling(**RAW), ["options.use_activation"], "0.11.1"),
        ("0.14.1", _pooling(engine={"cacheSalt": "x"}), ["engine.cache_salt"], "0.16.0"),
        (
            "0.14.1",
            _classification(options={"padding": "PADDING_MAX_LENGTH"}),
            ["options.padding"],
            "0.29.0",
        ),
        (
            "0.14.1",
            _tokenization(template={"mediaIoKwargs": {"object": {"image": {}}}}),
            ["chat.template.media_io_kwargs"],
            "0.18.0",
        ),
        ("0.14.1", _transcription(hotwords="café"), ["config.hotwords"], "0.20.0"),
        (
            "0.14.1",
            _transcription(sampling={"useBeamSearch": True}),
            ["config.sampling.use_beam_search"],
            "0.18.0",
        ),
    ],
)
async def test_a_field_without_an_older_name_is_refused(
    start: Start, dialect: str, case: Case, fields: list[str], came: str
) -> None:
    stand = await start(dialect=dialect)
    await probed(stand.channel)
    result = await _refused(stand.channel, case)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields == fields
    assert f"vLLM {dialect} does not have it; it came with {came}" in result.message
    assert "x-penstock-attempts" not in result.trailers
    assert stand.posts == []


@pytest.mark.parametrize(
    "case",
    [
        _chat(engine={"returnTokenIds": False, "sessionId": "s"}, includeReasoning=True),
        _rerank(scoring={"maxTokensPerDoc": 0}, user="me"),
        _embedding(),
        _transcription(sampling={"useBeamSearch": False, "n": 1}),
    ],
)
async def test_a_field_with_its_default_is_not_refused(start: Start, case: Case) -> None:
    stand = await start(dialect="0.10.0")
    await probed(stand.channel)
    await _done(stand.channel, case)


async def test_errors_of_an_older_version_name_the_field(start: Start) -> None:
    stand = await start(dialect="0.14.1")
    case = _transcription(detail="TRANSCRIPT_DETAIL_SEGMENTS")
    result = await _refused(stand.channel, case)
    assert (result.code, result.fields) == (Code.INVALID_ARGUMENT, ["config.language_code"])
    await _done(
        stand.channel, _transcription(detail="TRANSCRIPT_DETAIL_SEGMENTS", languageCode="en")
    )


@pytest.mark.parametrize("dialect", ["0.10.2", "0.14.1", NEWEST])
@pytest.mark.parametrize("make", [_chat, _chat_stream, _response, _response_stream])
async def test_an_answer_without_tokens_is_refused(
    start: Start, make: Callable[..., Case], dialect: str
) -> None:
    stand = await start(dialect=dialect)
    result = await _refused(stand.channel, make(sampling={"maxTokens": 0}))
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields == ["sampling.max_tokens"]
    assert stand.posts == []


@pytest.mark.parametrize(
    ("dialect", "native"), [("0.14.1", False), ("0.20.2", False), ("0.21.0", True)]
)
async def test_a_version_with_unreliable_responses_is_asked_for_chats(
    serve: Serve, dialect: str, native: bool
) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", dialect=dialect)
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), native_responses="auto")
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            await probed(channel)
            for make in (_response, _response_stream):
                await _done(channel, make())
    posts = [one.path for one in simulator.requests if one.method == "POST"]
    assert posts == 2 * ["/v1/responses" if native else "/v1/chat/completions"]


@pytest.mark.parametrize("version", ["", "dev", "0.1.dev1+g123", "0.6.6.post1", "1.0", "99.0.0"])
def test_an_upstream_of_unknown_version_receives_all_fields(version: str) -> None:
    body = {"structured_outputs": {"regex": "a"}, "watermarking": True}
    assert adaptation.adapted(CHAT_COMPLETION, body, version) is body


@pytest.mark.parametrize("version", ["0.14.1", "v0.14.1", "0.14.1+cpu", "0.14.1rc2.dev3+gabc"])
def test_the_release_number_counts(version: str) -> None:
    assert vllm_fields.numbers(version) == (0, 14, 1)


def test_every_field_of_the_table_has_a_home() -> None:
    for route, fields in vllm_fields.FIELDS.items():
        assert fields.keys() <= HOMES[route].keys()
        assert all(field.since > vllm_fields.OLDEST for field in fields.values())
    assert vllm_fields.FIELDS.keys() <= {operation.path for operation in ALL_OPERATIONS}


async def test_a_mixed_fleet_uses_a_replica_that_has_the_field(serve: Serve) -> None:
    async with AsyncExitStack() as stack:
        old, new = [
            await stack.enter_async_context(
                Simulator(SimulatorSettings(listen="127.0.0.1:0", dialect=dialect))
            )
            for dialect in ("0.14.1", NEWEST)
        ]
        service = await serve(upstream=(old.url, new.url))
        await until(lambda: all(one.version for one in service._fleet.snapshot()), 30)
        channel = await stack.enter_async_context(open_async_channel(f"127.0.0.1:{service.port}"))
        for _ in range(8):
            await _done(channel, _chat(sampling={"thinkingTokenBudget": 5}))
        assert [_asked(one) for one in (old, new)] == [0, 8]
        for _ in range(16):
            await _done(channel, _chat())
        assert all(_asked(one) > 1 for one in (old, new))


def _asked(simulator: Simulator) -> int:
    return sum(one.path == CHAT_COMPLETION.path for one in simulator.requests)


async def _done(channel: aio.Channel, case: Case) -> Any:
    request, method = case
    call = method(channel)(request)
    if isinstance(call, Awaitable):
        return await call
    return [message async for message in call]


async def _refused(channel: aio.Channel, case: Case) -> Ended:
    try:
        answer = await _done(channel, case)
    except aio.AioRpcError as error:
        return ended(error)
    raise AssertionError(f"it did not fail: {answer}")
