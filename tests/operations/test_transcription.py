"""TranscriptionService: requests and answers."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
from conftest import Serve
from documents import document
from google.protobuf import text_format
from google.protobuf.duration_pb2 import Duration
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock.v1 import common_pb2
from penstock.v1 import transcription_pb2 as pb
from penstock_server import routes
from penstock_server.convert import transcription
from penstock_server.convert.errors import InvalidRequest
from penstock_server.convert.fields import HOMES
from penstock_server.simulator import Simulator
from penstock_server.simulator.http.form import read_form

from .transcriptions import (
    INVALID,
    SECOND,
    SENTENCE,
    TRANSLATION,
    WHISPER,
    asking,
    connected,
    connected_to,
    failed,
    failed_while_sending,
    posted,
    stub,
    upload,
    wav,
)

LONG = wav(45)
SERVICE = "penstock.v1.TranscriptionService"


@pytest.fixture
async def whisper() -> AsyncIterator[Simulator]:
    async with Simulator(WHISPER) as running:
        yield running


@pytest.fixture
async def target(whisper: Simulator, serve: Serve) -> str:
    running = await serve(upstream=(whisper.url,), probe_interval=60.0)
    return f"127.0.0.1:{running.port}"


@pytest.fixture
async def channel(target: str) -> AsyncIterator[aio.Channel]:
    async with connected_to(target) as opened:
        yield opened


def config(text: str = "") -> pb.TranscriptionConfig:
    return text_format.Parse(text, pb.TranscriptionConfig())


async def transcribe(channel: aio.Channel, text: str = "", audio: bytes = SECOND) -> Any:
    request = pb.TranscribeRequest(config=config(text), audio=audio)
    return (await stub(channel).Transcribe(request)).transcription


async def deltas(call: Any) -> list[Any]:
    return [message.delta async for message in call]


# The four RPCs


async def test_unary(channel: aio.Channel) -> None:
    answer = await transcribe(channel)
    assert answer == pb.Transcription(text=SENTENCE, billed_duration=Duration(seconds=1))


async def test_all_four_rpcs_return_the_same_text(channel: aio.Channel) -> None:
    request = asking(LONG)
    whole = (await stub(channel).Transcribe(request)).transcription
    uploaded = (await stub(channel).UploadTranscribe(upload(request))).transcription
    streamed = await deltas(stub(channel).StreamTranscribe(request))
    both = await deltas(stub(channel).UploadStreamTranscribe(upload(request)))
    assert whole == uploaded
    for received in (streamed, both):
        assert "".join(delta.text for delta in received) == whole.text


@pytest.mark.parametrize("task", ["", "task: TRANSCRIPTION_TASK_TRANSCRIBE"])
async def test_transcription_is_the_default(
    task: str, channel: aio.Channel, whisper: Simulator
) -> None:
    await transcribe(channel, task)
    assert posted(whisper).path == "/v1/audio/transcriptions"


async def test_translation(channel: aio.Channel, whisper: Simulator) -> None:
    answer = await transcribe(channel, "task: TRANSCRIPTION_TASK_TRANSLATE")
    assert answer == pb.Transcription(text=TRANSLATION)
    assert posted(whisper).path == "/v1/audio/translations"


# Requests upstream

FORMS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "nothing": ("", []),
    "texts": (
        'model: "tiny-whisper" language_code: "de" target_language_code: "fr" prompt: "p\\nq"'
        ' hotwords: "Grüße"',
        [
            ("language", "de"),
            ("to_language", "fr"),
            ("prompt", "p\nq"),
            ("hotwords", "Grüße"),
        ],
    ),
    "zeros": (
        "sampling { temperature: 0 top_k: 0 seed: 0 frequency_penalty: 0 use_beam_search: false }",
        [
            ("temperature", "0.0"),
            ("top_k", "0"),
            ("frequency_penalty", "0.0"),
            ("seed", "0"),
            ("use_beam_search", "false"),
        ],
    ),
    "sampling": (
        "sampling { temperature: 0.25 top_p: 0.5 top_k: -1 min_p: 0.1 frequency_penalty: -1"
        " presence_penalty: 1 repetition_penalty: 1.5 length_penalty: 2 seed: -9223372036854775808"
        " max_tokens: 50 n: 2 use_beam_search: true include_stop_str_in_output: true"
        " watermarking: false }",
        [
            ("temperature", "0.25"),
            ("top_p", "0.5"),
            ("top_k", "-1"),
            ("min_p", "0.1"),
            ("frequency_penalty", "-1.0"),
            ("presence_penalty", "1.0"),
            ("repetition_penalty", "1.5"),
            ("length_penalty", "2.0"),
            ("seed", "-9223372036854775808"),
            ("n", "2"),
            ("use_beam_search", "true"),
            ("include_stop_str_in_output", "true"),
            ("watermarking", "false"),
            ("max_completion_tokens", "50"),
        ],
    ),
    "text": ("detail: TRANSCRIPT_DETAIL_TEXT", [("response_format", "json")]),
    "segments": (
        "detail: TRANSCRIPT_DETAIL_SEGMENTS timestamp_granularities: TIMESTAMP_GRANULARITY_WORD"
        " timestamp_granularities: TIMESTAMP_GRANULARITY_SEGMENT",
        [
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
        ],
    ),
    "subtitles": ("subtitles: SUBTITLE_FORMAT_SRT", [("response_format", "verbose_json")]),
    "engine": (
        'engine { request_id: "r" session_id: "s" data_parallel_rank: 0 vllm_xargs {'
        ' object { fields { key: "a" value { number_value: 1 } } } } }',
        [("vllm_xargs", '{"a":1}')],
    ),
    "stream options": ("stream_options { continuous_usage_stats: true stream_interval: 2 }", []),
    "extra": (
        "extra_body { object {"
        ' fields { key: "list" value { list_value { values { number_value: 1 } } } }'
        ' fields { key: "note\\"\\r\\n" value { string_value: "as is" } } } }',
        [("list", "[1]"), ("note%22%0D%0A", "as is")],
    ),
}


@pytest.mark.parametrize(("text", "fields"), FORMS.values(), ids=FORMS)
async def test_form(
    text: str, fields: list[tuple[str, str]], channel: aio.Channel, whisper: Simulator
) -> None:
    await transcribe(channel, text)
    form = read_form(posted(whisper))
    assert sorted(_but_the_model(form.fields)) == sorted(fields)
    assert form.files == {"file": SECOND}
    last = posted(whisper).body.rpartition(b"; name=")[2]
    assert last.startswith(b'"file"')


async def test_headers(channel: aio.Channel, whisper: Simulator) -> None:
    await transcribe(channel, 'engine { request_id: "r" session_id: "s" data_parallel_rank: 0 }')
    headers = posted(whisper).headers
    assert headers["x-request-id"].startswith("r-")
    assert headers["x-session-id"] == "s"
    assert headers["x-data-parallel-rank"] == "0"
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers


STREAM_FORMS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "default": ("", []),
    "continuous": (
        "stream_options { continuous_usage_stats: true }",
        [("stream_continuous_usage_stats", "true")],
    ),
    "not continuous": (
        "stream_options { continuous_usage_stats: false }",
        [("stream_continuous_usage_stats", "false")],
    ),
}


@pytest.mark.parametrize(("text", "fields"), STREAM_FORMS.values(), ids=STREAM_FORMS)
async def test_form_of_a_stream(
    text: str, fields: list[tuple[str, str]], channel: aio.Channel, whisper: Simulator
) -> None:
    await deltas(stub(channel).StreamTranscribe(asking()))
    request = pb.TranscribeRequest(config=config(text), audio=SECOND)
    await deltas(stub(channel).StreamTranscribe(request))
    form = read_form(posted(whisper))
    sent = _but_the_model(form.fields)
    assert sent == [("stream", "true"), ("stream_include_usage", "true"), *fields]


def _but_the_model(fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the fields of a request except its model, which depends on whether it is known."""
    return [field for field in fields if field[0] != "model"]


