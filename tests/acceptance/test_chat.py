"""Conversations in text: answers and streams."""

import pytest

from penstock.v1.common_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    EngineOptions,
    SamplingParams,
    StreamOptions,
)
from penstock.v1.message_pb2 import (
    ROLE_ASSISTANT,
    ROLE_DEVELOPER,
    ROLE_USER,
    ChatMessage,
    ContentPart,
    TemplateOptions,
)

from .chats import HELLO, Chats, answer, asking, join, said, system, text_of
from .conftest import Target

STORY = "Tell me a story."
EMOJI = "Bonjour 👋🌍 — café naïve, 你好!"


async def test_answer(chats: Chats, target: Target) -> None:
    response = await chats.both(asking("Say hello.", model=target.kind.model))
    assert response.text == HELLO
    assert response.model == target.kind.model
    assert response.choice.message.role == ROLE_ASSISTANT
    assert response.choice.finish_reason == FINISH_REASON_STOP
    assert response.choice.WhichOneof("stop_reason") is None
    assert not response.choice.message.HasField("reasoning")
    assert not response.choice.message.HasField("refusal")
    assert not response.choice.message.tool_calls
    assert not response.choice.logprobs


async def test_usage(chats: Chats) -> None:
    usage = (await chats.both(asking("Say hello."))).usage
    assert usage.prompt_tokens > 5
    assert usage.completion_tokens > 5
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.HasField("cached_tokens")
    assert not usage.HasField("completion_tokens_details")


async def test_nothing_unknown_comes_back(chats: Chats) -> None:
    request = asking("Say hello.")
    response = await chats.whole(request)
    assert not response.HasField("extra")
    assert not response.choices[0].HasField("extra")
    assert not response.choices[0].message.HasField("extra")
    for message in await chats.stream(request):
        assert not message.HasField("extra")
        assert not any(choice.HasField("extra") for choice in message.choices)
        assert not any(choice.delta.HasField("extra") for choice in message.choices)


async def test_model_may_be_omitted(chats: Chats, target: Target) -> None:
    response = await chats.both(asking("Say hello."))
    assert response.model == target.kind.model


async def test_stream_comes_in_pieces(chats: Chats) -> None:
    messages = await chats.stream(asking(STORY))
    texts = [choice.delta.content for message in messages for choice in message.choices]
    assert len([text for text in texts if text]) > 1
    assert messages[-1].system_fingerprint


async def test_wide_characters(chats: Chats) -> None:
    assert (await chats.both(asking("Greet me in French with emoji."))).text == EMOJI


async def test_wide_characters_of_the_prompt(chats: Chats) -> None:
    response = await chats.both(
        asking("Bonjour 👋🌍, 你好!", sampling=SamplingParams(max_tokens=5))
    )
    assert response.usage.completion_tokens == 5


@pytest.mark.parametrize("role", [None, ROLE_DEVELOPER])
async def test_system_message(chats: Chats, role: int | None) -> None:
    instructions = system("You are a helpful assistant.")
    instructions.role = role or instructions.role  # type: ignore[assignment]
    response = await chats.both(
        asking(instructions, "Say hello.", sampling=SamplingParams(max_tokens=60))
    )
    assert response.text
    if role is None:
        assert response.text == HELLO


async def test_several_turns(chats: Chats) -> None:
    first = await chats.whole(asking("Say hello."))
    request = asking(
        "Say hello.", first.choices[0].message, "And now?", sampling=SamplingParams(max_tokens=8)
    )
    alone = asking("And now?", sampling=SamplingParams(max_tokens=8))
    second = await chats.both(request)
    assert second.usage.prompt_tokens > (await chats.both(alone)).usage.prompt_tokens + 10


async def test_several_parts(chats: Chats) -> None:
    message = ChatMessage(
        role=ROLE_USER, content=[ContentPart(text="Say"), ContentPart(text="hello.")]
    )
    response = await chats.both(asking(message, sampling=SamplingParams(max_tokens=60)))
    assert response.text


