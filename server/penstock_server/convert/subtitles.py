"""Subtitles generated from the segments of a transcription."""

from collections.abc import Iterable, Iterator

from google.protobuf.duration_pb2 import Duration

from penstock.v1.transcription_pb2 import Transcription

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def srt(segments: Iterable[Transcription.Segment]) -> str:
    """Returns the segments as SubRip; segments without text are omitted."""
    cues = (
        f"{number}\n{_span(segment, ',')}\n{_srt_text(segment, text)}\n"
        for number, (segment, text) in enumerate(_spoken(segments), 1)
    )
    return "\n".join(cues)


def vtt(segments: Iterable[Transcription.Segment]) -> str:
    """Returns the segments as WebVTT; segments without text are omitted."""
    cues = (
        f"{_span(segment, '.')}\n{_voice(segment)}{text.translate(_MARKUP)}\n"
        for segment, text in _spoken(segments)
    )
    return "\n".join(("WEBVTT\n", *cues))


def _spoken(
    segments: Iterable[Transcription.Segment],
) -> Iterator[tuple[Transcription.Segment, str]]:
    for segment in segments:
        # On one line, because an empty line would end the cue.
        if text := _in_line(segment.text):
            yield segment, text


def _srt_text(segment: Transcription.Segment, text: str) -> str:
    speaker = _in_line(segment.speaker)
    # SubRip has no escape for the arrow of its timings.
    return (f"{speaker}: {text}" if speaker else text).replace("-->", "->")


def _voice(segment: Transcription.Segment) -> str:
    speaker = _in_line(segment.speaker).translate(_MARKUP)
    return f"<v {speaker}>" if speaker else ""


def _in_line(text: str) -> str:
    return " ".join(text.split())


def _span(segment: Transcription.Segment, point: str) -> str:
    start = _milliseconds(segment.start_offset)
    end = max(start, _milliseconds(segment.end_offset))
    return f"{_time(start, point)} --> {_time(end, point)}"


def _milliseconds(offset: Duration) -> int:
    return offset.seconds * 1000 + round(offset.nanos / 1e6)


def _time(milliseconds: int, point: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"
