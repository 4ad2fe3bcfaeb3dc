"""Speech to text: audio is uploaded in chunks, the text comes whole or piece by piece."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.json_documents import WithExtra
from penstock._base.merge import Pieces, merge, unfinished
from penstock._base.options import ModelOptions, SamplingOptions, StreamedOptions, build
from penstock._base.result import ModelResult, Result, finish_reason
from penstock._base.stream import AsyncStream, Stream
from penstock._base.upload import AsyncProgress, AsyncUpload, Audio, Progress, Upload
from penstock.errors import CallError
from penstock.v1.transcription_pb2 import Transcription as TranscriptionProto
from penstock.v1.transcription_pb2 import (
    TranscriptionConfig,
    TranscriptionDelta,
    UploadStreamTranscribeResponse,
    UploadTranscribeResponse,
)
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub


class TranscribeOptions(ModelOptions, SamplingOptions, StreamedOptions, total=False):
    """Options of transcription; see `TranscriptionConfig` in `penstock.v1`.

    Attributes:
        task: "transcribe" or "translate".
        language_code: language spoken, as "en".
        target_language_code: language to write.
        prompt: text that tells style or context.
        hotwords: words to expect.
        filename: file name sent upstream, if not the file's own.
        mime_type: media type, as "audio/wav".
        detail: "text", "segments" or "diarized".
        timestamp_granularities: what gets times: "segment", "word".
        subtitles: "srt", "vtt", or a list of both.
    """

    task: str | None
    language_code: str | None
    target_language_code: str | None
    prompt: str | None
    hotwords: str | None
    filename: str | None
    mime_type: str | None
    detail: str | None
    timestamp_granularities: str | Sequence[str] | None
    subtitles: str | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Segment(WithExtra):
    """A stretch of speech.

    Attributes:
        proto: the segment as it came.
    """

    proto: TranscriptionProto.Segment

    @property
    def start(self) -> float:
        """Seconds from the start of the audio."""
        return self.proto.start_offset.ToNanoseconds() / 1e9

    @property
    def end(self) -> float:
        """Seconds from the start of the audio."""
        return self.proto.end_offset.ToNanoseconds() / 1e9

    @property
    def text(self) -> str:
        """What is said."""
        return self.proto.text

    @property
    def speaker(self) -> str:
        """Who speaks, if known."""
        return self.proto.speaker


class Transcription(Result[TranscriptionProto]):
    """Text of speech."""

    @property
    def text(self) -> str:
        """The whole text, as the model writes it; it may begin with a space."""
        return self.proto.text

    @property
    def language_code(self) -> str:
        """Language, if the upstream tells it."""
        return self.proto.language_code

    @property
    def duration(self) -> float:
        """Length of the audio in seconds; 0 if the upstream does not tell it."""
        return self.proto.duration.ToNanoseconds() / 1e9

    @property
    def segments(self) -> list[Segment]:
        """The text in segments, with `detail` "segments" or "diarized"."""
        return [Segment(one) for one in self.proto.segments]

    @property
    def srt(self) -> str:
        """Subtitles in SubRip format, if asked for."""
        return self.proto.srt

    @property
    def vtt(self) -> str:
        """Subtitles in WebVTT format, if asked for."""
        return self.proto.vtt


class StreamedTranscription(ModelResult[TranscriptionDelta]):
    """Text of speech that came in pieces; `proto` has the whole text."""

    @property
    def text(self) -> str:
        """The text as far as it came."""
        return self.proto.text

    @property
    def finish_reason(self) -> str:
        """Why it ended, as "stop" or "length"; empty while it goes on."""
        return finish_reason(self.proto)


@dataclass(frozen=True, slots=True)
class TranscriptionEvent:
    """One message of a stream.

    Attributes:
        proto: the message as it came.
    """

    proto: UploadStreamTranscribeResponse

    @property
    def text(self) -> str:
        """The next piece of the text."""
        return self.proto.delta.text


class TranscriptionAccumulator:
    """Adds up the messages of a transcription stream."""

    def __init__(self) -> None:
        self._answer = TranscriptionDelta()
        self._text = Pieces()
        self._usage_last = False

    def add(self, message: UploadStreamTranscribeResponse) -> TranscriptionEvent:
        """Takes the next message."""
        merge(self._answer, message.delta, apart=("text",))
        self._text.add(message.delta.text)
        self._usage_last = message.delta.HasField("usage")
        return TranscriptionEvent(message)

    def result(self, call: CallInfo = NO_CALL) -> StreamedTranscription:
        """Returns a copy of the text as far as it came."""
        answer = TranscriptionDelta(text=str(self._text))
        answer.MergeFrom(self._answer)
        return StreamedTranscription(answer, call)

    def missing(self) -> str:
        """Says what a complete answer still needs."""
        return unfinished([0] if self._answer.finish_reason else [], 1, self._usage_last)


class Transcriber(Resource):
    """Writes speech down."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = TranscriptionServiceStub(caller.channel)

    def __call__(
        self, audio: Audio, progress: Progress | None = None, **options: Unpack[TranscribeOptions]
    ) -> Transcription:
        """Returns the text of speech.

            >>> def progress(sent, total):
            ...     print(f"{sent} of {total} bytes")
            >>> len(client.transcribe("speech.wav", progress).text) > 0
            32044 of 32044 bytes
            True

        Args:
            audio: path of a file, its content, or a file open for reading in binary.
            progress: called after each chunk with the bytes sent so far, and with those of the
                whole, None if that is not known. What it raises ends the call.
            options: see `TranscribeOptions`.

        Raises:
            OSError: the file cannot be read.
            CallError: the call ended with another status than OK.
        """
        upload = Upload(_config(options), audio, progress)
        method = self._stub.UploadTranscribe
        try:
            return self._caller.call(method, iter(upload), options, _transcription)
        except CallError:
            upload.check()
            raise

    def stream(
        self, audio: Audio, progress: Progress | None = None, **options: Unpack[TranscribeOptions]
    ) -> Stream[TranscriptionEvent, StreamedTranscription]:
        """Begins a text that comes piece by piece, once the audio is uploaded.

            >>> with client.transcribe.stream("speech.wav") as stream:
            ...     pieces = list(stream.text_stream)
            >>> "".join(pieces) == stream.final().text
            True

        Takes the same as the call itself.
        """
        upload = Upload(_config(options), audio, progress)
        method, accumulator = self._stub.UploadStreamTranscribe, TranscriptionAccumulator()
        return self._caller.stream(method, iter(upload), options, accumulator, upload.check)