async def test_continued_message(chats: Chats) -> None:
    request = asking(
        "Say hello.",
        said("Hello! How can", ROLE_ASSISTANT),
        template=TemplateOptions(continue_final_message=True, add_generation_prompt=False),
        sampling=SamplingParams(max_tokens=4),
    )
    assert (await chats.both(request)).text.startswith(" I help")
    request.template.echo = True
    assert (
        (await chats.whole(request))
        .choices[0]
        .message.content[0]
        .text.startswith("Hello! How can I help")
    )


async def test_prompt_text(chats: Chats) -> None:
    request = asking("Say hello.", engine=EngineOptions(return_prompt_text=True))
    whole = await chats.whole(request)
    assert "<|im_start|>user\nSay hello.<|im_end|>" in whole.prompt_text
    messages = await chats.stream(request)
    assert [m.prompt_text for m in messages if m.prompt_text] == [whole.prompt_text]


async def test_token_ids(chats: Chats) -> None:
    request = asking("Say hello.", engine=EngineOptions(return_token_ids=True))
    whole = await chats.whole(request)
    assert len(whole.prompt_token_ids) == whole.usage.prompt_tokens
    assert len(whole.choices[0].token_ids) == whole.usage.completion_tokens
    messages = await chats.stream(request)
    streamed = [list(m.prompt_token_ids) for m in messages if m.prompt_token_ids]
    assert streamed == [list(whole.prompt_token_ids)]
    assert join(messages).choice.token_ids == whole.choices[0].token_ids


async def test_prompt_is_returned_once_for_all_choices(chats: Chats) -> None:
    engine = EngineOptions(return_token_ids=True, return_prompt_text=True)
    request = asking("Say hello.", engine=engine, sampling=SamplingParams(n=2, temperature=1))
    whole = await chats.whole(request)
    messages = await chats.stream(request)
    told = [list(m.prompt_token_ids) for m in messages if m.prompt_token_ids]
    assert told == [list(whole.prompt_token_ids)]
    assert [m.prompt_text for m in messages if m.prompt_text] == [whole.prompt_text]


async def test_request_id_names_the_answer(chats: Chats) -> None:
    engine = EngineOptions(request_id="mine-1")
    assert answer(await chats.whole(asking("Hi", engine=engine))).id.startswith("chatcmpl-mine-1-")
    assert join(await chats.stream(asking("Hi", engine=engine))).id.startswith("chatcmpl-mine-1-")


async def test_usage_on_every_message(chats: Chats) -> None:
    options = StreamOptions(continuous_usage_stats=True)
    messages = await chats.stream(asking("Say hello.", stream_options=options))
    counts = [message.usage.completion_tokens for message in messages]
    assert all(message.HasField("usage") for message in messages)
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


async def test_usage_only_at_the_end(chats: Chats) -> None:
    messages = await chats.stream(asking("Say hello."))
    assert [message.HasField("usage") for message in messages[:-1]].count(True) == 0


async def test_stream_options_do_not_disturb_a_unary_call(chats: Chats) -> None:
    options = StreamOptions(continuous_usage_stats=True, stream_interval=2)
    response = await chats.whole(asking("Say hello.", stream_options=options))
    assert text_of(response.choices[0]) == HELLO


async def test_user_and_salt_and_priority(chats: Chats) -> None:
    engine = EngineOptions(cache_salt="pepper", priority=0, session_id="s-1")
    assert (await chats.both(asking("Say hello.", engine=engine, user="me"))).text == HELLO


async def test_prompt_is_truncated_on_request(chats: Chats) -> None:
    sampling = SamplingParams(truncate_prompt_tokens=10, max_tokens=3)
    response = await chats.both(asking("Say hello.", sampling=sampling))
    assert response.usage.prompt_tokens == 10


async def test_longest_answer(chats: Chats) -> None:
    sampling = SamplingParams(ignore_eos=True, max_tokens=200)
    response = await chats.both(asking("Hi", sampling=sampling))
    assert response.usage.completion_tokens == 200
    assert response.choice.finish_reason == FINISH_REASON_LENGTH
