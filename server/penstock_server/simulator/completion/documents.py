"""The body of a unary text completion, and the parts it shares with a stream."""

from collections.abc import Iterable, Sequence

from penstock_server.simulator.completion.request import Completion, Prompt
from penstock_server.simulator.generation.generation import Generation, Step
from penstock_server.simulator.generation.logprobs import chat_logprob, prompt_logprobs
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.prompts.tokens import Token


def whole(completion: Completion, generations: Sequence[Generation]) -> Json:
    """Returns the unary answer; contains every field, with null for absent values."""
    pairs = zip(completion.prompts, generations, strict=True)
    choices = [
        _choice(completion, prompt, generation)
        for prompt, generation in pairs
        for _ in range(completion.choices)
    ]
    return {
        **envelope(completion),
        "choices": [{"index": index, **choice} for index, choice in enumerate(choices)],
        "service_tier": None,
        "system_fingerprint": completion.settings.fingerprint,
        "usage": {
            **usage(completion, generations),
            "prompt_tokens_details": _details(completion),
            "completion_tokens_details": None,
        },
        "kv_transfer_params": completion.values.get("kv_transfer_params"),
        "ec_transfer_params": None,
        "metrics": None,
    }


def envelope(completion: Completion) -> dict[str, Json]:
    """Returns the fields that start a body and every event."""
    return {
        "id": completion.id,
        "object": "text_completion",
        "created": completion.created,
        "model": completion.settings.answering(completion.values.get("model", "")),
    }


def usage(completion: Completion, generations: Sequence[Generation]) -> dict[str, Json]:
    """Returns the usage of the unary answer; scoring a prompt counts as one token."""
    made = sum(len(one.steps) or 1 for one in generations) * completion.choices
    read = completion.prompt_tokens
    return {"prompt_tokens": read, "total_tokens": read + made, "completion_tokens": made}


def logprobs(completion: Completion, prompt: Prompt, steps: Sequence[Step], offset: int) -> Json:
    """Returns the log probabilities of tokens and of an echoed prompt, if requested.

    A prompt without tokens is not echoed; `offset` is the position of the first token.
    """
    if "logprobs" not in completion.values:
        return None
    entries = [_entry(completion, token) for token in prompt.tokens]
    entries = [{**one, "logprob": None, "top_logprobs": None} for one in entries[:1]] + entries[1:]
    entries += [_entry(completion, step.token) for step in steps]
    texts = [entry["token"] for entry in entries]
    return {
        "text_offset": [offset + sum(map(len, texts[:i])) for i in range(len(texts))],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "tokens": texts,
        "top_logprobs": [_by_token(entry["top_logprobs"]) for entry in entries],
    }


def token_ids(completion: Completion, tokens: Iterable[Token]) -> list[int] | None:
    """Returns the ids of tokens, if requested."""
    return [token.id for token in tokens] if completion.flag("return_token_ids") else None


def echoed(completion: Completion, prompt: Prompt) -> Prompt:
    """Returns the prompt if the request echoes it, otherwise an empty prompt."""
    return prompt if completion.flag("echo") else Prompt("", ())


def _choice(completion: Completion, prompt: Prompt, generation: Generation) -> dict[str, Json]:
    front = echoed(completion, prompt)
    return {
        "text": front.text + generation.raw,
        "logprobs": logprobs(completion, front, generation.steps, 0),
        "finish_reason": generation.finish_reason,
        "stop_reason": generation.stop_reason,
        "token_ids": token_ids(completion, (step.token for step in generation.steps)),
        "prompt_logprobs": _prompt_logprobs(completion, prompt),
        "prompt_token_ids": token_ids(completion, prompt.tokens),
        "routed_experts": None,
    }


def _details(completion: Completion) -> Json:
    if completion.flag("use_beam_search"):
        return None
    cached = {"cached_tokens": completion.cached}
    return {**cached, "created_cache_tokens": None, "multimodal_tokens": None}


def _prompt_logprobs(completion: Completion, prompt: Prompt) -> Json:
    values = completion.values
    # vLLM returns those of an echoed prompt without a request.
    unasked = values.get("logprobs") if completion.flag("echo") else None
    asked = values.get("prompt_logprobs", unasked)
    return None if asked is None else prompt_logprobs(prompt.tokens, asked)


def _entry(completion: Completion, token: Token) -> dict[str, Json]:
    asked = max(1, completion.values["logprobs"])
    entry: dict[str, Json] = chat_logprob(
        token, asked, completion.flag("return_tokens_as_token_ids")
    )
    return entry


def _by_token(alternatives: Json) -> Json:
    if alternatives is None:
        return None
    return {entry["token"]: entry["logprob"] for entry in alternatives}