FILES = {
    "nothing known": ("", "audio", "application/octet-stream"),
    "mime type": ('mime_type: "audio/x-wav"', "audio.wav", "audio/x-wav"),
    "mime type with parameters": (
        'mime_type: "audio/ogg; codecs=opus"',
        "audio.ogg",
        "audio/ogg; codecs=opus",
    ),
    "mime type unknown": ('mime_type: "audio/new"', "audio", "audio/new"),
    "both": ('mime_type: "audio/mpeg" filename: "talk.bin"', "talk.bin", "audio/mpeg"),
    "quotes": ('filename: "a\\"b; x=\\"y"', "a%22b; x=%22y", "application/octet-stream"),
    "not ASCII": ('filename: "Gespräch 日本.wav"', "Gespräch 日本.wav", "application/octet-stream"),
}


@pytest.mark.parametrize(("text", "name", "kind"), FILES.values(), ids=FILES)
async def test_file(
    text: str, name: str, kind: str, channel: aio.Channel, whisper: Simulator
) -> None:
    await transcribe(channel, text)
    head = f'form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\nRIFF'
    assert head.encode() in posted(whisper).body


@pytest.mark.parametrize(
    "field", list(common_pb2.SamplingParams.DESCRIPTOR.fields), ids=lambda f: f.name
)
def test_a_sampling_field_has_a_home_or_is_refused(field: Any) -> None:
    path = f"config.sampling.{field.name}"
    asked = pb.TranscriptionConfig(
        sampling=text_format.Parse(_some(field), common_pb2.SamplingParams())
    )
    if path in HOMES[routes.TRANSLATIONS].values():
        assert len(transcription.form_fields(asked, stream=False)) == 1
    else:
        with pytest.raises(InvalidRequest) as caught:
            transcription.form_fields(asked, stream=False)
        assert [violation.field for violation in caught.value.violations] == [path]


