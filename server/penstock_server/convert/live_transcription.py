"""Live transcription: the events to send for a caller's messages, and the replies to events."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pybase64 import b64encode

from penstock.v1 import transcription_pb2 as pb
from penstock_server.convert import document, extra, option_messages, timestamp
from penstock_server.convert.errors import invalid, reads_answer
from penstock_server.convert.usage import fill_usage

SAMPLE_RATE_HERTZ = 16_000
_SAMPLE_BYTES = 2
_SECOND_BYTES = SAMPLE_RATE_HERTZ * _SAMPLE_BYTES
_PIECE_BYTES = 32 * 1024
"""About a second; vLLM limits the size of an event."""
_BEGIN = {"type": "input_audio_buffer.commit", "final": False}
_END = {"type": "input_audio_buffer.commit", "final": True}


def configuration(first: pb.TranscribeLiveRequest | None) -> pb.LiveTranscriptionConfig:
    """Returns the configuration of a session.

    Args:
        first: the first message of the call; None if it has no messages.

    Raises:
        InvalidRequest: the first message is missing or is not the configuration.
    """
    if first is None:
        raise invalid("config", "is missing; the call has no messages")
    if first.WhichOneof("payload") != "config":
        raise invalid("config", "must be in the first message")
    return first.config


def opening(config: pb.LiveTranscriptionConfig) -> dict[str, Any]:
    """Returns the event that configures a session.

    Raises:
        InvalidRequest: a field is faulty.
    """
    if config.sample_rate_hertz not in (0, SAMPLE_RATE_HERTZ):
        raise invalid("config.sample_rate_hertz", f"must be {SAMPLE_RATE_HERTZ}")
    option_messages.refuse_all_but(
        config.engine, "config.engine", "request_id", "session_id", "data_parallel_rank"
    )
    return {"type": "session.update", "model": config.model}


class Speech:
    """The caller's side of a session: utterances, each of which begins with its first audio."""

    def __init__(self, max_utterance_s: float) -> None:
        """Creates the side of a caller that has sent the configuration only.

        Args:
            max_utterance_s: longest audio of an utterance in seconds; 0 for no limit.
        """
        self._max_utterance_s = max_utterance_s
        self._open = False
        self._spoken = False
        self._bytes = 0  # of the open utterance

    def events(self, message: pb.TranscribeLiveRequest) -> Iterator[dict[str, Any]]:
        """Yields the events to send for a message after the first.

        Raises:
            InvalidRequest: the message does not fit here.
        """
        payload = message.WhichOneof("payload")
        if payload == "audio_chunk":
            yield from self._audio(message.audio_chunk)
        elif payload == "commit":
            if not self._open:
                raise invalid("commit", "must follow audio")
            yield from self._end()
        elif payload == "config":
            raise invalid("config", "must be in the first message only")
        else:
            raise invalid("payload", "must be set in every message")

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yields the events to send at the end of the caller's messages.

        Raises:
            InvalidRequest: there was no audio.
        """
        if not self._spoken:
            raise invalid("audio_chunk", "the call contains no audio")
        if self._open:
            yield from self._end()

    def _audio(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        if len(chunk) % _SAMPLE_BYTES:
            raise invalid("audio_chunk", f"must consist of samples of {_SAMPLE_BYTES} bytes each")
        self._require_short(chunk)
        if chunk and not self._open:
            self._open = self._spoken = True
            yield _BEGIN
        for start in range(0, len(chunk), _PIECE_BYTES):
            piece = b64encode(chunk[start : start + _PIECE_BYTES]).decode()
            yield {"type": "input_audio_buffer.append", "audio": piece}

    def _require_short(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if 0 < self._max_utterance_s * _SECOND_BYTES < self._bytes:
            longest = f"{self._max_utterance_s:g} s"
            fault = f"makes the utterance longer than {longest}; send `commit` more often"
            raise invalid("audio_chunk", fault)

    def _end(self) -> Iterator[dict[str, Any]]:
        self._open = False
        self._bytes = 0
        yield _END


@reads_answer
def reply(event: Mapping[str, Any], model: str) -> pb.TranscribeLiveResponse | None:
    """Returns the message for an event; None for one that adds nothing.

    Args:
        event: the event.
        model: the name of the model.

    Raises:
        MalformedAnswer: the event does not have the API's shape.
    """
    made = pb.TranscribeLiveResponse()
    read = _READERS.get(event.get("type", ""))
    if read:
        read(made, event)
        if made.HasField("started"):
            made.started.model = model
    else:
        document.add(made.extra, dict(event))
    return None if made == _NOTHING else made


def _started(made: pb.TranscribeLiveResponse, event: Mapping[str, Any]) -> None:
    made.started.SetInParent()
    extra.fill(made.started, "id", event, extra.text)
    if event.get("created") is not None:
        timestamp.fill(made.started.create_time, made.started, "created", event)
    extra.keep(made.started, event, _STARTED_KEYS)


def _delta(made: pb.TranscribeLiveResponse, event: Mapping[str, Any]) -> None:
    if (text := event["delta"]) is not None:
        made.delta.text = text
    made.delta.SetInParent()
    extra.keep(made.delta, event, _DELTA_KEYS)


def _done(made: pb.TranscribeLiveResponse, event: Mapping[str, Any]) -> None:
    made.done.text = event["text"]
    if usage := event.get("usage"):
        fill_usage(made.done.usage, usage)
    extra.keep(made.done, event, _DONE_KEYS)


def _error(made: pb.TranscribeLiveResponse, event: Mapping[str, Any]) -> None:
    made.error.message = extra.text(event.get("error") or "")
    made.error.code = extra.text(event.get("code") or "")
    extra.keep(made.error, event, _ERROR_KEYS)


_NOTHING = pb.TranscribeLiveResponse(delta=pb.TranscribeLiveResponse.Delta())
_STARTED_KEYS = frozenset({"type", "id", "created"})
_DELTA_KEYS = frozenset({"type", "delta"})
_DONE_KEYS = frozenset({"type", "text", "usage"})
_ERROR_KEYS = frozenset({"type", "error", "code"})
_READERS: Mapping[str, Callable[[pb.TranscribeLiveResponse, Mapping[str, Any]], None]] = {
    "session.created": _started,
    "transcription.delta": _delta,
    "transcription.done": _done,
    "error": _error,
}
