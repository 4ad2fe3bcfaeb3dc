"""The events of a streamed chat answer."""

from collections.abc import Iterator, Sequence

from penstock_server.simulator.chat.documents import (
    finish_reason,
    logprobs,
    prompt_text,
    prompt_token_ids,
    token_ids,
    usage,
)
from penstock_server.simulator.chat.request import Chat
from penstock_server.simulator.generation.generation import Channel, Generation, Step
from penstock_server.simulator.http.answers import DONE, Document, Json, Pause, Pieces
from penstock_server.simulator.http.errors import ApiError


async def events(chat: Chat) -> Pieces:
    """Yields all events up to [DONE]; an error of the engine becomes an event."""
    try:
        generation = chat.generate()
    except ApiError as error:
        yield error.event()
    else:
        yield Pause(chat.settings.time_to_first_token)
        for index in range(chat.choices):
            yield Document(_first_chunk(chat, generation, index))
        for index in range(chat.choices if chat.echoed else 0):
            echo = _bare_choice(index, {"content": chat.echoed})
            yield Document(_chunk(chat, echo, generation, 0))
        for position in range(len(generation.steps)):
            if position:
                yield Pause(chat.settings.inter_token_latency)
            for chunk in _token_chunks(chat, generation, position):
                yield Document(chunk)
        if _include_usage(chat):
            yield Document(_usage_chunk(chat, generation))
    yield DONE


def _token_chunks(chat: Chat, generation: Generation, position: int) -> Iterator[Json]:
    """Yields the chunks of one token, one per choice, if the token is visible."""
    step = generation.steps[position]
    last = position == len(generation.steps) - 1
    for index in range(chat.choices):
        choice = _choice(chat, step, index)
        if last:
            choice = _with_finish(chat, generation, choice)
        elif not (choice["delta"] or choice["logprobs"] or choice["token_ids"]):
            continue
        chunk = _chunk(chat, choice, generation, position + 1)
        if last and index == chat.choices - 1 and not _include_usage(chat):
            chunk["system_fingerprint"] = chat.fingerprint
        yield chunk


def _first_chunk(chat: Chat, generation: Generation, index: int) -> Json:
    choice = _bare_choice(index, {"role": chat.role, "content": ""})
    return {
        **_chunk(chat, choice, generation, 0),
        "prompt_token_ids": prompt_token_ids(chat),
        "prompt_text": prompt_text(chat),
    }


def _bare_choice(index: int, delta: Json) -> dict[str, Json]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _choice(chat: Chat, step: Step, index: int) -> dict[str, Json]:
    return {
        "index": index,
        "delta": _delta(chat, step, index),
        "logprobs": logprobs(chat, [step]),
        "finish_reason": None,
        "token_ids": token_ids(chat, [step]),
    }


def _with_finish(chat: Chat, generation: Generation, choice: dict[str, Json]) -> dict[str, Json]:
    ids = choice.pop("token_ids")
    return {
        **choice,
        "finish_reason": finish_reason(chat, generation),
        "stop_reason": generation.stop_reason,
        "token_ids": ids,
    }


def _delta(chat: Chat, step: Step, index: int) -> dict[str, Json]:
    if not step.text:
        return {}
    match step.channel:
        case Channel.CONTENT:
            hidden = {"reasoning": None} if chat.hides_thought else {}
            return {"content": step.text, **hidden}
        case Channel.REASONING:
            return {} if chat.hides_thought else {"reasoning": step.text}
        case Channel.TOOL_NAME:
            return {"content": None, "tool_calls": [_call_begin(chat, step, index)]}
        case Channel.TOOL_ARGUMENTS:
            more = {"index": step.call, "function": {"arguments": step.text}}
            return {"content": None, "tool_calls": [more]}
    return {}


def _call_begin(chat: Chat, step: Step, index: int) -> Json:
    return {
        "id": chat.call_id(index, step.call),
        "type": "function",
        "index": step.call,
        "function": {"name": step.text},
    }


def _chunk(chat: Chat, choice: Json, generation: Generation, tokens: int) -> dict[str, Json]:
    chunk = _envelope(chat, [choice])
    if _include_usage(chat) and chat.values["stream_options"].get("continuous_usage_stats"):
        chunk["usage"] = _usage_so_far(chat, generation.steps[:tokens])
    return chunk


def _usage_so_far(chat: Chat, said: Sequence[Step]) -> Json:
    """Returns the usage of one choice so far."""
    thought = sum(step.channel is Channel.REASONING for step in said)
    return {
        "prompt_tokens": len(chat.prompt),
        "total_tokens": len(chat.prompt) + len(said),
        "completion_tokens": len(said),
        "completion_tokens_details": {"reasoning_tokens": thought} if chat.thinking else None,
    }


def _usage_chunk(chat: Chat, generation: Generation) -> Json:
    whole = usage(chat, generation)
    details = whole["prompt_tokens_details"]
    whole["prompt_tokens_details"] = {
        key: value for key, value in details.items() if value is not None
    }
    shown = {key: value for key, value in whole.items() if value is not None}
    return {**_envelope(chat, []), "usage": shown, "system_fingerprint": chat.fingerprint}


def _envelope(chat: Chat, choices: list[Json]) -> dict[str, Json]:
    return {
        "id": chat.id,
        "object": "chat.completion.chunk",
        "created": chat.created,
        "model": chat.model,
        "choices": choices,
    }


def _include_usage(chat: Chat) -> bool:
    return bool(chat.values.get("stream_options", {}).get("include_usage"))
