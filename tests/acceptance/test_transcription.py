"""TranscriptionService."""

from typing import Any

import grpc
import pytest
from operations.transcriptions import SECOND, SENTENCE, TRANSLATION, asking, upload, wav

from penstock.v1 import common_pb2
from penstock.v1 import transcription_pb2 as pb
from penstock.v1.common_pb2 import EngineOptions, SamplingParams, StreamOptions
from penstock.v1.message_pb2 import ROLE_USER
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub

from .chats import asking as asking_chat
from .chats import said
from .conftest import Target
from .refusals import read, refused

pytestmark = pytest.mark.upstream("whisper")

LONG = wav(45)
INVALID = grpc.StatusCode.INVALID_ARGUMENT
TASKS = {
    "transcribe": (pb.TRANSCRIPTION_TASK_TRANSCRIBE, SENTENCE),
    "translate": (pb.TRANSCRIPTION_TASK_TRANSLATE, TRANSLATION),
}


@pytest.fixture
def stub(target: Target) -> Any:
    return TranscriptionServiceStub(target.channel)


async def whole(stub: Any, request: pb.TranscribeRequest) -> pb.Transcription:
    """Returns the answer, which must be the same for audio in one message and by upload."""
    given = (await stub.Transcribe(request)).transcription
    uploaded = (await stub.UploadTranscribe(upload(request))).transcription
    assert _without_logprobs(given) == _without_logprobs(uploaded)
    answer: pb.Transcription = uploaded
    return answer


def _without_logprobs(answer: pb.Transcription) -> pb.Transcription:
    """Returns the answer without log probabilities, whose last digits vary from run to run."""
    copy = pb.Transcription()
    copy.CopyFrom(answer)
    for segment in copy.segments:
        segment.ClearField("avg_logprob")
    return copy


async def streamed(stub: Any, request: pb.TranscribeRequest) -> list[pb.TranscriptionDelta]:
    """Returns the messages of a stream for an upload, which must keep the contract."""
    call = stub.UploadStreamTranscribe(upload(request))
    deltas = [message.delta async for message in call]
    first, *others = deltas
    assert first.model == "tiny-whisper"
    assert first.create_time.seconds > 1_600_000_000
    assert not any(delta.model or delta.HasField("create_time") for delta in others)
    assert {delta.id for delta in deltas} == {first.id}
    assert [bool(delta.finish_reason) for delta in deltas] == [False] * len(others) + [True]
    usage = deltas[-1].usage
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens > 0
    return deltas


@pytest.mark.parametrize(("task", "sentence"), TASKS.values(), ids=TASKS)
async def test_text(task: Any, sentence: str, stub: Any) -> None:
    answer = await whole(stub, asking(task=task, language_code="en"))
    assert answer.text == sentence
    seconds = answer.billed_duration.seconds
    assert seconds == (1 if task == pb.TRANSCRIPTION_TASK_TRANSCRIBE else 0)
    assert not answer.segments
    assert not answer.HasField("extra")


@pytest.mark.parametrize(("task", "sentence"), TASKS.values(), ids=TASKS)
async def test_stream_equals_the_answer(task: Any, sentence: str, stub: Any) -> None:
    deltas = await streamed(stub, asking(task=task))
    assert "".join(delta.text for delta in deltas) == sentence
    assert deltas[-1].finish_reason == common_pb2.FINISH_REASON_STOP
    assert deltas[0].id.startswith("transcribe-" if sentence == SENTENCE else "translate-")


async def test_audio_in_one_message_is_streamed_too(stub: Any) -> None:
    call = stub.StreamTranscribe(asking())
    assert "".join([message.delta.text async for message in call]) == SENTENCE


@pytest.mark.parametrize(("task", "sentence"), TASKS.values(), ids=TASKS)
async def test_long_audio(task: Any, sentence: str, stub: Any) -> None:
    request = asking(LONG, task=task, language_code="en")
    answer = await whole(stub, request)
    assert answer.text == f"{sentence} {sentence}"
    deltas = await streamed(stub, request)
    assert "".join(delta.text for delta in deltas) == answer.text


