"""Answers that the simulator does not send: forms of other upstreams, and invalid answers."""

import asyncio
import json
import math
from typing import Any

import grpc
import pytest
from documents import value_of
from google.protobuf.duration_pb2 import Duration

from penstock.v1 import common_pb2
from penstock.v1 import transcription_pb2 as pb

from .transcriptions import Upstream, answer, asking, events, failed, in_front_of, stub, upload

SEGMENTS = {"detail": pb.TRANSCRIPT_DETAIL_SEGMENTS}
BOTH_SUBTITLES = {"subtitles": [pb.SUBTITLE_FORMAT_SRT, pb.SUBTITLE_FORMAT_VTT]}
INTERNAL = grpc.StatusCode.INTERNAL
MALFORMED = "UPSTREAM_MALFORMED_RESPONSE"


class Canned(Upstream):
    """An upstream that accepts uploads, sends each the same answer and closes."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self._reply = reply

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.take_all(reader)
        writer.write(self._reply)
        await writer.drain()
        writer.write_eof()


def whole(data: Any) -> Canned:
    return Canned(answer("200 OK", json.dumps(data).encode()))


async def transcribed(data: Any, **config: Any) -> Any:
    async with in_front_of(whole(data)) as channel:
        return (await stub(channel).Transcribe(asking(**config))).transcription


def segment(**changes: Any) -> dict[str, Any]:
    return {"id": 0, "start": 0.0, "end": 1.0, "text": "a", **changes}


# Unary answers


async def test_diarized() -> None:
    said = [
        {"type": "transcript.text.segment", "id": "seg_0", "speaker": "A", **_times(0, 1.25)},
        {"type": "transcript.text.segment", "id": "seg_1", "speaker": "<B> & C", **_times(1.25, 2)},
    ]
    data = {"task": "transcribe", "duration": 2.0, "text": "x", "segments": said}
    answer = await transcribed(data, detail=pb.TRANSCRIPT_DETAIL_DIARIZED, **BOTH_SUBTITLES)
    assert [(one.id, one.speaker) for one in answer.segments] == [
        ("seg_0", "A"),
        ("seg_1", "<B> & C"),
    ]
    assert answer.duration == Duration(seconds=2)
    assert not answer.HasField("extra")
    assert not any(one.HasField("extra") for one in answer.segments)
    assert "00:00:00,000 --> 00:00:01,250\nA: said\n" in answer.srt
    assert "\n<B> & C: said\n" in answer.srt
    assert "\n<v A>said\n" in answer.vtt
    assert "\n<v &lt;B&gt; &amp; C>said\n" in answer.vtt


def _times(start: float, end: float) -> dict[str, Any]:
    return {"start": start, "end": end, "text": " said"}


async def test_words() -> None:
    words = [{"word": "Heard", "start": 0.1, "end": 0.45, "probability": 0.5}]
    answer = await transcribed({"text": "", "segments": [], "words": words}, **SEGMENTS)
    [word] = answer.words
    assert word.word == "Heard"
    assert word.start_offset.ToMilliseconds() == 100
    assert word.end_offset.ToMilliseconds() == 450
    assert value_of(word.extra)["probability"] == 0.5


async def test_usage_in_tokens() -> None:
    usage = {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 45,
        "total_tokens": 59,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    }
    answer = await transcribed({"text": "x", "usage": usage})
    assert not answer.HasField("billed_duration")
    counts = answer.usage
    assert (counts.prompt_tokens, counts.completion_tokens, counts.total_tokens) == (14, 45, 59)
    assert value_of(counts.extra)["input_token_details"]["audio_tokens"] == 14


async def test_unknown_keys_are_kept() -> None:
    data = {
        "text": "x",
        "new": {"a": [1]},
        "gone": None,
        "segments": [segment(mood="calm")],
        "usage": {"type": "duration", "seconds": 2, "channels": 2},
    }
    answer = await transcribed(data, **SEGMENTS)
    assert value_of(answer.extra) == {"new": {"a": [1]}}
    assert value_of(answer.segments[0].extra) == {"mood": "calm"}
    assert value_of(answer.usage.extra) == {"channels": 2}
    assert answer.billed_duration == Duration(seconds=2)


async def test_duration_in_a_string() -> None:
    answer = await transcribed({"text": "", "duration": "1.5", "segments": []}, **SEGMENTS)
    assert answer.duration.ToMilliseconds() == 1500


async def test_values_in_unusual_forms() -> None:
    said = segment(start="0", avg_logprob=None, seek="3", temperature="hot", tokens=[1.0, "2"])
    data = {"text": "x", "duration": "long", "language": ["en"], "segments": [said]}
    answer = await transcribed(data, **SEGMENTS)
    [made] = answer.segments
    assert math.isnan(made.avg_logprob)
    assert (made.seek, list(made.token_ids)) == (3, [1, 2])
    assert value_of(made.extra) == {"temperature": "hot"}
    assert value_of(answer.extra) == {"duration": "long", "language": ["en"]}


async def test_subtitles_of_odd_segments() -> None:
    said = [
        segment(text="  "),
        segment(start=3599.9996, end=3600.5, text=" two\n\nlines --> <b>&amp;"),
        segment(start=5.0, end=4.0, text="back in time"),
    ]
    answer = await transcribed({"text": "x", "segments": said}, **BOTH_SUBTITLES)
    assert answer.srt == (
        "1\n01:00:00,000 --> 01:00:00,500\ntwo lines -> <b>&amp;\n\n"
        "2\n00:00:05,000 --> 00:00:05,000\nback in time\n"
    )
    assert answer.vtt == (
        "WEBVTT\n\n01:00:00.000 --> 01:00:00.500\ntwo lines --&gt; &lt;b&gt;&amp;amp;\n\n"
        "00:00:05.000 --> 00:00:05.000\nback in time\n"
    )


async def test_subtitles_of_silence() -> None:
    answer = await transcribed({"text": "", "segments": []}, **BOTH_SUBTITLES)
    assert (answer.srt, answer.vtt) == ("", "WEBVTT\n")


BROKEN: dict[str, tuple[Any, dict[str, Any]]] = {
    "not an object": (["text"], {}),
    "no text": ({}, {}),
    "text null": ({"text": None}, {}),
    "text a number": ({"text": 1}, {}),
    "usage a number": ({"text": "x", "usage": 3}, {}),
    "no segments": ({"text": "x"}, SEGMENTS),
    "no segments for subtitles": ({"text": "x"}, BOTH_SUBTITLES),
    "segments null": ({"text": "x", "segments": None}, SEGMENTS),
    "segments a number": ({"text": "x", "segments": 1}, SEGMENTS),
    "segment a string": ({"text": "x", "segments": ["x"]}, SEGMENTS),
    "segment without text": ({"text": "x", "segments": [{"start": 0, "end": 1}]}, SEGMENTS),
    "segment without times": ({"text": "x", "segments": [{"text": "x"}]}, SEGMENTS),
    "segment before zero": ({"text": "x", "segments": [segment(start=-0.5)]}, SEGMENTS),
    "segment start null": ({"text": "x", "segments": [segment(start=None)]}, SEGMENTS),
    "segment tokens": ({"text": "x", "segments": [segment(tokens=["x"])]}, SEGMENTS),
    "segment token huge": ({"text": "x", "segments": [segment(tokens=[2**40])]}, SEGMENTS),
    "word without times": ({"text": "x", "words": [{"word": "x"}]}, {}),
    "word a string": ({"text": "x", "words": ["x"]}, {}),
}


@pytest.mark.parametrize(("data", "config"), BROKEN.values(), ids=BROKEN)
async def test_malformed_answer(data: Any, config: dict[str, Any]) -> None:
    async with in_front_of(whole(data)) as channel:
        one = await failed(stub(channel).Transcribe(asking(**config)))
        other = await failed(stub(channel).UploadTranscribe(upload(asking(**config))))
    for end in (one, other):
        assert (end.code, end.reason) == (INTERNAL, MALFORMED), end.message


BYTES = {
    "empty": (b"", "application/json", MALFORMED),
    "no JSON": (b"Heard.", "text/plain", MALFORMED),
    "HTML": (b"<html>", "text/html", MALFORMED),
    "NaN": (b'{"text": "x", "duration": NaN}', "application/json", MALFORMED),
    "lone surrogate": (b'{"text": "\\ud83d"}', "application/json", MALFORMED),
    "no UTF-8": (b'{"text": "\xff"}', "application/json", MALFORMED),
    "error in a 200": (
        b'{"error": {"message": "x", "code": 500}}',
        "text/json",
        "UPSTREAM_INTERNAL",
    ),
}


@pytest.mark.parametrize(("body", "kind", "reason"), BYTES.values(), ids=BYTES)
async def test_bytes_that_are_not_a_valid_answer(body: bytes, kind: str, reason: str) -> None:
    async with in_front_of(Canned(answer("200 OK", body, kind))) as channel:
        end = await failed(stub(channel).Transcribe(asking()))
    assert (end.code, end.reason) == (INTERNAL, reason)


CUT = {
    "no answer": (b"", "UPSTREAM_CLOSED"),
    "half a head": (b"HTTP/1.1 200 OK\r\nconte", "UPSTREAM_CLOSED"),
    "half a body": (b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"text', "UPSTREAM_CLOSED"),
}


@pytest.mark.parametrize(("reply", "reason"), CUT.values(), ids=CUT)
async def test_answer_that_breaks_off(reply: bytes, reason: str) -> None:
    async with in_front_of(Canned(reply)) as channel:
        end = await failed(stub(channel).UploadTranscribe(upload(asking())))
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, reason)


async def test_answer_that_is_not_http() -> None:
    async with in_front_of(Canned(b"SSH-2.0-OpenSSH\r\n\r\n")) as channel:
        end = await failed(stub(channel).UploadTranscribe(upload(asking())))
    assert (end.code, end.reason) == (INTERNAL, MALFORMED)


async def test_informational_answers_are_ignored() -> None:
    reply = b"HTTP/1.1 102 Processing\r\n\r\n" + answer("200 OK", b'{"text": "x"}')
    async with in_front_of(Canned(reply)) as channel:
        assert (await stub(channel).Transcribe(asking())).transcription.text == "x"


# Streams


def piece(text: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"delta": {} if text is None else {"content": text}}
    if finish:
        choice |= {"finish_reason": finish, "stop_reason": None}
    return {"id": "t-1", "created": 5, "model": "m", "choices": [choice], **more}


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
LAST = {"id": "t-1", "created": 5, "model": "m", "choices": [], "usage": USAGE}


def streamed(*data: Any, done: bool = True) -> Canned:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in data]
    return Canned(events(*lines, *(["[DONE]"] if done else [])))


async def received(upstream: Upstream) -> list[Any]:
    async with in_front_of(upstream) as channel:
        return [m.delta async for m in stub(channel).UploadStreamTranscribe(upload(asking()))]


FINISHES = {
    "one part": ([piece("a"), piece("", "stop")], "FINISH_REASON_STOP"),
    "two parts": (
        [piece("a"), piece("", "stop"), piece("b"), piece("", "stop")],
        "FINISH_REASON_STOP",
    ),
    "text with the finish": ([piece("a", "stop"), piece("b", "stop")], "FINISH_REASON_STOP"),
    "first part cut": (
        [piece("a"), piece("", "length"), piece("b"), piece("", "stop")],
        "FINISH_REASON_LENGTH",
    ),
    "last part cut": (
        [piece("a"), piece("", "stop"), piece("b"), piece("", "length")],
        "FINISH_REASON_LENGTH",
    ),
    "no text": ([piece("", "stop")], "FINISH_REASON_STOP"),
    "empty part": ([piece("a"), piece("", "stop"), piece("", "stop")], "FINISH_REASON_STOP"),
    "unknown reason": ([piece("a"), piece("", "tired")], "FINISH_REASON_OTHER"),
}


@pytest.mark.parametrize(("pieces", "finish"), FINISHES.values(), ids=FINISHES)
@pytest.mark.parametrize("done", [True, False], ids=["done", "closed"])
async def test_finish(pieces: list[Any], finish: str, done: bool) -> None:
    answer = await received(streamed(*pieces, LAST, done=done))
    reasons = [delta.finish_reason for delta in answer]
    assert common_pb2.FinishReason.Name(reasons[-1]) == finish
    assert not any(reasons[:-1])
    assert answer[-1].usage.total_tokens == 3
    said = "".join(item["choices"][0]["delta"].get("content") or "" for item in pieces)
    assert "".join(delta.text for delta in answer) == said
    assert answer[-1].native_finish_reason == ("tired" if "OTHER" in finish else "")


@pytest.mark.parametrize(("pieces", "finish"), FINISHES.values(), ids=FINISHES)
@pytest.mark.parametrize("last", [{}, {"usage": USAGE}], ids=["never", "with the finish"])
async def test_an_upstream_that_sends_no_usage_after_the_last_part(
    pieces: list[Any], finish: str, last: dict[str, Any]
) -> None:
    answer = await received(streamed(*pieces[:-1], pieces[-1] | last))
    reasons = [delta.finish_reason for delta in answer]
    assert common_pb2.FinishReason.Name(reasons[-1]) == finish
    assert not any(reasons[:-1])
    assert any(delta.HasField("usage") for delta in answer) == bool(last)
    assert {delta.id for delta in answer} == {answer[0].id} != {""}


async def test_the_stop_reason() -> None:
    stopped = piece("", "stop")
    stopped["choices"][0]["stop_reason"] = 7
    answer = await received(streamed(piece("a"), stopped, LAST))
    assert answer[-1].stop_token_id == 7
    stopped["choices"][0]["stop_reason"] = "END"
    answer = await received(streamed(piece("a"), stopped, LAST))
    assert answer[-1].stop_string == "END"


async def test_unknown_keys_of_a_stream_are_kept() -> None:
    odd = piece("a", new=1)
    odd["choices"][0] |= {"index": 0, "mood": "calm"}
    odd["choices"][0]["delta"] |= {"role": "assistant", "accent": None, "pace": 2}
    answer = await received(streamed(odd, piece(None, "stop"), LAST))
    assert value_of(answer[0].extra) == {"new": 1, "mood": "calm", "pace": 2}
    assert not answer[-1].HasField("extra")


BROKEN_STREAMS: dict[str, tuple[Canned, grpc.StatusCode, str, int]] = {
    "a part failed": (
        streamed(piece("a"), piece("", "error"), LAST),
        INTERNAL,
        "UPSTREAM_INTERNAL",
        1,
    ),
    "no finish": (streamed(piece("a"), LAST), INTERNAL, MALFORMED, 2),
    "a part without finish": (
        streamed(piece("a"), piece("", "stop"), piece("b"), LAST),
        INTERNAL,
        MALFORMED,
        3,
    ),
    "only done": (streamed(), INTERNAL, MALFORMED, 0),
    "no id": (streamed({"choices": []}), INTERNAL, MALFORMED, 0),
    "no choices": (streamed({"id": "x"}), INTERNAL, MALFORMED, 0),
    "choices a number": (streamed({"id": "x", "choices": 1}), INTERNAL, MALFORMED, 0),
    "choice a string": (streamed({"id": "x", "choices": ["a"]}), INTERNAL, MALFORMED, 0),
    "delta a string": (
        streamed({"id": "x", "choices": [{"delta": "a"}]}),
        INTERNAL,
        MALFORMED,
        0,
    ),
    "text a number": (streamed(piece("a"), piece(42), LAST), INTERNAL, MALFORMED, 1),
    "usage a number": (
        streamed(piece("a"), piece("", "stop"), LAST | {"usage": 3}),
        INTERNAL,
        MALFORMED,
        1,
    ),
    "no JSON": (streamed(piece("a"), "{"), INTERNAL, MALFORMED, 1),
    "error first": (
        streamed({"error": {"message": "busy", "code": 503}}),
        grpc.StatusCode.UNAVAILABLE,
        "UPSTREAM_UNAVAILABLE",
        0,
    ),
    "error later": (
        streamed(piece("a"), {"error": {"message": "x", "code": 500}}),
        INTERNAL,
        "UPSTREAM_INTERNAL",
        1,
    ),
    "given up": (
        streamed(piece("a"), piece("", "abort"), LAST),
        grpc.StatusCode.UNAVAILABLE,
        "GENERATION_ABORTED",
        1,
    ),
    "cut before the first event": (
        streamed(done=False),
        grpc.StatusCode.UNAVAILABLE,
        "UPSTREAM_CLOSED",
        0,
    ),
    "cut within a part": (
        streamed(piece("a"), done=False),
        grpc.StatusCode.UNAVAILABLE,
        "STREAM_INTERRUPTED",
        1,
    ),
    "cut between two parts": (
        streamed(piece("a"), piece("", "stop"), done=False),
        grpc.StatusCode.UNAVAILABLE,
        "STREAM_INTERRUPTED",
        1,
    ),
    "cut between two parts, usage in every event": (
        streamed(piece("a", usage=USAGE), piece("", "stop", usage=USAGE), done=False),
        grpc.StatusCode.UNAVAILABLE,
        "STREAM_INTERRUPTED",
        2,
    ),
    "not a stream": (whole({"text": "x"}), INTERNAL, MALFORMED, 0),
}


@pytest.mark.parametrize(
    ("upstream", "code", "reason", "messages"), BROKEN_STREAMS.values(), ids=BROKEN_STREAMS
)
async def test_broken_stream(
    upstream: Canned, code: grpc.StatusCode, reason: str, messages: int
) -> None:
    async with in_front_of(upstream) as channel:
        end = await failed(stub(channel).UploadStreamTranscribe(upload(asking())))
    assert (end.code, end.reason, len(end.received)) == (code, reason, messages), end.message
    if messages:
        assert end.metadata["messagesSent"] == str(messages)
    assert not any(one.delta.finish_reason for one in end.received)
