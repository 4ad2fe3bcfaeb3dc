"""Speech to text while it is spoken: sends audio as it comes, returns text as it is heard."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.merge import Pieces
from penstock._base.option_docs import documented
from penstock._base.options import CallOptions, JsonObject
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.transcription_pb2 import (
    LiveTranscriptionConfig,
    TranscribeLiveRequest,
    TranscribeLiveResponse,
)

_SAMPLE_BYTES = 2

Speech: TypeAlias = Iterable[bytes | None]
"""Audio as it comes: 16-bit little-endian samples at 16000 Hz; None ends an utterance."""

AsyncSpeech: TypeAlias = Speech | AsyncIterable[bytes | None]
"""Audio as it comes: 16-bit little-endian samples at 16000 Hz; None ends an utterance."""


@documented
class LiveOptions(CallOptions, total=False):
    """Options of live transcription; see `LiveTranscriptionConfig` in `penstock.v1`.

    Attributes:
        model: name of the model; optional if there is only one.
        sample_rate_hertz: samples per second; only 16000 is supported.
        engine: fields of `EngineOptions`, such as `{"session_id": "a"}`.
    """

    model: str | None
    sample_rate_hertz: int | None
    engine: EngineOptions | JsonObject | None


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One message of a live transcription.

    Attributes:
        proto: the message as received.
    """

    proto: TranscribeLiveResponse

    @property
    def text(self) -> str:
        """The next piece of the text."""
        return self.proto.delta.text

    @property
    def utterance(self) -> str | None:
        """The whole text of the utterance that this event ends; None for other events."""
        return self.proto.done.text if self.proto.HasField("done") else None

    @property
    def error(self) -> str:
        """Why a piece of audio was not accepted; empty for other events."""
        return self.proto.error.message


@dataclass(frozen=True, slots=True)
class LiveTranscription:
    """The text of a live transcription as received so far.

    Attributes:
        started: the beginning of the session.
        done: the ends of the utterances, each with its whole text and its usage.
        rest: the text of the utterance that has not ended.
        call: information about the call.
    """

    started: TranscribeLiveResponse.Started
    done: tuple[TranscribeLiveResponse.Done, ...]
    rest: str
    call: CallInfo

    @property
    def text(self) -> str:
        """The text of all utterances."""
        return "".join((*(one.text for one in self.done), self.rest))


class LiveAccumulator:
    """Adds up the messages of a live transcription."""

    def __init__(self) -> None:
        self._started = TranscribeLiveResponse.Started()
        self._done: list[TranscribeLiveResponse.Done] = []
        self._rest = Pieces()

    def add(self, message: TranscribeLiveResponse) -> LiveEvent:
        """Adds the next message and returns it as an event."""
        if message.HasField("started"):
            self._started = message.started
        elif message.HasField("done"):
            self._done.append(message.done)
            self._rest = Pieces()
        else:
            self._rest.add(message.delta.text)
        return LiveEvent(message)

    def result(self, call: CallInfo = NO_CALL) -> LiveTranscription:
        """Returns a copy of the text as received so far."""
        return LiveTranscription(self._started, tuple(self._done), str(self._rest), call)

    def missing(self) -> str:
        """Describes what a complete answer still lacks."""
        return "an utterance has no end" if str(self._rest) or not self._done else ""


class Speaking:
    """The requests of a live transcription, as an iterator or an asynchronous iterator."""

    def __init__(self, config: LiveTranscriptionConfig, speech: AsyncSpeech) -> None:
        self._config = config
        self._speech = speech
        self._half = b""  # of a sample
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raises the error of reading the audio, if there was one.

        gRPC itself only reports that the call was cancelled.
        """
        if self._error:
            raise self._error

    def __iter__(self) -> Iterator[TranscribeLiveRequest]:
        assert isinstance(self._speech, Iterable)
        try:
            yield TranscribeLiveRequest(config=self._config)
            for chunk in self._speech:
                yield self._request(chunk)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
            # gRPC iterates in a thread, and ends the call only for an Exception.
            raise RuntimeError("the audio cannot continue") from error

    async def __aiter__(self) -> AsyncIterator[TranscribeLiveRequest]:
        yield TranscribeLiveRequest(config=self._config)
        try:
            if isinstance(self._speech, AsyncIterable):
                async for chunk in self._speech:
                    yield self._request(chunk)
            else:
                for chunk in self._speech:
                    yield self._request(chunk)
        except Exception as error:
            self._error = error
            raise

    def _request(self, chunk: bytes | None) -> TranscribeLiveRequest:
        if chunk is None:
            return TranscribeLiveRequest(commit=TranscribeLiveRequest.Commit())
        audio = self._half + chunk
        whole = len(audio) - len(audio) % _SAMPLE_BYTES
        self._half = audio[whole:]
        return TranscribeLiveRequest(audio_chunk=audio[:whole])
