"""Streams that end too early, of the kinds that test_calls does not cover, and uploads."""

import io
from pathlib import Path

import pytest
from documents import document

from penstock._base.upload import AsyncUpload, Upload
from penstock.completions import CompletionAccumulator
from penstock.response_answer import ResponseAccumulator
from penstock.transcribe import TranscriptionAccumulator
from penstock.v1.common_pb2 import FINISH_REASON_STOP, Usage
from penstock.v1.completion_pb2 import CompletionChoiceDelta, StreamCompletionResponse
from penstock.v1.response_pb2 import ModelResponse, StreamResponseResponse, TextEvent
from penstock.v1.transcription_pb2 import (
    TranscriptionConfig,
    TranscriptionDelta,
    UploadStreamTranscribeResponse,
)

USAGE = Usage(total_tokens=1)


def test_completions() -> None:
    adding = CompletionAccumulator(2)
    end = FINISH_REASON_STOP
    for piece in (
        CompletionChoiceDelta(index=1, text="a"),
        CompletionChoiceDelta(index=0, text="b", finish_reason=end),
        CompletionChoiceDelta(index=1, text="c"),
    ):
        assert adding.add(StreamCompletionResponse(id="1", choices=[piece])).proto.id == "1"
    assert adding.missing() == "choice 1 has no finish_reason"
    adding.add(
        StreamCompletionResponse(choices=[CompletionChoiceDelta(index=1, finish_reason=end)])
    )
    assert adding.missing() == "usage did not come last"
    adding.add(StreamCompletionResponse(usage=USAGE))
    assert adding.missing() == ""
    assert [choice.text for choice in adding.result().choices] == ["b", "ac"]


def test_transcriptions() -> None:
    adding = TranscriptionAccumulator()
    for delta in (
        TranscriptionDelta(id="1", model="m", text="a"),
        TranscriptionDelta(id="1", text="b", finish_reason=FINISH_REASON_STOP),
    ):
        assert adding.missing() == "choice 0 has no finish_reason"
        adding.add(UploadStreamTranscribeResponse(delta=delta))
    assert adding.missing() == "usage did not come last"
    adding.add(UploadStreamTranscribeResponse(delta=TranscriptionDelta(usage=USAGE)))
    assert adding.missing() == ""
    assert (adding.result().text, adding.result().proto.model) == ("ab", "m")


@pytest.mark.parametrize("terminal", ["completed", "incomplete"])
def test_responses(terminal: str) -> None:
    adding = ResponseAccumulator()
    for event in (
        StreamResponseResponse(created=ModelResponse(id="1")),
        StreamResponseResponse(output_text_delta=TextEvent(output_index=1, text="a")),
        StreamResponseResponse(other=document({"type": "response.new"})),
    ):
        adding.add(event)
        assert adding.missing() == "no completed or incomplete event came"
    assert (adding.result().id, adding.result().text) == ("1", "a")
    event = StreamResponseResponse()
    getattr(event, terminal).id = "2"
    adding.add(event)
    assert adding.missing() == ""
    assert (adding.result().id, adding.result().text) == ("2", "a")


async def test_the_name_of_an_upload(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(b"a")
    with path.open("rb") as file:
        for audio, name in ((path, "speech.wav"), (file, "speech.wav"), (b"a", "")):
            assert next(iter(Upload(TranscriptionConfig(), audio, None))).config.filename == name
        given = TranscriptionConfig(filename="own.mp3")
        assert next(iter(Upload(given, path, None))).config.filename == "own.mp3"
        requests = [one async for one in AsyncUpload(TranscriptionConfig(), file, None)]
        assert [one.WhichOneof("payload") for one in requests] == ["config", "audio_chunk"]
        assert not file.closed


def test_the_callers_file_stays_open() -> None:
    file = io.BytesIO(b"abc")
    assert [one.audio_chunk for one in Upload(TranscriptionConfig(), file, None)][1:] == [b"abc"]
    assert not file.closed
