"""The events of a streamed text completion."""

from collections.abc import Iterator, Sequence

from penstock_server.simulator.completion.documents import (
    echoed,
    envelope,
    logprobs,
    token_ids,
    usage,
)
from penstock_server.simulator.completion.request import Completion, Prompt
from penstock_server.simulator.generation.generation import Generation
from penstock_server.simulator.http.answers import DONE, Document, Json, Pause, Pieces
from penstock_server.simulator.http.errors import ApiError

_NO_PROMPT = Prompt("", ())


async def events(completion: Completion) -> Pieces:
    """Yields all events up to [DONE]; an error of the engine becomes an event."""
    try:
        generations = completion.generate()
    except ApiError as error:
        yield error.event()
    else:
        yield Pause(completion.settings.time_to_first_token)
        for position in range(max(len(one.steps) or 1 for one in generations)):
            if position:
                yield Pause(completion.settings.inter_token_latency)
            for chunk in _chunks(completion, generations, position):
                yield Document(chunk)
        if completion.include_usage:
            yield Document(_usage_chunk(completion, generations))
    yield DONE


def _chunks(
    completion: Completion, generations: Sequence[Generation], position: int
) -> Iterator[Json]:
    """Yields the chunks of the tokens at one position, one per unfinished choice."""
    longest = max(len(one.steps) or 1 for one in generations)
    for number, generation in enumerate(generations):
        last = max(len(generation.steps) - 1, 0)
        for copy in range(completion.choices if position <= last else 0):
            index = number * completion.choices + copy
            choice = _choice(completion, completion.prompts[number], generation, position)
            chunk = {**envelope(completion), "choices": [{"index": index, **choice}]}
            if completion.continuous_usage:
                chunk["usage"] = _usage_so_far(completion.prompts[number], position)
            final = position == longest - 1 and index == len(generations) * completion.choices - 1
            if final and not completion.include_usage:
                chunk["system_fingerprint"] = completion.settings.fingerprint
            yield chunk


def _choice(
    completion: Completion, prompt: Prompt, generation: Generation, position: int
) -> dict[str, Json]:
    front = echoed(completion, prompt) if position == 0 else _NO_PROMPT
    steps = generation.steps[position : position + 1]
    last = position >= len(generation.steps) - 1
    before = sum(len(step.token.text) for step in generation.steps[:position])
    offset = before + (len(echoed(completion, prompt).text) if position else 0)
    # vLLM returns the ids of an echoed prompt without a request.
    included = position == 0 and (completion.flag("echo") or completion.flag("return_token_ids"))
    return {
        "text": front.text + "".join(step.text for step in steps),
        "logprobs": logprobs(completion, front, steps, offset),
        "finish_reason": generation.finish_reason if last else None,
        "stop_reason": generation.stop_reason if last else None,
        "prompt_token_ids": [token.id for token in prompt.tokens] if included else None,
        "token_ids": token_ids(completion, (step.token for step in steps)),
    }


def _usage_so_far(prompt: Prompt, position: int) -> Json:
    """Returns the usage of one choice so far."""
    read, made = len(prompt.tokens), position + 1
    return {"prompt_tokens": read, "total_tokens": read + made, "completion_tokens": made}


def _usage_chunk(completion: Completion, generations: Sequence[Generation]) -> Json:
    return {
        **envelope(completion),
        "choices": [],
        "usage": {
            **usage(completion, generations),
            "prompt_tokens_details": {"cached_tokens": completion.cached},
        },
        "system_fingerprint": completion.settings.fingerprint,
    }
