"""POST /v1/audio/transcriptions and /v1/audio/translations."""

import math
import zlib

from penstock_server.simulator.generation.generation import Generation, Step
from penstock_server.simulator.http.answers import DONE, Answer, Document, Json, Pause, Pieces
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.form import FormError, read_form
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.prompts.tokens import tokenize
from penstock_server.simulator.state import State
from penstock_server.simulator.transcription.request import (
    SEGMENT_S,
    SENTENCES,
    Speech,
    prepare,
)

_OBJECTS = {"transcribe": "transcription.chunk", "translate": "translation.chunk"}


async def transcribe(request: Request, state: State) -> Answer:
    """Transcribes speech, unary or as a stream."""
    return _answer(request, "transcribe", state)


async def translate(request: Request, state: State) -> Answer:
    """Translates speech to English, unary or as a stream."""
    return _answer(request, "translate", state)


def prompt(request: Request) -> str:
    """Returns the prompt in the form; empty if the request has none."""
    try:
        return read_form(request).text("prompt")
    except ValueError:
        return ""


def _answer(request: Request, task: str, state: State) -> Answer:
    try:
        form = read_form(request)
    except FormError as error:
        return detail(400, str(error))
    speech = prepare(request, form, task, state)
    if speech.flag("stream"):
        return Answer.of_events(_events(speech))
    return Answer(_whole(speech))


async def _whole(speech: Speech) -> Pieces:
    parts = [_part(speech, number) for number in range(len(speech.starts))]
    tokens = sum(len(part.steps) for part in parts)
    yield Pause(speech.settings.time_to_first_token + speech.settings.inter_token_latency * tokens)
    if speech.values.get("response_format") == "verbose_json":
        yield Document(_verbose(speech))
    else:
        yield Document(_plain(speech, parts))


def _plain(speech: Speech, parts: list[Generation]) -> Json:
    text = {"text": "".join(_raw(part) for part in parts)}
    if speech.task == "translate":
        return text
    seconds = math.ceil(speech.duration)
    return {**text, "usage": {"type": "duration", "seconds": seconds}}


def _verbose(speech: Speech) -> Json:
    segments = [
        _segment(speech, number, start)
        for start in speech.starts
        for number in range(len(SENTENCES[speech.task]))
    ]
    return {
        "duration": speech.duration,
        "language": speech.language,
        "text": " ".join(segment["text"] for segment in segments),
        "segments": segments,
        "words": None,
    }


def _segment(speech: Speech, number: int, start: float) -> Json:
    text = SENTENCES[speech.task][number]
    data = text.encode()
    return {
        "id": number,
        "avg_logprob": -0.016,
        "compression_ratio": len(data) / len(zlib.compress(data)),
        "end": start + SEGMENT_S * (number + 1),
        "no_speech_prob": None,
        "seek": int(start),
        "start": start + SEGMENT_S * number,
        "temperature": speech.values.get("temperature", 0.0),
        "text": text,
        "tokens": [token.id for token in tokenize(text)],
    }


async def _events(speech: Speech) -> Pieces:
    said = 0
    yield Pause(speech.settings.time_to_first_token)
    for number in range(len(speech.starts)):
        part = _part(speech, number)
        for step in part.steps:
            if said:
                yield Pause(speech.settings.inter_token_latency)
            said += 1
            last = step is part.steps[-1]
            if step.raw or last:
                yield Document(_chunk(speech, [_choice(step, part, last)], said))
    if speech.flag("stream_include_usage"):
        yield Document({**_chunk(speech, [], said), "usage": _usage(speech, said)})
    yield DONE


def _part(speech: Speech, number: int) -> Generation:
    sentence = "".join(SENTENCES[speech.task])
    return speech.generate(f" {sentence}" if number else sentence)


def _raw(part: Generation) -> str:
    return "".join(step.raw for step in part.steps)


def _choice(step: Step, part: Generation, last: bool) -> Json:
    choice = {"delta": {"content": step.raw}}
    if not last:
        return choice
    return {**choice, "finish_reason": part.finish_reason, "stop_reason": part.stop_reason}


def _chunk(speech: Speech, choices: list[Json], said: int) -> dict[str, Json]:
    chunk = {
        "id": f"{speech.task}-{speech.name}",
        "object": _OBJECTS[speech.task],
        "created": speech.created,
        "model": speech.settings.models[0],
        "choices": choices,
    }
    if speech.flag("stream_continuous_usage_stats"):
        chunk["usage"] = _usage(speech, said)
    return chunk


def _usage(speech: Speech, said: int) -> Json:
    spent = speech.prompt_tokens
    return {"prompt_tokens": spent, "total_tokens": spent + said, "completion_tokens": said}
