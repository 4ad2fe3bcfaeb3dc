"""Speech to text: uploads audio in chunks, and returns the text whole or piece by piece."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from penstock._base.call_info import NO_CALL, CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.json_documents import WithExtra
from penstock._base.merge import Pieces, merge, unfinished
from penstock._base.option_docs import documented
from penstock._base.options import ModelOptions, SamplingOptions, StreamedOptions, build
from penstock._base.result import ModelResult, Result, finish_reason
from penstock._base.stream import AsyncStream, Stream
from penstock._base.upload import AsyncProgress, AsyncUpload, Audio, Progress, Upload
from penstock.errors import CallError
from penstock.live_transcription import (
    AsyncSpeech,
    LiveAccumulator,
    LiveEvent,
    LiveOptions,
    LiveTranscription,
    Speaking,
    Speech,
)
from penstock.v1.transcription_pb2 import (
    LiveTranscriptionConfig,
    TranscriptionConfig,
    TranscriptionDelta,
    UploadStreamTranscribeResponse,
    UploadTranscribeResponse,
)
from penstock.v1.transcription_pb2 import Transcription as TranscriptionProto
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub


@documented
class TranscribeOptions(ModelOptions, SamplingOptions, StreamedOptions, total=False):
    """Options of transcription; see `TranscriptionConfig` in `penstock.v1`.

    Attributes:
        task: "transcribe" or "translate".
        language_code: spoken language, such as "en".
        target_language_code: language of the text.
        prompt: text that sets the style or context.
        hotwords: words to expect.
        filename: file name sent upstream, if not that of the file.
        mime_type: media type, such as "audio/wav".
        detail: "text", "segments" or "diarized".
        timestamp_granularities: units that receive timestamps: "segment", "word".
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
        proto: the segment as received.
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
        """The spoken text."""
        return self.proto.text

    @property
    def speaker(self) -> str:
        """The speaker, if known."""
        return self.proto.speaker


class Transcription(Result[TranscriptionProto]):
    """The text of speech."""

    @property
    def text(self) -> str:
        """The whole text as the model wrote it; it may start with a space."""
        return self.proto.text

    @property
    def language_code(self) -> str:
        """Language, if the upstream reports it."""
        return self.proto.language_code

    @property
    def duration(self) -> float:
        """Length of the audio in seconds; 0 if the upstream does not report it."""
        return self.proto.duration.ToNanoseconds() / 1e9

    @property
    def segments(self) -> list[Segment]:
        """The segments of the text, if `detail` is "segments" or "diarized"."""
        return [Segment(one) for one in self.proto.segments]

    @property
    def srt(self) -> str:
        """Subtitles in SubRip format, if requested."""
        return self.proto.srt

    @property
    def vtt(self) -> str:
        """Subtitles in WebVTT format, if requested."""
        return self.proto.vtt


class StreamedTranscription(ModelResult[TranscriptionDelta]):
    """The text of speech, assembled from a stream; `proto` has the whole text."""

    @property
    def text(self) -> str:
        """The text as received so far."""
        return self.proto.text

    @property
    def finish_reason(self) -> str:
        """Why the text ended, such as "stop" or "length"; empty until it ends."""
        return finish_reason(self.proto)