def _some(field: Any) -> str:
    if field.message_type:
        # A map needs an entry.
        return (
            f"{field.name} {{ key: 1 value: 1 }}"
            if field.name == "logit_bias"
            else (f"{field.name} {{}}")
        )
    value = '"x"' if field.cpp_type == field.CPPTYPE_STRING else "1"
    return f"{field.name}: {value}"


# Requests that the service refuses

REFUSED: dict[str, tuple[str, list[str]]] = {
    "task": ("task: 9", ["config.task"]),
    "detail": ("detail: 9", ["config.detail"]),
    "granularity": (
        "detail: TRANSCRIPT_DETAIL_SEGMENTS timestamp_granularities: [2, 0, 9]",
        ["config.timestamp_granularities[1]", "config.timestamp_granularities[2]"],
    ),
    "granularity without segments": (
        "timestamp_granularities: TIMESTAMP_GRANULARITY_WORD",
        ["config.timestamp_granularities"],
    ),
    "granularity with text": (
        "detail: TRANSCRIPT_DETAIL_TEXT timestamp_granularities: TIMESTAMP_GRANULARITY_WORD",
        ["config.timestamp_granularities"],
    ),
    "granularity with subtitles alone": (
        "subtitles: SUBTITLE_FORMAT_SRT timestamp_granularities: TIMESTAMP_GRANULARITY_WORD",
        ["config.timestamp_granularities"],
    ),
    "granularity of a translation": (
        "task: TRANSCRIPTION_TASK_TRANSLATE detail: TRANSCRIPT_DETAIL_SEGMENTS"
        " timestamp_granularities: TIMESTAMP_GRANULARITY_WORD",
        ["config.timestamp_granularities"],
    ),
    "speakers of a translation": (
        "task: TRANSCRIPTION_TASK_TRANSLATE detail: TRANSCRIPT_DETAIL_DIARIZED",
        ["config.detail"],
    ),
    "subtitles": ("subtitles: [1, 0, 9]", ["config.subtitles[1]", "config.subtitles[2]"]),
    "subtitles twice": ("subtitles: [1, 2, 1]", ["config.subtitles[2]"]),
    "subtitles with text": (
        "detail: TRANSCRIPT_DETAIL_TEXT subtitles: SUBTITLE_FORMAT_SRT",
        ["config.subtitles"],
    ),
    "mime type": ('mime_type: "wav"', ["config.mime_type"]),
    "mime type with a line": ('mime_type: "audio/wav\\r\\nX: y"', ["config.mime_type"]),
    "file name with a line": ('filename: "a\\nb"', ["config.filename"]),
    "sampling": (
        'sampling { stop: "x" min_tokens: 1 logit_bias { key: 1 value: 1 } }',
        ["config.sampling.logit_bias", "config.sampling.min_tokens", "config.sampling.stop"],
    ),
    "sampling not finite": ("sampling { top_p: nan }", ["config.sampling.top_p"]),
    "engine": (
        'engine { priority: 0 cache_salt: "x" return_token_ids: false }',
        [
            "config.engine.cache_salt",
            "config.engine.priority",
            "config.engine.return_token_ids",
        ],
    ),
    "session": ('engine { session_id: "a\\nb" }', ["config.engine.session_id"]),
}