class AsyncTranscriber(AsyncResource):
    """As `Transcriber`, awaited. Files are read in threads; `progress` may be awaited, too."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = TranscriptionServiceStub(caller.channel)

    async def __call__(
        self,
        audio: Audio,
        progress: AsyncProgress | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Transcription:
        """As `Transcriber`."""
        upload = AsyncUpload(_config(options), audio, progress)
        method = self._stub.UploadTranscribe
        try:
            return await self._caller.call(method, aiter(upload), options, _transcription)
        except (CallError, asyncio.CancelledError):
            upload.check()
            raise

    def stream(
        self,
        audio: Audio,
        progress: AsyncProgress | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> AsyncStream[TranscriptionEvent, StreamedTranscription]:
        """As `Transcriber.stream`; it is not awaited, its events are."""
        upload = AsyncUpload(_config(options), audio, progress)
        method, accumulator = self._stub.UploadStreamTranscribe, TranscriptionAccumulator()
        return self._caller.stream(method, aiter(upload), options, accumulator, upload.check)


def _config(options: TranscribeOptions) -> TranscriptionConfig:
    return build(TranscriptionConfig, options, "sampling")


def _transcription(reply: UploadTranscribeResponse, call: CallInfo) -> Transcription:
    return Transcription(reply.transcription, call)
