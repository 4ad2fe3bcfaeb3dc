"""TranscriptionService."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

from penstock.v1 import transcription_pb2_grpc
from penstock.v1.transcription_pb2 import (
    StreamTranscribeResponse,
    TranscribeLiveRequest,
    TranscribeLiveResponse,
    TranscribeRequest,
    TranscribeResponse,
    Transcription,
    TranscriptionConfig,
    TranscriptionDelta,
    UploadStreamTranscribeResponse,
    UploadTranscribeRequest,
    UploadTranscribeResponse,
)
from penstock_server.configuration import Settings
from penstock_server.convert import live_transcription, transcript, transcription
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Context, Rpc, converted, require_end, upstream_call
from penstock_server.upstream import (
    LIVE_TRANSCRIPTION,
    TRANSCRIPTION,
    TRANSLATION,
    File,
    Form,
    JsonObject,
    Operation,
    TranscriptStream,
)

Uploading = AsyncIterator[UploadTranscribeRequest]
Speaking = AsyncIterator[TranscribeLiveRequest]
Audio = bytes | AsyncGenerator[bytes, None]

Message = TypeVar("Message")

_SIZE = re.compile("[0-9]{1,18}")


class TranscriptionServicer(transcription_pb2_grpc.TranscriptionServiceServicer):
    """Serves transcriptions from the fleet."""

    def __init__(self, fleet: Fleet, settings: Callable[[], Settings]) -> None:
        """Serves from a fleet.

        Args:
            fleet: the fleet.
            settings: returns the configuration in force.
        """
        self._fleet = fleet
        self._settings = settings

    async def Transcribe(self, request: TranscribeRequest, context: Context) -> TranscribeResponse:
        """Transcribes audio into one answer."""
        whole = await self._whole(
            Rpc.of(context), request.config, transcription.whole_audio(request)
        )
        return TranscribeResponse(transcription=whole)

    async def StreamTranscribe(
        self, request: TranscribeRequest, context: Context
    ) -> AsyncIterator[StreamTranscribeResponse]:
        """Transcribes audio piece by piece."""
        audio = transcription.whole_audio(request)
        async with aclosing(self._deltas(Rpc.of(context), request.config, audio)) as deltas:
            async for delta in deltas:
                yield StreamTranscribeResponse(delta=delta)

    async def UploadTranscribe(
        self, request_iterator: Uploading, context: Context
    ) -> UploadTranscribeResponse:
        """Transcribes uploaded audio into one answer."""
        rpc = Rpc.of(context)
        config = transcription.upload_config(await _first(request_iterator, rpc))
        async with aclosing(_uploaded(request_iterator, rpc)) as audio:
            whole = await self._whole(rpc, config, audio)
        return UploadTranscribeResponse(transcription=whole)

    async def UploadStreamTranscribe(
        self, request_iterator: Uploading, context: Context
    ) -> AsyncIterator[UploadStreamTranscribeResponse]:
        """Transcribes uploaded audio piece by piece."""
        rpc = Rpc.of(context)
        config = transcription.upload_config(await _first(request_iterator, rpc))
        async with (
            aclosing(_uploaded(request_iterator, rpc)) as audio,
            aclosing(self._deltas(rpc, config, audio)) as deltas,
        ):
            async for delta in deltas:
                yield UploadStreamTranscribeResponse(delta=delta)

    async def TranscribeLive(
        self, request_iterator: Speaking, context: Context
    ) -> AsyncIterator[TranscribeLiveResponse]:
        """Transcribes speech while it is spoken."""
        rpc = Rpc.of(context)
        config = live_transcription.configuration(await _first(request_iterator, rpc))
        call = upstream_call(rpc, config.model, config.engine, "config.")
        opening = live_transcription.opening(config)
        speech = live_transcription.Speech(self._settings().max_utterance)
        async with (
            self._fleet.live(LIVE_TRANSCRIPTION, opening, call) as session,
            session.sending(_spoken(request_iterator, rpc, speech)),
        ):
            async for event in session:
                if reply := live_transcription.reply(event, rpc.attempts.model):
                    yield reply

    async def _whole(self, rpc: Rpc, config: TranscriptionConfig, audio: Audio) -> Transcription:
        call = upstream_call(rpc, config.model, config.engine, "config.")
        form = await converted(rpc, _form, config, audio, _announced(rpc), stream=False)
        answer = await self._fleet.call(_operation(config), form, call)
        return await converted(rpc, transcript.response, answer, config)

    async def _deltas(
        self, rpc: Rpc, config: TranscriptionConfig, audio: Audio
    ) -> AsyncGenerator[TranscriptionDelta, None]:
        call = upstream_call(rpc, config.model, config.engine, "config.", config.stream_options)
        form = await converted(rpc, _form, config, audio, _announced(rpc), stream=True)
        stream = transcript.TranscriptDeltas()
        async with self._fleet.stream(_operation(config), form, call, TranscriptStream()) as events:
            async for event in events:
                if delta := stream.delta(event):
                    yield delta
        if delta := stream.end():
            yield delta


def _operation(config: TranscriptionConfig) -> Operation:
    return TRANSLATION if transcription.translates(config) else TRANSCRIPTION


def _form(config: TranscriptionConfig, audio: Audio, announced: int, *, stream: bool) -> Form:
    fields = transcription.form_fields(config, stream=stream)
    media_type = transcription.media_type(config)
    return Form(fields, File(audio, transcription.filename(config), media_type, announced))


def _announced(rpc: Rpc) -> int:
    """Returns the size of an upload that the caller announces; 0 if it announces none."""
    digits = rpc.text("x-upload-bytes")
    return int(digits) if _SIZE.fullmatch(digits) else 0


async def _first(messages: AsyncIterator[Message], rpc: Rpc) -> Message | None:
    """Returns the first message of a call; None if it has none."""
    first = await anext(messages, None)
    if first is None:
        await require_end(rpc)
    return first


async def _spoken(
    messages: Speaking, rpc: Rpc, speech: live_transcription.Speech
) -> AsyncIterator[JsonObject]:
    """Yields the events to send for the messages after the first."""
    async for message in messages:
        for event in speech.events(message):
            yield event
    await require_end(rpc)
    for event in speech.rest():
        yield event


async def _uploaded(messages: Uploading, rpc: Rpc) -> AsyncGenerator[bytes, None]:
    has_audio = False
    async for message in messages:
        if chunk := transcription.audio_chunk(message):
            has_audio = True
            yield chunk
    await require_end(rpc)
    if not has_audio:
        raise transcription.no_audio()
