"""Unary answers and streams that are complete as HTTP, but not as answers."""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import pytest
from acceptance.refusals import Refusal, read, refused
from grpc import aio
from upstream.wire import stream

from penstock.v1.chat_completion_pb2 import CreateChatCompletionRequest
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.common_pb2 import SamplingParams
from penstock.v1.completion_pb2 import CreateCompletionRequest, Prompt
from penstock.v1.completion_pb2_grpc import CompletionServiceStub
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.message_pb2 import ROLE_USER, ChatMessage, ContentPart, PoolingInput
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.response_pb2_grpc import ResponseServiceStub
from penstock.v1.tokenization_pb2 import TokenizeRequest
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub

from .canned import canned, in_json

TWO = SamplingParams(n=2)
CHAT = CreateChatCompletionRequest(
    messages=[ChatMessage(role=ROLE_USER, content=[ContentPart(text="Hi")])], sampling=TWO
)
COMPLETION = CreateCompletionRequest(prompts=[Prompt(text="a"), Prompt(text="b")])
RESPONSE = CreateResponseRequest(input_text="Hi")
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
SAID = {"message": {"role": "assistant", "content": "x"}, "delta": {"content": "x"}, "text": "x"}


def choice(index: int = 0, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"index": index, **SAID, "finish_reason": finish, **more}


def answer(*choices: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "x", "model": "m", "created": 1, "choices": choices, "usage": USAGE}


WHOLE = (choice(0), choice(1))
NOT_WHOLE: Mapping[str, Sequence[dict[str, Any]]] = {
    "none": (),
    "one of two choices": (choice(0),),
    "one not finished": (choice(0), choice(1, None)),
    "the same index twice": (choice(0), choice(0)),
    "a negative index": (choice(-1), choice(0)),
    "a third choice continues": (*WHOLE, choice(2, None)),
}


def chat(channel: aio.Channel) -> Awaitable[Any]:
    return ChatCompletionServiceStub(channel).CreateChatCompletion(CHAT)


def complete(channel: aio.Channel) -> Awaitable[Any]:
    return CompletionServiceStub(channel).CreateCompletion(COMPLETION)


def respond(channel: aio.Channel) -> Awaitable[Any]:
    return ResponseServiceStub(channel).CreateResponse(RESPONSE)


async def refusal(call: Any, sent: Any) -> Refusal:
    async with canned(in_json(sent)) as (channel, _):
        return await refused(call(channel))


@pytest.mark.parametrize("call", [chat, complete])
@pytest.mark.parametrize("choices", NOT_WHOLE.values(), ids=NOT_WHOLE)
async def test_missing_choices(call: Any, choices: Sequence[dict[str, Any]]) -> None:
    end = await refusal(call, answer(*choices))
    assert (end.code, end.reason) == (grpc.StatusCode.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")
    assert end.metadata["stage"] == "body"


async def test_a_response_that_did_not_finish() -> None:
    end = await refusal(respond, answer(choice(0, None)))
    assert end.reason == "UPSTREAM_MALFORMED_RESPONSE"


@pytest.mark.parametrize("call", [chat, complete, respond])
async def test_a_generation_that_failed(call: Any) -> None:
    """vLLM answers with HTTP 500; a finish reason alone means the same."""
    end = await refusal(call, answer(choice(0), choice(1, "error")))
    assert (end.code, end.reason) == (grpc.StatusCode.INTERNAL, "UPSTREAM_INTERNAL")


@pytest.mark.parametrize("call", [chat, complete, respond])
async def test_an_aborted_generation(call: Any) -> None:
    """vLLM reports it when it is stopped; the text may end in the middle of a word."""
    end = await refusal(call, answer(choice(0), choice(1, "abort")))
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "GENERATION_ABORTED")


STREAMS: Mapping[str, Callable[[aio.Channel], AsyncIterable[Any]]] = {
    "chat": lambda channel: ChatCompletionServiceStub(channel).StreamChatCompletion(CHAT),
    "completion": lambda channel: CompletionServiceStub(channel).StreamCompletion(COMPLETION),
    "response": lambda channel: ResponseServiceStub(channel).StreamResponse(RESPONSE),
}


def events(finish: str) -> tuple[str, ...]:
    return (
        '{"id":"x","created":1,"model":"m","choices":[{"index":0,"text":"","delta":{}}]}',
        f'{{"id":"x","choices":[{{"index":0,"text":"","delta":{{}},"finish_reason":"{finish}"}}]}}',
        '{"id":"x","choices":[],"usage":{"total_tokens":3}}',
        "[DONE]",
    )


ENDS = {
    "error": (grpc.StatusCode.INTERNAL, "UPSTREAM_INTERNAL"),
    "abort": (grpc.StatusCode.UNAVAILABLE, "GENERATION_ABORTED"),
}


@pytest.mark.parametrize("finish", ENDS)
@pytest.mark.parametrize("open_stream", STREAMS.values(), ids=STREAMS)
async def test_a_streamed_generation_that_failed(open_stream: Any, finish: str) -> None:
    async with canned(stream(*events(finish))) as (channel, _):
        with pytest.raises(aio.AioRpcError) as caught:
            async for _ in open_stream(channel):
                pass
    end = read(caught.value)
    assert (end.code, end.reason) == ENDS[finish]
    assert dict(caught.value.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "-1"


async def test_a_count_that_does_not_match_the_tokens() -> None:
    sent = {"count": 2, "max_model_len": 9, "tokens": [1]}
    async with canned(in_json(sent)) as (channel, _):
        end = await refused(TokenizationServiceStub(channel).Tokenize(TokenizeRequest(text="x")))
    assert end.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_token_strings_that_do_not_match_the_tokens() -> None:
    sent = {"count": 2, "max_model_len": 9, "tokens": [1, 2], "token_strs": ["a"]}
    async with canned(in_json(sent)) as (channel, _):
        end = await refused(TokenizationServiceStub(channel).Tokenize(TokenizeRequest(text="x")))
    assert end.reason == "UPSTREAM_MALFORMED_RESPONSE"


@pytest.mark.parametrize("vectors", [([1.0, 2.0], [3.0]), ("AACAPwAAAEA=", "AACAPw==")], ids=str)
async def test_vectors_of_different_lengths(vectors: Sequence[Any]) -> None:
    data = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    request = CreateEmbeddingsRequest(inputs=[PoolingInput(text="a"), PoolingInput(text="b")])
    async with canned(in_json({"data": data})) as (channel, _):
        end = await refused(EmbeddingServiceStub(channel).CreateEmbeddings(request))
    assert end.reason == "UPSTREAM_MALFORMED_RESPONSE"


@pytest.mark.parametrize("said", [{"message": None}, {"delta": {"content": "x"}}], ids=str)
async def test_a_response_without_a_message(said: dict[str, Any]) -> None:
    """A chat without a message is malformed, not an empty response."""
    end = await refusal(respond, answer({"index": 0, "finish_reason": "stop"} | said))
    assert end.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_a_choice_without_text() -> None:
    silent = choice(1)
    del silent["text"]
    end = await refusal(complete, answer(choice(0), silent))
    assert end.reason == "UPSTREAM_MALFORMED_RESPONSE"
    assert "it lacks text" in end.message
