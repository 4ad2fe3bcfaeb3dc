"""Nothing in a real vLLM's transcriptions is lost in our messages."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from penstock.v1 import transcription_pb2 as pb
from penstock_server.convert import transcript
from penstock_server.upstream.completeness import TranscriptStream

FOLDER = Path(__file__).parents[1] / "captures" / "transcription"
CAPTURES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
WHOLE = {name: one["body"] for name, one in CAPTURES.items() if "text" in one.get("body", ())}
STREAMS = {name: one["events"] for name, one in CAPTURES.items() if "events" in one}


def test_there_are_captures() -> None:
    assert len(WHOLE) > 15
    assert len(STREAMS) >= 4


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_unary(name: str) -> None:
    body = WHOLE[name]
    config = pb.TranscriptionConfig()
    if "segments" in body:
        config.detail = pb.TRANSCRIPT_DETAIL_SEGMENTS
    answer = transcript.response(body, config)
    said = {key: value for key, value in body.items() if value is not None}
    for number, segment in enumerate(said.get("segments", ())):
        segment["id"] = number
    assert _as_vllm_says(answer) == said
    assert not answer.HasField("extra")


def _as_vllm_says(answer: pb.Transcription) -> dict[str, Any]:
    said: dict[str, Any] = {"text": answer.text}
    if answer.HasField("billed_duration"):
        said["usage"] = {"type": "duration", "seconds": answer.billed_duration.seconds}
    if answer.HasField("duration"):
        said |= {"duration": _seconds(answer.duration), "language": answer.language_code}
        said["segments"] = [_segment(one) for one in answer.segments]
    return said


def _segment(segment: pb.Transcription.Segment) -> dict[str, Any]:
    assert not segment.HasField("no_speech_prob")
    return {
        "id": int(segment.id),
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "end": _seconds(segment.end_offset),
        "no_speech_prob": None,
        "seek": segment.seek,
        "start": _seconds(segment.start_offset),
        "temperature": segment.temperature,
        "text": segment.text,
        "tokens": list(segment.token_ids),
    }


def _seconds(duration: Duration) -> float:
    return duration.ToNanoseconds() / 1e9


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_stream(name: str) -> None:
    stream, contract = transcript.TranscriptDeltas(), TranscriptStream()
    received = []
    for event in STREAMS[name]:
        contract.observe(event)
        received += [delta] if (delta := stream.delta(event)) else []
    said = [choice["delta"]["content"] for event in STREAMS[name] for choice in event["choices"]]
    assert "".join(delta.text for delta in received) == "".join(said)
    assert not any(delta.finish_reason or delta.HasField("extra") for delta in received[:-1])
    # Without the usage that the service always requests, a stream has no end.
    asked = "usage" in STREAMS[name][-1]
    assert contract.complete is bool(received[-1].finish_reason) is asked
    if asked:
        assert received[-1].usage.total_tokens == STREAMS[name][-1]["usage"]["total_tokens"]
