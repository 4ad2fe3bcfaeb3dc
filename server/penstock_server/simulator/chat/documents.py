"""The body of a unary chat answer, and the parts it shares with a stream."""

from collections.abc import Sequence

from penstock_server.simulator.chat.request import Chat
from penstock_server.simulator.generation.generation import Channel, Generation, Step
from penstock_server.simulator.generation.logprobs import chat_logprob, prompt_logprobs
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.prompts import media


def completion(chat: Chat, generation: Generation) -> Json:
    """Returns the unary answer; contains every field, with null for absent values."""
    return {
        "id": chat.id,
        "object": "chat.completion",
        "created": chat.created,
        "model": chat.model,
        "choices": [_choice(chat, generation, index) for index in range(chat.choices)],
        "service_tier": None,
        "system_fingerprint": chat.fingerprint,
        "usage": usage(chat, generation),
        "prompt_logprobs": _prompt_logprobs(chat),
        "prompt_token_ids": prompt_token_ids(chat),
        "prompt_text": prompt_text(chat),
        "kv_transfer_params": chat.values.get("kv_transfer_params"),
        "ec_transfer_params": None,
        "metrics": None,
    }


def usage(chat: Chat, generation: Generation) -> dict[str, Json]:
    """Returns the usage of the unary answer."""
    completion_tokens = len(generation.steps) * chat.choices
    thought = generation.reasoning_tokens * chat.choices
    cached, created = chat.cached
    return {
        "prompt_tokens": len(chat.prompt),
        "total_tokens": len(chat.prompt) + completion_tokens,
        "completion_tokens": completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "created_cache_tokens": created,
            "multimodal_tokens": media.multimodal_tokens(chat.talk.media),
        },
        "completion_tokens_details": {"reasoning_tokens": thought} if chat.thinking else None,
    }


def finish_reason(chat: Chat, generation: Generation) -> str:
    """Returns the finish reason of a choice; a named call ends like a text, as in vLLM."""
    called = generation.calls and not chat.named_call
    return "tool_calls" if called else generation.finish_reason


def logprobs(chat: Chat, steps: Sequence[Step]) -> Json:
    """Returns the log probabilities of tokens, if requested."""
    if not chat.flag("logprobs"):
        return None
    count = chat.values.get("top_logprobs", 0)
    as_ids = chat.flag("return_tokens_as_token_ids")
    return {"content": [chat_logprob(step.token, count, as_ids) for step in steps]}


def token_ids(chat: Chat, steps: Sequence[Step]) -> list[int] | None:
    """Returns the ids of tokens, if requested."""
    return [step.token.id for step in steps] if chat.flag("return_token_ids") else None


def prompt_token_ids(chat: Chat) -> list[int] | None:
    """Returns the ids of the prompt's tokens, if requested."""
    return [token.id for token in chat.prompt] if chat.flag("return_token_ids") else None


def prompt_text(chat: Chat) -> str | None:
    """Returns the prompt as the model receives it, if requested."""
    return chat.prompt_text if chat.flag("return_prompt_text") else None


def _choice(chat: Chat, generation: Generation, index: int) -> Json:
    return {
        "index": index,
        "message": _message(chat, generation, index),
        "logprobs": logprobs(chat, generation.steps),
        "finish_reason": finish_reason(chat, generation),
        "stop_reason": generation.stop_reason,
        "token_ids": token_ids(chat, generation.steps),
        "routed_experts": None,
    }


def _message(chat: Chat, generation: Generation, index: int) -> Json:
    message: dict[str, Json] = {
        "role": chat.role,
        "content": _content(chat, generation),
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
    }
    if generation.calls:
        message["tool_calls"] = _tool_calls(chat, generation, index)
    thought = "" if chat.hides_thought else generation.text(Channel.REASONING)
    return {**message, "reasoning": thought or None}


def _content(chat: Chat, generation: Generation) -> str | None:
    if generation.calls:
        text = generation.text(Channel.CONTENT)
        return text if text.strip() else "" if chat.forced_call else None
    if generation.reasoning_tokens and not generation.raw:
        return None
    return chat.echoed + generation.raw


def _tool_calls(chat: Chat, generation: Generation, index: int) -> list[Json]:
    return [
        {
            "id": chat.call_id(index, number),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(generation.calls)
    ]


def _prompt_logprobs(chat: Chat) -> Json:
    asked = chat.values.get("prompt_logprobs")
    if asked is None:
        # vLLM returns those of the prompt without a request when it echoes the last message.
        return prompt_logprobs(chat.prompt, 0) if chat.flag("echo") else None
    return prompt_logprobs(chat.prompt, asked)