@pytest.mark.parametrize(("text", "fields"), REFUSED.values(), ids=REFUSED)
async def test_refused(
    text: str, fields: list[str], channel: aio.Channel, target: str, whisper: Simulator
) -> None:
    request = pb.TranscribeRequest(config=config(text), audio=SECOND)
    one = await failed(stub(channel).Transcribe(request))
    other = await failed_while_sending(target, "UploadTranscribe", upload(request))
    for end in (one, other):
        assert (end.code, end.reason, end.fields) == (INVALID, "INVALID_REQUEST", fields)
    assert not any(one.method == "POST" for one in whisper.requests)


@pytest.mark.parametrize("method", ["Transcribe", "StreamTranscribe"])
async def test_empty_audio(method: str, channel: aio.Channel) -> None:
    end = await failed(getattr(stub(channel), method)(asking(b"")))
    assert (end.code, end.reason, end.fields) == (INVALID, "INVALID_REQUEST", ["audio"])


NOT_STREAMED = {
    "segments": ("detail: TRANSCRIPT_DETAIL_SEGMENTS", ["config.detail"]),
    "speakers": ("detail: TRANSCRIPT_DETAIL_DIARIZED", ["config.detail"]),
    "subtitles": ("subtitles: SUBTITLE_FORMAT_VTT", ["config.subtitles"]),
    "beams": ("sampling { use_beam_search: true }", ["config.sampling.use_beam_search"]),
    "interval": (
        "stream_options { stream_interval: 1 }",
        ["config.stream_options.stream_interval"],
    ),
}


@pytest.mark.parametrize(("text", "fields"), NOT_STREAMED.values(), ids=NOT_STREAMED)
async def test_not_streamed(
    text: str, fields: list[str], channel: aio.Channel, target: str
) -> None:
    request = pb.TranscribeRequest(config=config(text), audio=SECOND)
    one = await failed(stub(channel).StreamTranscribe(request))
    other = await failed_while_sending(target, "UploadStreamTranscribe", upload(request))
    for end in (one, other):
        assert (end.code, end.reason, end.fields) == (INVALID, "INVALID_REQUEST", fields)


@pytest.mark.parametrize(
    ("key", "home"),
    [
        ("language", "config.language_code"),
        ("timestamp_granularities[]", "config.timestamp_granularities"),
        ("max_completion_tokens", "config.sampling.max_tokens"),
        ("stream", "the RPC sets it"),
        ("file", "audio"),
    ],
)
async def test_extra_body_of_a_typed_field(key: str, home: str, channel: aio.Channel) -> None:
    request = asking()
    request.config.extra_body.CopyFrom(document({key: "x"}))
    end = await failed(stub(channel).Transcribe(request))
    assert (end.reason, end.fields) == ("CONFLICTING_FIELDS", [f"config.extra_body.{key}"])
    assert home in end.message


async def test_a_long_list_of_faults(channel: aio.Channel) -> None:
    request = asking(subtitles=[pb.SUBTITLE_FORMAT_SRT] * 20_000)
    end = await failed(stub(channel).Transcribe(request))
    assert end.fields == [f"config.subtitles[{number}]" for number in range(1, 33)]