async def test_continuous_usage(stub: Any) -> None:
    options = StreamOptions(continuous_usage_stats=True)
    deltas = await streamed(stub, asking(LONG, stream_options=options))
    counts = [delta.usage.completion_tokens for delta in deltas]
    assert counts == sorted(counts)
    assert counts[0] > 0


@pytest.mark.parametrize("task", [1, 2], ids=["transcribe", "translate"])
async def test_segments(task: Any, stub: Any) -> None:
    detail = pb.TRANSCRIPT_DETAIL_SEGMENTS
    answer = await whole(stub, asking(LONG, task=task, language_code="en", detail=detail))
    assert answer.language_code == "en"
    assert answer.duration.seconds == 45
    assert [segment.id for segment in answer.segments] == ["0", "1", "2", "3"]
    starts = [segment.start_offset.ToMilliseconds() for segment in answer.segments]
    assert starts[:2] == [0, 500]
    assert starts == sorted(starts)
    for segment in answer.segments:
        length = segment.end_offset.ToMilliseconds() - segment.start_offset.ToMilliseconds()
        assert length == 500
        assert segment.token_ids
        assert segment.avg_logprob < 0 < segment.compression_ratio
        assert segment.temperature == 0
    assert answer.text.split() == "".join(one.text for one in answer.segments).split()


async def test_word_times_are_accepted(stub: Any) -> None:
    request = asking(
        detail=pb.TRANSCRIPT_DETAIL_SEGMENTS,
        timestamp_granularities=[
            pb.TIMESTAMP_GRANULARITY_WORD,
            pb.TIMESTAMP_GRANULARITY_SEGMENT,
        ],
    )
    answer = await whole(stub, request)
    assert answer.segments
    assert not answer.words


async def test_subtitles(stub: Any) -> None:
    both = [pb.SUBTITLE_FORMAT_SRT, pb.SUBTITLE_FORMAT_VTT]
    answer = await whole(stub, asking(subtitles=both))
    assert answer.srt == (
        "1\n00:00:00,000 --> 00:00:00,500\nHello world, this is a\n\n"
        "2\n00:00:00,500 --> 00:00:01,000\ntest. The quick brown fox — café.\n"
    )
    assert answer.vtt.startswith(
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHello world, this is a\n"
    )


async def test_every_option_is_accepted(stub: Any) -> None:
    request = asking(
        model="tiny-whisper",
        language_code="en",
        target_language_code="en",
        prompt="As before.",
        hotwords="fox café",
        filename='the "one".wav',
        mime_type="audio/wav",
        sampling=SamplingParams(
            temperature=0,
            top_p=1,
            top_k=0,
            min_p=0,
            seed=7,
            frequency_penalty=0,
            presence_penalty=0,
            repetition_penalty=1,
            length_penalty=1,
            max_tokens=100,
            n=1,
            use_beam_search=False,
            include_stop_str_in_output=False,
        ),
        engine=EngineOptions(session_id="s"),
    )
    request.config.engine.vllm_xargs.json = '{"note": "x", "numbers": [1, 2]}'
    assert (await whole(stub, request)).text


async def test_request_id(stub: Any) -> None:
    deltas = await streamed(stub, asking(engine=EngineOptions(request_id="mine")))
    assert deltas[0].id.startswith("transcribe-mine-")


async def test_finish_by_length(stub: Any) -> None:
    request = asking(sampling=SamplingParams(max_tokens=2))
    assert SENTENCE.startswith((await whole(stub, request)).text)
    deltas = await streamed(stub, request)
    assert deltas[-1].finish_reason == common_pb2.FINISH_REASON_LENGTH
    assert deltas[-1].usage.completion_tokens == 2


async def test_a_file_of_another_name_and_type(stub: Any) -> None:
    request = asking(filename="Gespräch 日本.mp3", mime_type="audio/mpeg")
    assert (await whole(stub, request)).text == SENTENCE


