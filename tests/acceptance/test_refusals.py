"""Requests that cannot be answered, and the errors that callers get."""

from typing import Any

import grpc
import pytest
from grpc import aio

from penstock.v1.common_pb2 import EngineOptions, SamplingParams
from penstock.v1.message_pb2 import (
    ROLE_UNSPECIFIED,
    ROLE_USER,
    ChatMessage,
    ContentPart,
    Media,
    TemplateOptions,
)

from .chats import HELLO, Chats, asking, members, said
from .conftest import Target
from .refusals import refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT


OUT_OF_RANGE = {
    "temperature": (SamplingParams(temperature=9), "sampling.temperature"),
    "temperature below zero": (SamplingParams(temperature=-1), "sampling.temperature"),
    "top_p": (SamplingParams(top_p=1.5), "sampling.top_p"),
    "max_tokens": (SamplingParams(max_tokens=100_000), "sampling.max_tokens"),
    "logit_bias": (SamplingParams(logit_bias={99_999: 5}), "sampling.logit_bias"),
    "truncation": (
        SamplingParams(truncate_prompt_tokens=9999),
        "sampling.truncate_prompt_tokens",
    ),
    "stop": (SamplingParams(stop=list("abcde")), "sampling.stop"),
}


@pytest.mark.parametrize(("sampling", "field"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
async def test_value_out_of_range(chats: Chats, sampling: SamplingParams, field: str) -> None:
    refusal = await chats.refused(asking("Hi", sampling=sampling))
    assert refusal.code is INVALID
    assert refusal.reason == "UPSTREAM_REJECTED"
    assert refusal.fields[0].startswith(field)
    assert refusal.metadata["upstreamStatus"] == "400"
    assert refusal.metadata["upstreamParam"]


async def test_zero_tokens(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", sampling=SamplingParams(max_tokens=0)))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_REQUEST")
    assert refusal.fields == ("sampling.max_tokens",)


async def test_context_length(chats: Chats) -> None:
    refusal = await chats.refused(asking("hello world " * 600))
    assert refusal.code is INVALID
    assert refusal.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert refusal.metadata["maxModelLen"] == "512"
    assert int(refusal.metadata["promptTokensAtLeast"]) == 513


async def test_unknown_model(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", model="nope"))
    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "MODEL_NOT_FOUND"
    assert refusal.resource == "nope"
    assert refusal.metadata["model"] == "nope"


async def test_image_on_a_text_model(chats: Chats) -> None:
    image = Media(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
    message = ChatMessage(role=ROLE_USER, content=[ContentPart(image=image)])
    refusal = await chats.refused(asking(message))
    assert refusal.code is INVALID
    assert refusal.reason == "UPSTREAM_REJECTED"
    assert "not a multimodal model" in refusal.message


async def test_template_that_is_not_trusted(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", template=TemplateOptions(chat_template="x")))
    assert refusal.code is INVALID
    assert "untrusted chat template" in refusal.message


@pytest.mark.parametrize("name", ["mm_processor_kwargs", "media_io_kwargs"])
async def test_media_parameters_that_are_not_trusted(chats: Chats, name: str) -> None:
    template = TemplateOptions(**{name: members(image={})})  # type: ignore[arg-type]
    refusal = await chats.refused(asking("Hi", template=template))
    assert refusal.code is INVALID
    assert refusal.fields == (f"template.{name}",)


async def test_negative_prompt_logprobs(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", engine=EngineOptions(prompt_logprobs=-3)))
    assert refusal.code is INVALID
    assert refusal.fields == ("engine.prompt_logprobs",)


async def test_no_messages(chats: Chats) -> None:
    refusal = await chats.refused(asking())
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.fields == ("messages",)
    assert "upstreamStatus" not in refusal.metadata


async def test_no_role(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", said("Hello", ROLE_UNSPECIFIED)))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.fields == ("messages[1].role",)


async def test_not_a_number(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", sampling=SamplingParams(top_p=float("nan"))))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.fields == ("sampling.top_p",)


async def test_extra_body_arrives(chats: Chats) -> None:
    # No answer shows it; the refusal of a wrong type does.
    extra = members(return_token_offsets="perhaps")
    refusal = await chats.refused(asking("Hi", extra_body=extra))
    assert refusal.reason == "UPSTREAM_REJECTED"
    assert refusal.metadata["upstreamParam"].endswith("return_token_offsets")


async def test_unknown_extra_is_no_error(chats: Chats) -> None:
    extra = members(custom_parameter={"nested": [1, "two", None]})
    assert (await chats.both(asking("Say hello.", extra_body=extra))).text == HELLO


async def test_extra_body_repeats_a_field(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", extra_body=members(temperature=1, stream=True)))
    assert refusal.code is INVALID
    assert refusal.reason == "CONFLICTING_FIELDS"
    assert set(refusal.fields) == {"extra_body.temperature", "extra_body.stream"}


async def test_extra_body_that_the_upstream_would_ignore(chats: Chats) -> None:
    refusal = await chats.refused(asking("Hi", extra_body=members(guided_json={})))
    assert refusal.code is INVALID
    assert refusal.reason == "INVALID_REQUEST"
    assert "structured_outputs" in refusal.message


@pytest.mark.parametrize("method", ["ImageService/CreateImage", "ChatCompletionService/Nope"])
async def test_unknown_method(target: Target, method: str) -> None:
    call: Any = target.channel.unary_unary(f"/penstock.v1.{method}")
    refusal = await refused(call(b""))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.reason == "UNSUPPORTED_OPERATION"
    assert "ChatCompletionService" in refusal.message


async def test_message_that_is_too_large(target: Target) -> None:
    call: Any = target.channel.unary_unary(
        "/penstock.v1.ChatCompletionService/CreateChatCompletion",
        request_serializer=lambda size: bytes(size),
    )
    with pytest.raises(aio.AioRpcError) as caught:
        await call(33 * 1024 * 1024)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
