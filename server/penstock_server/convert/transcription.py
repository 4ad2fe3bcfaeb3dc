"""Requests for transcriptions: the fields of a form, and the sequence of an upload."""

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import orjson

from penstock.v1 import transcription_pb2 as pb
from penstock.v1.common_pb2 import EngineOptions
from penstock_server import routes
from penstock_server.convert import document, fields, option_messages
from penstock_server.convert.errors import MOST_VIOLATIONS, InvalidRequest, Violation, invalid

_SAMPLING = fields.names_under(routes.TRANSLATIONS, "config.sampling")
_FORMATS = {
    pb.TRANSCRIPT_DETAIL_TEXT: "json",
    pb.TRANSCRIPT_DETAIL_SEGMENTS: "verbose_json",
    pb.TRANSCRIPT_DETAIL_DIARIZED: "diarized_json",
}
_GRANULARITIES = {
    pb.TIMESTAMP_GRANULARITY_SEGMENT: "segment",
    pb.TIMESTAMP_GRANULARITY_WORD: "word",
}
_SUBTITLES = (pb.SUBTITLE_FORMAT_SRT, pb.SUBTITLE_FORMAT_VTT)
_GRANULARITIES_KEY = "timestamp_granularities[]"
_SUFFIXES = {
    "aac": "aac",
    "aiff": "aiff",
    "flac": "flac",
    "m4a": "m4a",
    "mp3": "mp3",
    "mp4": "m4a",
    "mpeg": "mp3",
    "ogg": "ogg",
    "opus": "opus",
    "vnd.wave": "wav",
    "wav": "wav",
    "wave": "wav",
    "webm": "webm",
}
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[ !-~]+)?", re.ASCII)


def translates(config: pb.TranscriptionConfig) -> bool:
    """Returns whether the request is for a translation.

    Raises:
        InvalidRequest: the task is unknown.
    """
    if config.task not in pb.TranscriptionTask.values():
        raise invalid("config.task", "is not a known value")
    return config.task == pb.TRANSCRIPTION_TASK_TRANSLATE


def wants_segments(config: pb.TranscriptionConfig) -> bool:
    """Returns whether the request needs segments from the upstream."""
    return config.detail > pb.TRANSCRIPT_DETAIL_TEXT or bool(config.subtitles)


def form_fields(config: pb.TranscriptionConfig, *, stream: bool) -> list[tuple[str, str]]:
    """Returns the fields of the form except the file.

    Raises:
        InvalidRequest: a field is faulty or contradicts another.
    """
    _check(config)
    body = _texts(config) | _response_format(config) | _engine(config.engine)
    option_messages.refuse_all_but(config.sampling, "config.sampling", *_SAMPLING)
    body |= option_messages.scalars(config.sampling, "config.sampling")
    if "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    if stream:
        body |= _streaming(config)
    if config.HasField("extra_body"):
        route = routes.TRANSLATIONS if translates(config) else routes.TRANSCRIPTIONS
        fields.merge_extra(route, body, config.extra_body, "config.extra_body")
    granularities = [
        (_GRANULARITIES_KEY, _GRANULARITIES[wanted]) for wanted in config.timestamp_granularities
    ]
    return [*((name, _text(value)) for name, value in body.items()), *granularities]


def filename(config: pb.TranscriptionConfig) -> str:
    """Returns the name of the file that is sent upstream.

    Raises:
        InvalidRequest: the name contains control characters.
    """
    if not config.filename:
        suffix = config.mime_type.partition(";")[0].rpartition("/")[2].removeprefix("x-").lower()
        return f"audio.{_SUFFIXES[suffix]}" if suffix in _SUFFIXES else "audio"
    if any(character < " " or character == "\x7f" for character in config.filename):
        raise invalid("config.filename", "must not contain control characters")
    return config.filename


def media_type(config: pb.TranscriptionConfig) -> str:
    """Returns the media type of the file that is sent upstream.

    Raises:
        InvalidRequest: the media type is not valid.
    """
    if not config.mime_type:
        return "application/octet-stream"
    if not _MEDIA_TYPE.fullmatch(config.mime_type):
        raise invalid("config.mime_type", "must be a media type, such as audio/wav")
    return config.mime_type


def whole_audio(request: pb.TranscribeRequest) -> bytes:
    """Returns the audio of a request that contains all of it.

    Raises:
        InvalidRequest: the audio is empty.
    """
    if not request.audio:
        raise invalid("audio", "must not be empty")
    return request.audio


