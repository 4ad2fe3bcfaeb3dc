"""Log probabilities of answers and prompts."""

import math

import grpc
import pytest

from penstock.v1.common_pb2 import EngineOptions, LogprobOptions

from .chats import HELLO, Chats, asking

PROMPT = "Say hello."


async def test_no_logprobs_by_default(chats: Chats) -> None:
    response = await chats.both(asking(PROMPT))
    assert not response.choice.logprobs


@pytest.mark.parametrize("alternatives", [None, 0, 5])
async def test_alternatives(chats: Chats, alternatives: int | None) -> None:
    response = await chats.both(asking(PROMPT, logprobs=LogprobOptions(top_logprobs=alternatives)))
    entries = response.choice.logprobs
    assert len(entries) == response.usage.completion_tokens
    assert b"".join(entry.bytes for entry in entries).startswith(HELLO.encode())
    for entry in entries:
        assert -1 < entry.logprob <= 0
        found = [top.logprob for top in entry.top_logprobs]
        assert len(found) == (alternatives or 0)
        assert found == sorted(found, reverse=True)
        assert sum(map(math.exp, found)) < 1.1  # the simulator invents them
        if found:
            # At a temperature of 0, the likeliest token is chosen.
            assert entry.top_logprobs[0].token == entry.token
            assert found[0] == pytest.approx(entry.logprob)


async def test_bytes_of_wide_characters(chats: Chats) -> None:
    request = asking("Greet me in French with emoji.", logprobs=LogprobOptions())
    response = await chats.both(request)
    text = b"".join(entry.bytes for entry in response.choice.logprobs)
    assert "café".encode() in text


async def test_tokens_as_ids(chats: Chats) -> None:
    options = LogprobOptions(top_logprobs=1, tokens_as_token_ids=True)
    request = asking(PROMPT, logprobs=options, engine=EngineOptions(return_token_ids=True))
    choice = (await chats.both(request)).choice
    assert [entry.token for entry in choice.logprobs] == [
        f"token_id:{token_id}" for token_id in choice.token_ids
    ]


async def test_too_many(chats: Chats) -> None:
    refusal = await chats.refused(asking(PROMPT, logprobs=LogprobOptions(top_logprobs=21)))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "UPSTREAM_REJECTED"
    assert refusal.fields == ("logprobs",)


async def test_prompt(chats: Chats) -> None:
    request = asking(PROMPT, engine=EngineOptions(prompt_logprobs=2, return_token_ids=True))
    response = await chats.whole(request)
    first, *rest = response.prompt_logprobs
    assert len(response.prompt_logprobs) == response.usage.prompt_tokens
    assert not first.candidates
    for token_id, position in zip(response.prompt_token_ids[1:], rest, strict=True):
        own = position.candidates[token_id]
        assert math.isfinite(own.logprob)
        assert own.rank >= 1
        assert own.HasField("decoded_token")
        assert len(position.candidates) in (2, 3)
        ranked = sorted(position.candidates.values(), key=lambda one: one.rank)
        assert [one.logprob for one in ranked] == sorted(
            (one.logprob for one in ranked), reverse=True
        )
        assert sum(math.exp(one.logprob) for one in ranked) < 1.1


async def test_no_prompt_logprobs_in_a_stream(chats: Chats) -> None:
    messages, refusal = await chats.broken(asking(PROMPT, engine=EngineOptions(prompt_logprobs=2)))
    assert messages == []
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == ("engine.prompt_logprobs",)


async def test_zero_prompt_logprobs_may_stream(chats: Chats) -> None:
    await chats.stream(asking(PROMPT, engine=EngineOptions(prompt_logprobs=0)))
