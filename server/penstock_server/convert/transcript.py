"""Answers to transcriptions, unary and streamed."""

from collections.abc import Callable, Mapping
from functools import partial
from math import nan
from typing import Any

from google.protobuf.duration_pb2 import Duration

from penstock.v1 import transcription_pb2 as pb
from penstock_server.convert import extra, generation, message, subtitles
from penstock_server.convert.errors import MalformedAnswer, reads_answer
from penstock_server.convert.transcription import wants_segments
from penstock_server.convert.usage import fill_usage
from penstock_server.json_numbers import integer, number

_KEYS = frozenset({"text", "task", "language", "duration", "segments", "words", "usage"})
_OPTIONAL: Mapping[str, Callable[[Any], Any]] = {
    "temperature": number,
    "avg_logprob": number,
    "compression_ratio": number,
    "no_speech_prob": number,
    "seek": integer,
}
_SEGMENT_KEYS = frozenset({"id", "type", "start", "end", "text", "tokens", "speaker", *_OPTIONAL})
_WORD_KEYS = frozenset({"word", "start", "end"})
_TOKEN_NAMES = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
_EVENT_KEYS = frozenset({"id", "object", "created", "model", "choices", "usage"})
_CHOICE_KEYS = frozenset({"index", "delta", "finish_reason", "stop_reason"})
_DELTA_KEYS = frozenset({"role", "content"})


@reads_answer
def response(data: Mapping[str, Any], config: pb.TranscriptionConfig) -> pb.Transcription:
    """Returns the message for the answer to a request with this configuration.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = pb.Transcription()
    if data.get("language"):
        extra.fill_with(answer, "language", data, partial(_set_language, answer))
    answer.text = data["text"]
    extra.fill_with(answer, "duration", data, partial(_fill_duration, answer.duration))
    if wants_segments(config) and not isinstance(data.get("segments"), list):
        raise MalformedAnswer("it has no segments")
    for place, segment in enumerate(data.get("segments") or ()):
        _fill_segment(answer.segments.add(), segment, place)
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

    Each part of the audio ends with its own finish reason. The caller receives one, with the usage
    at the end or after it: a reason other than "stop" if any part has one, because such a reason
    means that text is missing.
    """

    def __init__(self) -> None:
        """Creates a stream before its first event."""
        self._beginning = generation.Beginning()
        self._open = False
        self._finish = ""
        self._last: Mapping[str, Any] = {}

    @reads_answer
    def delta(self, event: Mapping[str, Any]) -> pb.TranscriptionDelta | None:
        """Returns the message for the next event; None if the event has nothing for the caller.

        Raises:
            MalformedAnswer: the event does not have the API's shape.
        """
        beginning = self._beginning
        if not beginning.begun and beginning.is_awaited(event):
            return None
        delta = pb.TranscriptionDelta(id=beginning.id)
        first = not beginning.begun
        if not beginning.id:
            beginning.fill(delta, event, _EVENT_KEYS)
        taken = [self._take(delta, item) for item in event.get("choices") or ()]
        if (usage := event.get("usage")) is not None:
            fill_usage(delta.usage, usage)
            if not any(taken) and self._finish and not self._open:
                generation.fill_finish(delta, self._finish, self._last)
                self._finish = ""
        extra.keep(delta, event, _EVENT_KEYS)
        wanted = delta.text or delta.HasField("usage") or delta.HasField("extra")
        return delta if first or wanted else None

    def end(self) -> pb.TranscriptionDelta | None:
        """Returns the last message of a complete stream whose last event was not the usage."""
        if not self._finish:
            return None
        delta = pb.TranscriptionDelta(id=self._beginning.id)
        generation.fill_finish(delta, self._finish, self._last)
        return delta

    def _take(self, delta: pb.TranscriptionDelta, item: Mapping[str, Any]) -> bool:
        """Adds a choice to the delta; returns whether the choice has content or an end."""
        generated = item.get("delta") or {}
        reason = item.get("finish_reason")
        if not reason and not generation.has_content(item):
            return False
        delta.text += message.text_of(generated.get("content") or "")
        self._open = not reason
        if reason and self._finish in ("", "stop"):
            self._finish, self._last = reason, item
        extra.keep(delta, item, _CHOICE_KEYS)
        extra.keep(delta, generated, _DELTA_KEYS)
        return True


def _set_language(target: pb.Transcription, name: Any) -> None:
    target.language_code = extra.text(name)


def _fill_segment(target: pb.Transcription.Segment, data: Mapping[str, Any], place: int) -> None:
    # vLLM restarts the count in each part of a long audio.
    name = data.get("id")
    target.id = name if isinstance(name, str) else str(place)
    _fill_duration(target.start_offset, data["start"])
    _fill_duration(target.end_offset, data["end"])
    target.text = data["text"]
    generation.extend(target.token_ids, data.get("tokens") or ())
    for key, read in _OPTIONAL.items():
        extra.fill(target, key, data, read)
    if "avg_logprob" in data and data["avg_logprob"] is None:
        # vLLM writes null for non-finite numbers.
        target.avg_logprob = nan
    target.speaker = extra.text(data.get("speaker") or "")
    extra.keep(target, data, _SEGMENT_KEYS)


def _fill_word(target: pb.Transcription.Word, data: Mapping[str, Any]) -> None:
    target.word = data["word"]
    _fill_duration(target.start_offset, data["start"])
    _fill_duration(target.end_offset, data["end"])
    extra.keep(target, data, _WORD_KEYS)


def _fill_usage(target: pb.Transcription, usage: Mapping[str, Any]) -> None:
    if usage.get("seconds") is None:
        tokens = {_TOKEN_NAMES.get(key, key): usage[key] for key in usage if key != "type"}
        fill_usage(target.usage, tokens)
    else:
        extra.fill_with(
            target.usage, "seconds", usage, partial(_fill_duration, target.billed_duration)
        )
        extra.keep(target.usage, usage, frozenset({"type", "seconds"}))


def _fill_duration(target: Duration, seconds: Any) -> None:
    # Some versions of vLLM write the duration as a string.
    nanoseconds = round(number(seconds) * 1e9)
    if nanoseconds < 0:
        raise MalformedAnswer("it has a negative time")
    target.FromNanoseconds(nanoseconds)
