"""The body of a unary answer with token ids, and the events of a stream."""

from collections.abc import Sequence

from penstock_server.simulator.generation.generation import Generation, Step
from penstock_server.simulator.generation.logprobs import (
    chat_logprob,
    prompt_logprobs,
    token_logprob,
)
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.token_generation.request import TokenGeneration


def whole(asked: TokenGeneration, generation: Generation) -> Json:
    """Returns the unary answer; contains every field, with null for absent values."""
    scored = asked.sampling.get("prompt_logprobs")
    return {
        "request_id": asked.id,
        "model": asked.settings.models[0],
        "created": asked.created,
        "usage": {
            **_usage(asked, len(generation.steps) * asked.choices),
            "prompt_tokens_details": {
                "cached_tokens": asked.cached,
                "created_cache_tokens": None,
                "multimodal_tokens": None,
            },
            "completion_tokens_details": None,
        },
        "prompt_logprobs": None if scored is None else prompt_logprobs(asked.prompt, scored),
        "prompt_token_id_logprobs": None,
        "prompt_token_ids": _prompt_ids(asked) if asked.flag("return_token_ids") else None,
        "mm_placeholders": None,
        "metrics": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "output_mode": asked.mode,
        "choices": [
            _choice(asked, index, generation.steps, generation) for index in range(asked.choices)
        ],
    }


def event(asked: TokenGeneration, index: int, generation: Generation, position: int) -> Json:
    """Returns the event of a choice with the token at a position."""
    steps = generation.steps[position : position + 1]
    ended = position >= len(generation.steps) - 1
    first = index == 0 and position == 0
    usage = {
        **_usage(asked, position + 1),
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    return {
        "request_id": asked.id,
        "usage": usage if asked.continuous_usage else None,
        **({"prompt_token_ids": _prompt_ids(asked)} if first and _returns_ids(asked) else {}),
        "output_mode": asked.mode,
        "choices": [_choice(asked, index, steps, generation if ended else None)],
    }


def usage_event(asked: TokenGeneration, generation: Generation) -> Json:
    """Returns the last event of a stream."""
    return {
        "request_id": asked.id,
        "usage": {
            **_usage(asked, len(generation.steps) * asked.choices),
            "prompt_tokens_details": {"cached_tokens": asked.cached},
        },
        "output_mode": asked.mode,
        "choices": [],
    }


def _usage(asked: TokenGeneration, made: int) -> dict[str, Json]:
    read = len(asked.prompt)
    return {"prompt_tokens": read, "total_tokens": read + made, "completion_tokens": made}


def _choice(
    asked: TokenGeneration, index: int, steps: Sequence[Step], ended: Generation | None
) -> dict[str, Json]:
    """Returns a choice with tokens, and the end of the choice if they are the last."""
    spans = [{"version": "default", "start": 0, "end": len(ended.steps)}] if ended else None
    text = "".join(step.raw for step in steps)
    return {
        "index": index,
        "finish_reason": ended.finish_reason if ended else None,
        "stop_reason": ended.stop_reason if ended else None,
        "token_ids": [step.token.id for step in steps],
        "routed_experts": None,
        "sampling_mask": None,
        "weight_versions": spans,
        **({"text": text} if asked.mode == "text" else {}),
        **({"message": _message(text)} if asked.mode == "derender" else {}),
        "logprobs": _logprobs(asked, steps),
    }


def _message(text: str) -> Json:
    others = ("refusal", "annotations", "audio", "function_call", "reasoning")
    return {"role": "assistant", "content": text, **dict.fromkeys(others)}


def _logprobs(asked: TokenGeneration, steps: Sequence[Step]) -> Json:
    wanted = asked.sampling.get("logprobs")
    if wanted is None:
        return None
    count = wanted if wanted < 0 else max(1, wanted)
    if asked.mode == "tokens":
        return {"content": [token_logprob(step.token, count) for step in steps]}
    return {"content": [chat_logprob(step.token, count, as_ids=False) for step in steps]}


def _returns_ids(asked: TokenGeneration) -> bool:
    return asked.flag("return_token_ids")


def _prompt_ids(asked: TokenGeneration) -> list[int]:
    return [token.id for token in asked.prompt]