async def test_metadata_that_contradicts_the_config(channel: aio.Channel) -> None:
    metadata = (("x-llm-model", "another"),)
    request = asking(model="tiny-whisper")
    end = await failed(stub(channel).Transcribe(request, metadata=metadata))
    assert (end.reason, end.fields) == ("CONFLICTING_FIELDS", ["config.model"])


# Requests that the upstream refuses

UPSTREAM_REFUSES = {
    "language": ('language_code: "xx"', SECOND, INVALID, "UPSTREAM_REJECTED", []),
    "temperature": (
        "sampling { temperature: 9 }",
        SECOND,
        INVALID,
        "UPSTREAM_REJECTED",
        ["config.sampling.temperature"],
    ),
    "not audio": ("", b"no audio at all", INVALID, "UPSTREAM_REJECTED", []),
    "prompt": (
        f'prompt: "{"too long " * 448}"',
        SECOND,
        INVALID,
        "CONTEXT_LENGTH_EXCEEDED",
        ["config.prompt"],
    ),
    "model": ('model: "nope"', SECOND, grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", []),
}


@pytest.mark.parametrize(
    ("text", "audio", "code", "reason", "fields"), UPSTREAM_REFUSES.values(), ids=UPSTREAM_REFUSES
)
@pytest.mark.parametrize("task", ["", "task: TRANSCRIPTION_TASK_TRANSLATE "])
async def test_upstream_refuses(
    task: str,
    text: str,
    audio: bytes,
    code: grpc.StatusCode,
    reason: str,
    fields: list[str],
    channel: aio.Channel,
) -> None:
    request = pb.TranscribeRequest(config=config(task + text), audio=audio)
    end = await failed(stub(channel).UploadTranscribe(upload(request)))
    assert (end.code, end.reason, end.fields) == (code, reason, fields), end.message


async def test_a_model_that_does_not_distinguish_speakers(channel: aio.Channel) -> None:
    end = await failed(stub(channel).Transcribe(asking(detail=pb.TRANSCRIPT_DETAIL_DIARIZED)))
    assert (end.code, end.reason) == (INVALID, "UPSTREAM_REJECTED")
    assert "diarized_json" in end.message


async def test_a_model_that_does_not_transcribe(
    channel: aio.Channel, service: Any, simulator: Simulator
) -> None:
    async with connected(service) as chat:
        for call in (
            stub(chat).Transcribe(asking()),
            stub(chat).StreamTranscribe(asking()),
            stub(chat).UploadTranscribe(upload(asking())),
        ):
            end = await failed(call)
            assert end.code is grpc.StatusCode.UNIMPLEMENTED
            assert end.reason == "OPERATION_NOT_SUPPORTED"


async def test_key_is_sent_with_uploads(serve: Serve) -> None:
    settings = WHISPER.__class__(
        listen="127.0.0.1:0", kind="whisper", models=("tiny-whisper",), api_key="sk-1"
    )
    async with Simulator(settings) as guarded:
        keyed = await serve(upstream=(guarded.url,), upstream_api_key="sk-1")
        bare = await serve(upstream=(guarded.url,))
        async with connected(keyed) as one, connected(bare) as other:
            assert (await stub(one).UploadTranscribe(upload(asking()))).transcription.text
            end = await failed(stub(other).UploadTranscribe(upload(asking())))
    assert (end.code, end.reason) == (grpc.StatusCode.INTERNAL, "UPSTREAM_AUTH_FAILED")


async def test_health(whisper: Simulator, simulator: Simulator, serve: Serve) -> None:
    for url, expected in ((whisper.url, True), (simulator.url, False)):
        running = await serve(upstream=(url,))
        async with connected(running) as opened:
            assert await _serves_once_known(health_pb2_grpc.HealthStub(opened)) is expected


async def _serves_once_known(health: Any) -> bool:
    """Returns whether health reports that the service serves, after its first probe."""
    serving = health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest())
    async for answer in watch:
        if answer.status == serving:
            break
    watch.cancel()
    answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    return bool(answer.status == serving)


