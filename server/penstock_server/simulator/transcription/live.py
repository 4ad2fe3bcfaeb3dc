"""The websocket /v1/realtime: live transcription."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from itertools import cycle

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
_UNVALIDATED = (
    "Model not validated. Make sure to validate the model by sending a session.update event."
)


async def converse(request: Request, state: State) -> Answer:
    """Opens a session; a request that opens no websocket has no such route."""
    if request.messages is None:
        return detail(404)
    return Answer.of_messages(_Session(state).pieces(request.messages))


class _Session:
    """One session, in vLLM's order: a commit begins an utterance, and a final one ends it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._validated = False
        self._begun = False
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
                if latency_s and said["type"] == "transcription.delta":
                    yield Pause(latency_s)
                yield Document(said)

    def _heard(self, event: Json) -> Iterator[Json]:
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

    def _append(self, audio: str) -> Iterator[Json]:
        size = len(pybase64.b64decode(audio))
        if not size or size % 2:
            yield _reported("Invalid audio data", "invalid_audio")
            return
        self._audio += size
        yield from self._transcribed()

    def _commit(self, *, final: bool) -> Iterator[Json]:
        if not self._validated:
            yield _reported(_UNVALIDATED, "model_not_validated")
        elif not final:
            self._begun = True
            yield from self._transcribed()
        elif self._begun:
            yield self._done()
            self._begun, self._audio = False, 0
            self._said, self._tokens = [], self._sentence()

    def _transcribed(self) -> Iterator[Json]:
        while self._begun and len(self._said) < self._audio // TOKEN_BYTES:
            self._said.append(next(self._tokens))
            yield {"type": "transcription.delta", "delta": self._said[-1]}

    def _done(self) -> Json:
        prompt, said = _PROMPT_TOKENS, len(self._said)
        usage = {
            "prompt_tokens": prompt,
            "total_tokens": prompt + said,
            "completion_tokens": said,
            "prompt_tokens_details": None,
        }
        return {"type": "transcription.done", "text": "".join(self._said), "usage": usage}

    @staticmethod
    def _sentence() -> Iterator[str]:
        return cycle(token.text for token in tokenize("".join(SENTENCES["transcribe"])))


def _error(message: str, code: str) -> Document:
    return Document(_reported(message, code))


def _reported(message: str, code: str) -> Json:
    return {"type": "error", "error": message, "code": code}