REFUSED: dict[str, tuple[pb.TranscribeRequest, str, tuple[str, ...], str]] = {
    "language": (asking(language_code="hh"), "UPSTREAM_REJECTED", (), "Unsupported language: 'hh'"),
    "garbage": (asking(b"no audio" * 99), "UPSTREAM_REJECTED", (), "Invalid or corrupted audio"),
    "temperature": (
        asking(sampling=SamplingParams(temperature=9)),
        "UPSTREAM_REJECTED",
        ("config.sampling.temperature",),
        "temperature must be in [0, 2]",
    ),
    "temperature below zero": (
        asking(sampling=SamplingParams(temperature=-1)),
        "UPSTREAM_REJECTED",
        ("config.sampling.temperature",),
        "non-negative",
    ),
    "speakers": (
        asking(detail=pb.TRANSCRIPT_DETAIL_DIARIZED),
        "UPSTREAM_REJECTED",
        (),
        "diarized_json",
    ),
    "prompt": (
        asking(prompt="hello world " * 400),
        "CONTEXT_LENGTH_EXCEEDED",
        ("config.prompt",),
        "maximum context length is 448",
    ),
    "empty": (asking(b""), "INVALID_REQUEST", ("audio",), "empty"),
    "engine": (
        asking(engine=EngineOptions(priority=1)),
        "INVALID_REQUEST",
        ("config.engine.priority",),
        "does not apply",
    ),
}


@pytest.mark.parametrize(("request_", "reason", "fields", "words"), REFUSED.values(), ids=REFUSED)
async def test_refused(
    request_: pb.TranscribeRequest, reason: str, fields: tuple[str, ...], words: str, stub: Any
) -> None:
    refusal = await refused(stub.Transcribe(request_))
    assert (refusal.code, refusal.reason) == (INVALID, reason)
    assert refusal.fields == fields
    assert words in refusal.message


async def test_streams_refuse_the_same(stub: Any) -> None:
    request = asking(language_code="hh")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.StreamTranscribe(request)))
    assert (read(caught.value).code, read(caught.value).reason) == (INVALID, "UPSTREAM_REJECTED")


async def test_unknown_model(stub: Any) -> None:
    for call in (
        stub.Transcribe(asking(model="nope")),
        stub.UploadTranscribe(upload(asking(model="nope"))),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
        assert refusal.resource == "nope"


async def test_largest_file(stub: Any) -> None:
    """The service's limit is vLLM's own: vLLM accepts what the service accepts."""
    limit = 25 * 2**20
    refusal = await refused(stub.UploadTranscribe(upload(asking(bytes(limit + 1)))))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal.reason == "REQUEST_TOO_LARGE"
    assert refusal.metadata["limitBytes"] == str(limit)
    # The error is that it is not audio, not its size.
    refusal = await refused(stub.UploadTranscribe(upload(asking(bytes(limit)))))
    assert "upstreamParam" not in refusal.metadata
    assert (refusal.code, refusal.reason) == (INVALID, "UPSTREAM_REJECTED")


async def test_a_cut_upload_does_not_harm_the_next(stub: Any) -> None:
    for _ in range(5):
        call = stub.UploadTranscribe()
        for message in list(upload(asking(SECOND), 10_000))[:3]:
            await call.write(message)
        call.cancel()
    assert (await whole(stub, asking())).text == SENTENCE


async def test_the_model_does_not_chat(chats: Any) -> None:
    refusal = await refused(chats.whole(asking_chat(said("hi", ROLE_USER))))
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.reason == "OPERATION_NOT_SUPPORTED"


@pytest.mark.upstream("chat")
async def test_a_chat_model_does_not_transcribe(stub: Any) -> None:
    for task in (1, 2):
        refusal = await refused(stub.UploadTranscribe(upload(asking(task=task))))
        assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
        assert refusal.reason == "OPERATION_NOT_SUPPORTED"
