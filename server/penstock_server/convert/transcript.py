"""Answers of transcriptions, whole and streamed."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from penstock.v1 import transcription_pb2 as pb
from penstock_server.convert import extra, generation, subtitles
from penstock_server.convert.errors import MalformedAnswer, reads_answer
from penstock_server.convert.transcription import wants_segments
from penstock_server.convert.usage import fill_usage

_KEYS = frozenset({"text", "task", "language", "duration", "segments", "words", "usage"})
_OPTIONAL = ("temperature", "avg_logprob", "compression_ratio", "no_speech_prob", "seek")
_SEGMENT_KEYS = frozenset({"id", "type", "start", "end", "text", "tokens", "speaker", *_OPTIONAL})
_WORD_KEYS = frozenset({"word", "start", "end"})
_TOKEN_NAMES = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
_EVENT_KEYS = frozenset({"id", "object", "created", "model", "choices", "usage"})
_CHOICE_KEYS = frozenset({"index", "delta", "finish_reason", "stop_reason"})
_DELTA_KEYS = frozenset({"role", "content"})


@reads_answer
def response(data: Mapping[str, Any], config: pb.TranscriptionConfig) -> pb.Transcription:
    """Returns the message for an answer to a request of this configuration.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = pb.Transcription(language_code=data.get("language") or "")
    answer.text = data["text"]
    if (duration := data.get("duration")) is not None:
        _fill_duration(answer.duration, duration)
    if wants_segments(config) and data.get("segments") is None:
        raise MalformedAnswer("it has no segments")
    for number, segment in enumerate(data.get("segments") or ()):
        _fill_segment(answer.segments.add(), segment, number)
    for word in data.get("words") or ():
        _fill_word(answer.words.add(), word)
    if usage := data.get("usage"):
        _fill_usage(answer, usage)
    if pb.SUBTITLE_FORMAT_SRT in config.subtitles:
        answer.srt = subtitles.srt(answer.segments)
    if pb.SUBTITLE_FORMAT_VTT in config.subtitles:
        answer.vtt = subtitles.vtt(answer.segments)
    extra.keep(answer, data, _KEYS)
    return answer


class TranscriptDeltas:
    """Turns the events of one stream into messages.

    Each part of the audio ends with a finish reason of its own. The caller gets one, together
    with the usage at the end or after it: a reason other than "stop" if any part has one, because
    it tells that text is missing.
    """

    def __init__(self) -> None:
        """Starts before the first event."""
        self._started = False
        self._id = ""
        self._open = False
        self._finish = ""
        self._stop_reason: int | str | None = None

    @reads_answer
    def delta(self, event: Mapping[str, Any]) -> pb.TranscriptionDelta | None:
        """Returns the message for the next event; None if it has nothing for the caller.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        delta = pb.TranscriptionDelta(id=event["id"])
        if first := not self._started:
            self._started = True
            self._id = delta.id
            delta.model = event.get("model") or ""
            delta.create_time.FromSeconds(event.get("created") or 0)
        choices = event["choices"]
        for item in choices:
            self._take(delta, item)
        if (usage := event.get("usage")) is not None:
            fill_usage(delta.usage, usage)
            if not choices and self._finish and not self._open:
                generation.fill_finish(delta, self._finish, self._stop_reason)
                self._finish = ""
        extra.keep(delta, event, _EVENT_KEYS)
        told = delta.text or delta.HasField("usage") or delta.HasField("extra")
        return delta if first or told else None

    def end(self) -> pb.TranscriptionDelta | None:
        """Returns the last message of a complete stream whose last event was not the usage."""
        if not self._finish:
            return None
        delta = pb.TranscriptionDelta(id=self._id)
        generation.fill_finish(delta, self._finish, self._stop_reason)
        return delta

    def _take(self, delta: pb.TranscriptionDelta, item: Mapping[str, Any]) -> None:
        said = item.get("delta") or {}
        delta.text += said.get("content") or ""
        reason = item.get("finish_reason")
        self._open = not reason
        if reason and self._finish in ("", "stop"):
            self._finish, self._stop_reason = reason, item.get("stop_reason")
        extra.keep(delta, item, _CHOICE_KEYS)
        extra.keep(delta, said, _DELTA_KEYS)


def _fill_segment(target: pb.Transcription.Segment, data: Mapping[str, Any], number: int) -> None:
    # vLLM counts anew in each part of a long audio.
    name = data.get("id")
    target.id = name if isinstance(name, str) else str(number)
    _fill_duration(target.start_offset, data["start"])
    _fill_duration(target.end_offset, data["end"])
    target.text = data["text"]
    target.token_ids.extend(data.get("tokens") or ())
    for key in _OPTIONAL:
        if (value := data.get(key)) is not None:
            setattr(target, key, value)
    target.speaker = data.get("speaker") or ""
    extra.keep(target, data, _SEGMENT_KEYS)


def _fill_word(target: pb.Transcription.Word, data: Mapping[str, Any]) -> None:
    target.word = data["word"]
    _fill_duration(target.start_offset, data["start"])
    _fill_duration(target.end_offset, data["end"])
    extra.keep(target, data, _WORD_KEYS)


def _fill_usage(target: pb.Transcription, usage: Mapping[str, Any]) -> None:
    if (seconds := usage.get("seconds")) is None:
        tokens = {_TOKEN_NAMES.get(key, key): usage[key] for key in usage if key != "type"}
        fill_usage(target.usage, tokens)
    else:
        _fill_duration(target.billed_duration, seconds)
        extra.keep(target.usage, usage, frozenset({"type", "seconds"}))


def _fill_duration(target: Duration, seconds: float | str) -> None:
    # Some versions of vLLM write the duration as a string.
    nanoseconds = round(float(seconds) * 1e9)
    if nanoseconds < 0:
        raise MalformedAnswer("it has a time before the start of the audio")
    target.FromNanoseconds(nanoseconds)