def upload_config(first: pb.UploadTranscribeRequest | None) -> pb.TranscriptionConfig:
    """Returns the configuration of an upload.

    Args:
        first: first message of the upload; None if it has no messages.

    Raises:
        InvalidRequest: the first message is missing or is not the configuration.
    """
    if first is None:
        raise invalid("config", "is missing; the upload has no messages")
    if first.WhichOneof("payload") != "config":
        raise invalid("config", "must be in the first message")
    return first.config


def audio_chunk(message: pb.UploadTranscribeRequest) -> bytes:
    """Returns the audio in a later message of an upload, possibly empty.

    Raises:
        InvalidRequest: the message contains something else.
    """
    payload = message.WhichOneof("payload")
    if payload == "config":
        raise invalid("config", "must be in the first message only")
    if payload is None:
        raise invalid("audio_chunk", "must be in every message after the first")
    return message.audio_chunk


def no_audio() -> InvalidRequest:
    """Returns the error for an upload that ended without audio."""
    return invalid("audio_chunk", "the upload contains no audio")


def _check(config: pb.TranscriptionConfig) -> None:
    faults = chain(_faulty_detail(config), _faulty_lists(config))
    if violations := [*islice(faults, MOST_VIOLATIONS)]:
        raise InvalidRequest(*violations)


def _faulty_detail(config: pb.TranscriptionConfig) -> Iterator[Violation]:
    if config.detail not in pb.TranscriptDetail.values():
        yield Violation("config.detail", "is not a known value")
    if config.detail == pb.TRANSCRIPT_DETAIL_DIARIZED and translates(config):
        yield Violation("config.detail", "must not be DIARIZED for translations")
    if config.subtitles and config.detail == pb.TRANSCRIPT_DETAIL_TEXT:
        yield Violation("config.subtitles", "require segments, which detail TEXT excludes")
    if config.timestamp_granularities:
        if config.detail != pb.TRANSCRIPT_DETAIL_SEGMENTS:
            yield Violation("config.timestamp_granularities", "require TRANSCRIPT_DETAIL_SEGMENTS")
        if translates(config):
            yield Violation("config.timestamp_granularities", "do not apply to translations")


def _faulty_lists(config: pb.TranscriptionConfig) -> Iterator[Violation]:
    for index, granularity in enumerate(config.timestamp_granularities):
        if granularity not in _GRANULARITIES:
            yield Violation(f"config.timestamp_granularities[{index}]", "is not a known value")
    given: set[pb.SubtitleFormat.ValueType] = set()
    for index, subtitles in enumerate(config.subtitles):
        if subtitles not in _SUBTITLES:
            yield Violation(f"config.subtitles[{index}]", "is not a known value")
        elif subtitles in given:
            yield Violation(f"config.subtitles[{index}]", "must not be repeated")
        given.add(subtitles)


def _texts(config: pb.TranscriptionConfig) -> dict[str, Any]:
    texts = {
        "model": config.model,
        "language": config.language_code,
        "to_language": config.target_language_code,
        "prompt": config.prompt,
        "hotwords": config.hotwords,
    }
    return {name: text for name, text in texts.items() if text}


def _response_format(config: pb.TranscriptionConfig) -> dict[str, Any]:
    if config.detail:
        return {"response_format": _FORMATS[config.detail]}
    return {"response_format": "verbose_json"} if config.subtitles else {}


def _engine(engine: EngineOptions) -> dict[str, Any]:
    option_messages.refuse_all_but(
        engine, "config.engine", "vllm_xargs", "request_id", "session_id", "data_parallel_rank"
    )
    if not engine.HasField("vllm_xargs"):
        return {}
    return {"vllm_xargs": document.from_object(engine.vllm_xargs, "config.engine.vllm_xargs")}


def _streaming(config: pb.TranscriptionConfig) -> dict[str, Any]:
    impossible = {
        "detail": config.detail > pb.TRANSCRIPT_DETAIL_TEXT,
        "subtitles": bool(config.subtitles),
        "sampling.use_beam_search": config.sampling.use_beam_search,
    }
    if violations := [
        Violation(f"config.{name}", "cannot be streamed")
        for name, set_ in impossible.items()
        if set_
    ]:
        raise InvalidRequest(*violations)
    option_messages.refuse(config.stream_options, "config.stream_options", "stream_interval")
    body = {"stream": True, "stream_include_usage": True}
    if config.stream_options.HasField("continuous_usage_stats"):
        wanted = config.stream_options.continuous_usage_stats
        body["stream_continuous_usage_stats"] = wanted
    return body


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