@dataclass(frozen=True, slots=True)
class TranscriptionEvent:
    """One message of a stream.

    Attributes:
        proto: the message as received.
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
        """Adds the next message and returns it as an event."""
        merge(self._answer, message.delta, apart=("text",))
        self._text.add(message.delta.text)
        self._usage_last = message.delta.HasField("usage")
        return TranscriptionEvent(message)

    def result(self, call: CallInfo = NO_CALL) -> StreamedTranscription:
        """Returns a copy of the text as received so far."""
        answer = TranscriptionDelta(text=str(self._text))
        answer.MergeFrom(self._answer)
        return StreamedTranscription(answer, call)

    def missing(self) -> str:
        """Describes what a complete answer still lacks."""
        return unfinished([0] if self._answer.finish_reason else [], 1, self._usage_last)


class Transcriber(Resource):
    """Transcribes speech."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = TranscriptionServiceStub(caller.channel)

    def __call__(
        self, audio: Audio, progress: Progress | None = None, **options: Unpack[TranscribeOptions]
    ) -> Transcription:
        """Transcribes speech and returns its text.

            >>> def progress(sent, total):
            ...     print(f"{sent} of {total} bytes")
            >>> len(client.transcribe("speech.wav", progress).text) > 0
            32044 of 32044 bytes
            True

        Args:
            audio: path of a file, its content as bytes, or a file opened for binary reading.
            progress: called after each chunk with the number of bytes sent, and the total number
                of bytes or None if it is not known. An exception that it raises ends the call.
            **options: see `TranscribeOptions`.

        Raises:
            OSError: the file cannot be read.
            CallError: the call ended with a status other than OK.
        """
        upload = Upload(_config(options), audio, progress)
        method = self._stub.UploadTranscribe
        try:
            sent = upload.announced(options)
            return self._caller.call(method, iter(upload), sent, _transcription)
        except CallError:
            upload.check()
            raise

    def stream(
        self, audio: Audio, progress: Progress | None = None, **options: Unpack[TranscribeOptions]
    ) -> Stream[TranscriptionEvent, StreamedTranscription]:
        """Starts a transcription whose text arrives piece by piece after the upload.

            >>> with client.transcribe.stream("speech.wav") as stream:
            ...     pieces = list(stream.text_stream)
            >>> "".join(pieces) == stream.final().text
            True

        Args:
            audio: path of a file, its content as bytes, or a file opened for binary reading.
            progress: called after each chunk, as for a whole transcription.
            **options: see `TranscribeOptions`.
        """
        upload = Upload(_config(options), audio, progress)
        method, accumulator = self._stub.UploadStreamTranscribe, TranscriptionAccumulator()
        sent = upload.announced(options)
        return self._caller.stream(method, iter(upload), sent, accumulator, upload.check)

    def live(
        self, speech: Speech, **options: Unpack[LiveOptions]
    ) -> Stream[LiveEvent, LiveTranscription]:
        """Starts a transcription of speech that is not over yet.

            >>> second = bytes(2 * 16000)
            >>> with client.transcribe.live([second, None, second]) as stream:
            ...     print([event.utterance for event in stream if event.utterance is not None])
            [' Hello world, this is a test. The quick', ' Hello world, this is a test. The quick']

        Args:
            speech: parts of the audio as they come: 16-bit little-endian samples of one channel at
                16000 Hz, without a header. None ends an utterance.
            **options: see `LiveOptions`.
        """
        speaking = Speaking(build(LiveTranscriptionConfig, options), speech)
        method = self._stub.TranscribeLive
        return self._caller.stream(
            method, iter(speaking), options, LiveAccumulator(), speaking.check
        )


class AsyncTranscriber(AsyncResource):
    """Asynchronous counterpart of `Transcriber`.

    Reads files in threads; `progress` may be a coroutine function.
    """

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = TranscriptionServiceStub(caller.channel)

    async def __call__(
        self,
        audio: Audio,
        progress: AsyncProgress | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Transcription:
        """See `Transcriber`."""
        upload = AsyncUpload(_config(options), audio, progress)
        method = self._stub.UploadTranscribe
        try:
            sent = upload.announced(options)
            return await self._caller.call(method, aiter(upload), sent, _transcription)
        except (CallError, asyncio.CancelledError):
            upload.check()
            raise

    def stream(
        self,
        audio: Audio,
        progress: AsyncProgress | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> AsyncStream[TranscriptionEvent, StreamedTranscription]:
        """See `Transcriber.stream`; iterate over the result with `async for`, without `await`."""
        upload = AsyncUpload(_config(options), audio, progress)
        method, accumulator = self._stub.UploadStreamTranscribe, TranscriptionAccumulator()
        sent = upload.announced(options)
        return self._caller.stream(method, aiter(upload), sent, accumulator, upload.check)

    def live(
        self, speech: AsyncSpeech, **options: Unpack[LiveOptions]
    ) -> AsyncStream[LiveEvent, LiveTranscription]:
        """See `Transcriber.live`; iterate over the result with `async for`, without `await`."""
        speaking = Speaking(build(LiveTranscriptionConfig, options), speech)
        method = self._stub.TranscribeLive
        return self._caller.stream(
            method, aiter(speaking), options, LiveAccumulator(), speaking.check
        )


def _config(options: TranscribeOptions) -> TranscriptionConfig:
    return build(TranscriptionConfig, options, "sampling")


def _transcription(reply: UploadTranscribeResponse, call: CallInfo) -> Transcription:
    return Transcription(reply.transcription, call)
