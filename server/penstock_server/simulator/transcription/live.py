"""The websocket /v1/realtime: live transcription."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from typing import Any

import pybase64

from penstock_server.simulator.http.answers import Answer, Document, Json, Pause, Pieces
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.prompts.tokens import tokenize
from penstock_server.simulator.state import State
from penstock_server.simulator.transcription.request import SENTENCES

TOKEN_BYTES = 3200
"""The audio in which one token is heard: a tenth of a second."""

_PROMPT_TOKENS = 4
_APPEND = "input_audio_buffer.append"
_COMMIT = "input_audio_buffer.commit"
_DELTA = "transcription.delta"
_UNVALIDATED = (
    "Model not validated. Make sure to validate the model by sending a session.update event."
)
_NO_TEXT = "1 validation error for InputAudioBufferAppend\naudio\n  Input should be a valid string"


async def converse(request: Request, state: State) -> Answer:
    """Opens a session; a request that opens no websocket has no such route."""
    if request.messages is None:
        return detail(404)
    return Answer.of_messages(_Session(state).pieces(request.messages))


class _Session:
    """One session, in vLLM's order: a commit begins an utterance, and a final one ends it.

    A final one before the beginning ends the utterance as soon as it begins.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._validated = False
        self._next()

    def _next(self) -> None:
        """Prepares the next utterance."""
        self._begun = self._ended = False
        self._audio = 0  # in bytes
        self._said: list[str] = []
        self._tokens = self._sentence()

    async def pieces(self, messages: AsyncIterator[bytes]) -> Pieces:
        """Yields the events of the session."""
        created = int(time.time())
        yield Document(
            {"type": "session.created", "id": f"sess-{self._state.new_id()}", "created": created}
        )
        async for message in messages:
            try:
                event = json.loads(message)
            except ValueError:
                yield _error("Invalid JSON", "invalid_json")
                continue
            for said in self._heard(event):
                latency_s = self._state.settings.inter_token_latency
                if latency_s and said["type"] == _DELTA:
                    yield Pause(latency_s)
                yield Document(said)

    def _heard(self, event: Any) -> Iterator[Json]:
        if not isinstance(event, dict):
            name = type(event).__name__
            yield _reported(f"'{name}' object has no attribute 'get'", "processing_error")
            return
        kind = event.get("type")
        if kind == "session.update":
            yield from self._update(event.get("model"))
        elif kind == _APPEND:
            yield from self._append(event.get("audio"))
        elif kind == _COMMIT:
            yield from self._commit(final=bool(event.get("final")))
        else:
            yield _reported(f"Unknown event type: {kind}", "unknown_event")

    def _update(self, model: str | None) -> Iterator[Json]:
        if model is None:
            yield _reported("Missing required field: model", "invalid_event")
        elif model and model not in self._state.settings.models:
            yield _reported(f"The model `{model}` does not exist.", "model_not_found")
        else:
            self._validated = True

    def _append(self, audio: Any) -> Iterator[Json]:
        if not isinstance(audio, str):
            yield _reported(_NO_TEXT, "processing_error")
            return
        size = _size(audio)
        if not size or size % 2:
            yield _reported("Invalid audio data", "invalid_audio")
        elif not self._ended:
            self._audio += size
            yield from self._transcribed()

    def _commit(self, *, final: bool) -> Iterator[Json]:
        if not self._validated:
            yield _reported(_UNVALIDATED, "model_not_validated")
            return
        self._begun |= not final
        self._ended |= final
        yield from self._transcribed()
        if self._begun and self._ended:
            yield from self._done()
            self._next()

    def _transcribed(self) -> Iterator[Json]:
        while self._begun and len(self._said) < self._audio // TOKEN_BYTES:
            yield self._delta(next(self._tokens))

    def _delta(self, token: str) -> Json:
        self._said.append(token)
        return {"type": _DELTA, "delta": token}

    def _done(self) -> Iterator[Json]:
        prompt = 0
        if self._audio:
            prompt = _PROMPT_TOKENS
            yield self._delta("")  # the end, which is a token without text
        said = len(self._said)
        usage = {
            "prompt_tokens": prompt,
            "total_tokens": prompt + said,
            "completion_tokens": said,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        }
        yield {"type": "transcription.done", "text": "".join(self._said), "usage": usage}

    @staticmethod
    def _sentence() -> Iterator[str]:
        return cycle(token.text for token in tokenize("".join(SENTENCES["transcribe"])))


def _size(audio: str) -> int:
    """Returns the number of bytes of audio; 0 if it is not base64."""
    try:
        return len(pybase64.b64decode(audio))
    except ValueError:
        return 0


def _error(message: str, code: str) -> Document:
    return Document(_reported(message, code))


def _reported(message: str, code: str) -> Json:
    return {"type": "error", "error": message, "code": code}
