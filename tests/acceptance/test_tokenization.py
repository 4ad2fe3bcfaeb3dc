"""TokenizationService."""

from typing import Any

import grpc
import pytest

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.message_pb2 import ROLE_ASSISTANT, TemplateOptions
from penstock.v1.tokenization_pb2 import (
    ChatTokenizeInput,
    DetokenizeRequest,
    StreamTokenizeRequest,
    TokenizeRequest,
    TokenizeResponse,
)
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub

from .chats import asking, function, members, said
from .conftest import Target
from .refusals import refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def stub(target: Target) -> Any:
    return TokenizationServiceStub(target.channel)


async def tokenize(stub: Any, **fields: Any) -> TokenizeResponse:
    """Returns an answer, after the checks that apply to every answer."""
    answer: TokenizeResponse = await stub.Tokenize(TokenizeRequest(**fields))
    assert answer.count == len(answer.token_ids)
    assert not answer.HasField("extra")
    return answer


async def detokenize(stub: Any, ids: Any) -> str:
    return str((await stub.Detokenize(DetokenizeRequest(token_ids=ids))).text)


@pytest.mark.parametrize("text", ["Hello world", "café", "line\nend", "", "👋 hi", "\x00 tab\t"])
async def test_round_trip(stub: Any, target: Target, text: str) -> None:
    answer = await tokenize(stub, text=text, model=target.kind.model)
    assert answer.max_model_len == 512
    assert not answer.token_strings
    assert bool(answer.count) is bool(text)
    assert await detokenize(stub, answer.token_ids) == text


async def test_items_of_a_stream(stub: Any) -> None:
    requests = {f"key {number}": TokenizeRequest(text=f"text {number}") for number in range(50)}
    requests["talk"] = TokenizeRequest(chat=ChatTokenizeInput(messages=asking("hello").messages))
    requests["wrong"] = TokenizeRequest(text="x", model="nope")
    sent = (
        StreamTokenizeRequest(key=key, request=request, in_order=True)
        for key, request in requests.items()
    )
    found = {result.key: result async for result in stub.StreamTokenize(sent)}
    assert list(found) == list(requests)
    for key in ("key 0", "key 33", "talk"):
        assert found[key].response == await stub.Tokenize(requests[key])
    assert found["wrong"].error.reason == "MODEL_NOT_FOUND"


async def test_token_strings(stub: Any) -> None:
    answer = await tokenize(stub, text="Hello world", return_token_strings=True)
    assert len(answer.token_strings) == answer.count
    # The tokenizer's own spelling, which represents a space by another character.
    assert "".join(answer.token_strings) == "Hello\u0120world"
    assert not (await tokenize(stub, text="x", return_token_strings=False)).token_strings


async def test_special_tokens(stub: Any) -> None:
    for wanted in (True, False):
        assert (await tokenize(stub, text="Hello", add_special_tokens=wanted)).count > 0


@pytest.mark.upstream("embed")
async def test_a_model_that_embeds(stub: Any) -> None:
    answer = await tokenize(stub, text="hello world")
    assert answer.max_model_len == 256
    assert answer.count > 0


async def test_a_conversation_counts_as_its_chat(stub: Any, target: Target) -> None:
    question = "Say hello."
    chat = ChatTokenizeInput(messages=[said(question)])
    answer = await tokenize(stub, chat=chat)
    request = asking(question, engine=EngineOptions(return_token_ids=True))
    spoken = await ChatCompletionServiceStub(target.channel).CreateChatCompletion(request)
    assert answer.token_ids == spoken.prompt_token_ids
    assert answer.count == spoken.usage.prompt_tokens


async def test_tools_are_part_of_the_prompt(stub: Any) -> None:
    plain = await tokenize(stub, chat=ChatTokenizeInput(messages=[said("Hi")]))
    tools = [function("get_weather", {"type": "object"})]
    more = await tokenize(stub, chat=ChatTokenizeInput(messages=[said("Hi")], tools=tools))
    assert more.count > plain.count


async def test_template_options(stub: Any) -> None:
    messages = [said("Hi"), said("Hello", ROLE_ASSISTANT)]
    counts = [
        (await tokenize(stub, chat=ChatTokenizeInput(messages=messages, template=template))).count
        for template in (
            TemplateOptions(),
            TemplateOptions(add_generation_prompt=False),
            TemplateOptions(add_generation_prompt=False, continue_final_message=True),
        )
    ]
    assert counts[0] > counts[1] > counts[2]


async def test_unknown_tokens_are_left_out(stub: Any) -> None:
    assert await detokenize(stub, [9_999_999]) == ""
    assert await detokenize(stub, []) == ""


async def test_negative_token(stub: Any) -> None:
    refusal = await refused(detokenize(stub, [5, -1]))
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")
    assert refusal.fields == ("token_ids[1]",)


async def test_unknown_model(stub: Any) -> None:
    for call in (
        stub.Tokenize(TokenizeRequest(text="x", model="nope")),
        stub.Detokenize(DetokenizeRequest(token_ids=[5], model="nope")),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
        assert refusal.resource == "nope"


async def test_template_of_the_request(stub: Any) -> None:
    template = TemplateOptions(chat_template="{{ messages }}")
    chat = ChatTokenizeInput(messages=[said("Hi")], template=template)
    refusal = await refused(stub.Tokenize(TokenizeRequest(chat=chat)))
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")


async def test_an_unknown_parameter_passes(stub: Any) -> None:
    assert (await tokenize(stub, text="x", extra_body=members(new_flag=1))).count == 1
