"""The choice of tokens, and the end of generation."""

import pytest

from penstock.v1.common_pb2 import (
    FINISH_REASON_LENGTH,
    FINISH_REASON_STOP,
    EngineOptions,
    RepetitionDetection,
    SamplingParams,
)

from .chats import HELLO, Chats, asking, text_of

HELLO_PROMPT = "Say hello."


async def test_max_tokens(chats: Chats) -> None:
    response = await chats.both(asking(HELLO_PROMPT, sampling=SamplingParams(max_tokens=3)))
    assert response.choice.finish_reason == FINISH_REASON_LENGTH
    assert response.usage.completion_tokens == 3
    assert HELLO.startswith(response.text)


async def test_min_tokens(chats: Chats) -> None:
    sampling = SamplingParams(min_tokens=30, max_tokens=40)
    response = await chats.both(asking(HELLO_PROMPT, sampling=sampling))
    assert 30 <= response.usage.completion_tokens <= 40


async def test_stop_string(chats: Chats) -> None:
    sampling = SamplingParams(stop=["nonsense", "How can"])
    response = await chats.both(asking(HELLO_PROMPT, sampling=sampling))
    assert response.text == "Hello! "
    assert response.choice.finish_reason == FINISH_REASON_STOP
    assert response.choice.stop_string == "How can"


async def test_stop_string_kept(chats: Chats) -> None:
    sampling = SamplingParams(stop=["How can"], include_stop_str_in_output=True)
    response = await chats.both(asking(HELLO_PROMPT, sampling=sampling))
    assert response.text == "Hello! How can"
    assert response.choice.stop_string == "How can"


async def test_stop_token(chats: Chats) -> None:
    known = asking(HELLO_PROMPT, engine=EngineOptions(return_token_ids=True))
    third = (await chats.whole(known)).choices[0].token_ids[2]
    sampling = SamplingParams(stop_token_ids=[third])
    response = await chats.both(asking(HELLO_PROMPT, sampling=sampling))
    assert response.choice.finish_reason == FINISH_REASON_STOP
    assert response.choice.WhichOneof("stop_reason") == "stop_token_id"
    assert response.choice.stop_token_id == third
    assert response.usage.completion_tokens == 3


async def test_several_choices(chats: Chats) -> None:
    # Greedy sampling allows one choice only; almost greedy sampling gives the same answer.
    sampling = SamplingParams(temperature=0.01, seed=1, n=3)
    request = asking(HELLO_PROMPT, sampling=sampling)
    response = await chats.both(request)
    assert [text_of(choice) for choice in response.choices] == [HELLO] * 3
    messages = await chats.stream(request)
    order = [choice.index for message in messages for choice in message.choices]
    assert order != sorted(order), "the choices do not interleave"


async def test_zero_is_not_unset(chats: Chats) -> None:
    # An unset n is accepted; a 0 that arrives is refused.
    refusal = await chats.refused(asking(HELLO_PROMPT, sampling=SamplingParams(n=0)))
    assert "n must be at least 1, got 0" in refusal.message


@pytest.mark.upstream("random")
async def test_seed(chats: Chats) -> None:
    """The same seed gives the same words, another seed gives others."""
    texts: list[str] = []
    # On a CPU, vLLM uses the lowest 32 bits of a seed, in which all of these differ.
    for seed in (5, 7, 2**53, 2**53 + 1):
        sampling = SamplingParams(temperature=2, seed=seed, max_tokens=10)
        request = asking("What do you think of it?", sampling=sampling)
        first, second = [(await chats.both(request)).text for _ in range(2)]
        assert first == second
        texts.append(first)
    assert len(set(texts)) == len(texts)


async def test_everything_at_its_neutral_value(chats: Chats) -> None:
    sampling = SamplingParams(
        temperature=0,
        top_p=1,
        top_k=0,
        min_p=0,
        frequency_penalty=0,
        presence_penalty=0,
        repetition_penalty=1,
        length_penalty=1,
        seed=0,
        max_tokens=60,
        min_tokens=0,
        n=1,
        use_beam_search=False,
        include_stop_str_in_output=False,
        ignore_eos=False,
        skip_special_tokens=True,
        spaces_between_special_tokens=True,
        thinking_token_budget=-1,
        repetition_detection=RepetitionDetection(),
    )
    assert (await chats.both(asking(HELLO_PROMPT, sampling=sampling))).text == HELLO


async def test_token_lists(chats: Chats) -> None:
    known = asking(HELLO_PROMPT, engine=EngineOptions(return_token_ids=True))
    token_ids = (await chats.whole(known)).choices[0].token_ids
    sampling = SamplingParams(
        allowed_token_ids=sorted(set(token_ids)), logit_bias={token_ids[0]: 1.5}, bad_words=["zzz"]
    )
    assert (await chats.both(asking(HELLO_PROMPT, sampling=sampling))).text == HELLO