async def test_log_names_the_model(channel: aio.Channel, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("penstock").propagate = True
    with caplog.at_level(logging.INFO, "penstock.rpc"):
        request = asking(model="tiny-whisper")
        await stub(channel).UploadTranscribe(upload(request))
        await stub(channel).Transcribe(request)
        await deltas(stub(channel).UploadStreamTranscribe(upload(request)))
    lines = [record.fields for record in caplog.records if record.msg == "rpc"]  # type: ignore[attr-defined]
    assert [line["model"] for line in lines] == ["tiny-whisper"] * 3
    assert [line["messages"] > 0 for line in lines] == [False, False, True]


# Segments and subtitles


async def test_segments(channel: aio.Channel) -> None:
    answer = await transcribe(channel, "detail: TRANSCRIPT_DETAIL_SEGMENTS", LONG)
    assert answer.language_code == "en"
    assert answer.duration == Duration(seconds=45)
    assert not answer.HasField("billed_duration")
    assert [segment.id for segment in answer.segments] == ["0", "1", "2", "3"]
    last = answer.segments[3]
    assert last.start_offset == Duration(seconds=29, nanos=500_000_000)
    assert last.end_offset == Duration(seconds=30)
    assert (last.text, last.seek) == (" test. The quick brown fox — café.", 29)
    assert len(last.token_ids) > 5
    assert last.temperature == 0
    assert last.HasField("temperature")
    assert last.avg_logprob < 0 < last.compression_ratio
    assert not last.HasField("no_speech_prob")
    assert (answer.srt, answer.vtt) == ("", "")


async def test_subtitles(channel: aio.Channel) -> None:
    answer = await transcribe(channel, "subtitles: [SUBTITLE_FORMAT_SRT, SUBTITLE_FORMAT_VTT]")
    assert answer.srt == (
        "1\n00:00:00,000 --> 00:00:00,500\nHello world, this is a\n\n"
        "2\n00:00:00,500 --> 00:00:01,000\ntest. The quick brown fox — café.\n"
    )
    assert answer.vtt == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHello world, this is a\n\n"
        "00:00:00.500 --> 00:00:01.000\ntest. The quick brown fox — café.\n"
    )
    assert len(answer.segments) == 2


async def test_one_kind_of_subtitles(channel: aio.Channel) -> None:
    answer = await transcribe(
        channel, "task: TRANSCRIPTION_TASK_TRANSLATE subtitles: SUBTITLE_FORMAT_VTT"
    )
    assert answer.vtt.endswith("\nEnglish translation.\n")
    assert answer.srt == ""


# Streams


def check_contract(received: list[Any], model: str = "tiny-whisper") -> None:
    first, *others = received
    assert {delta.id for delta in received} == {first.id}
    assert first.id
    assert first.model == model
    assert first.create_time.seconds > 1_600_000_000
    assert not any(delta.model or delta.HasField("create_time") for delta in others)
    assert [bool(delta.finish_reason) for delta in received] == [False] * len(others) + [True]
    assert received[-1].usage.total_tokens > 0


@pytest.mark.parametrize("audio", [SECOND, LONG], ids=["one part", "two parts"])
@pytest.mark.parametrize("task", [1, 2], ids=["transcribe", "translate"])
async def test_stream(task: Any, audio: bytes, channel: aio.Channel) -> None:
    received = await deltas(stub(channel).StreamTranscribe(asking(audio, task=task)))
    check_contract(received)
    assert received[-1].finish_reason == common_pb2.FINISH_REASON_STOP
    assert not any(delta.HasField("usage") for delta in received[:-1])
    assert all(delta.text for delta in received[:-1])


async def test_continuous_usage(channel: aio.Channel) -> None:
    options = common_pb2.StreamOptions(continuous_usage_stats=True)
    received = await deltas(stub(channel).StreamTranscribe(asking(LONG, stream_options=options)))
    check_contract(received)
    counts = [delta.usage.completion_tokens for delta in received]
    assert all(counts)
    assert counts == sorted(counts)


async def test_a_truncated_part_is_reported(channel: aio.Channel) -> None:
    sampling = common_pb2.SamplingParams(max_tokens=1)
    received = await deltas(stub(channel).StreamTranscribe(asking(LONG, sampling=sampling)))
    check_contract(received)
    assert received[-1].finish_reason == common_pb2.FINISH_REASON_LENGTH
