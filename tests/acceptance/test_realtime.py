"""Live transcription over the websocket of a model that supports it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import grpc
import pytest
from client.terminal import penstock
from operations.transcriptions import wav
from pybase64 import b64encode
from websockets.asyncio.client import connect

from penstock import AsyncClient, Client, NotFoundError
from penstock.v1.common_pb2 import Usage
from penstock.v1.transcription_pb2 import (
    LiveTranscriptionConfig,
    TranscribeLiveRequest,
    TranscribeLiveResponse,
)
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub

from .conftest import CASE_LIMIT_S, Target
from .refusals import refused

pytestmark = pytest.mark.upstream("realtime")

MODEL = "tiny-realtime"
COMMIT = TranscribeLiveRequest(commit=TranscribeLiveRequest.Commit())
PART_BYTES = 3200
LONG_S = 600
TOKENS = 1000
"""Fewer than a long utterance has."""


@pytest.fixture
def stub(target: Target) -> Any:
    return TranscriptionServiceStub(target.channel)


def samples(seconds: float) -> bytes:
    return wav(seconds)[44:]


# A part of the audio that vLLM transcribes at once takes five seconds.
PARTLY = samples(6)


def config(**fields: Any) -> TranscribeLiveRequest:
    return TranscribeLiveRequest(config=LiveTranscriptionConfig(**fields))


def audio(chunk: bytes) -> TranscribeLiveRequest:
    return TranscribeLiveRequest(audio_chunk=chunk)


def spoken(speech: bytes, part_bytes: int = PART_BYTES) -> list[TranscribeLiveRequest]:
    """Returns the messages of an utterance without its end."""
    starts = range(0, len(speech), part_bytes)
    return [audio(speech[start : start + part_bytes]) for start in starts]


async def each(messages: Iterable[TranscribeLiveRequest]) -> AsyncIterator[TranscribeLiveRequest]:
    for message in messages:
        yield message


async def heard(stub: Any, *messages: TranscribeLiveRequest) -> list[TranscribeLiveResponse.Done]:
    """Returns the ends of the utterances of a session, which must keep the contract."""
    call = stub.TranscribeLive(each((config(model=MODEL), *messages)))
    return kept([reply async for reply in call])


def kept(replies: Sequence[TranscribeLiveResponse]) -> list[TranscribeLiveResponse.Done]:
    """Returns the ends of the utterances of replies that keep the contract."""
    first, *others = replies
    assert first.started.id.startswith("sess-")
    assert first.started.model == MODEL
    assert first.started.create_time.seconds > 1_600_000_000
    assert not first.started.HasField("extra")
    text, ends = "", []
    for reply in others:
        event = getattr(reply, str(reply.WhichOneof("event")))
        assert not event.HasField("extra")
        text += reply.delta.text
        if reply.HasField("done"):
            assert reply.done.text == text
            complete(reply.done.usage)
            ends.append(reply.done)
            text = ""
    assert not text
    return ends


def complete(usage: Usage) -> None:
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens > 0
    assert not usage.HasField("extra")


async def test_an_utterance(stub: Any) -> None:
    [done] = await heard(stub, *spoken(PARTLY))
    assert done.text.startswith(" Hello world, this is a test.")
    assert done.usage.completion_tokens >= len(done.text.split())


async def test_text_comes_before_the_end_of_the_audio(stub: Any) -> None:
    call = stub.TranscribeLive()
    await call.write(config())
    replies = [await call.read()]
    for message in spoken(PARTLY):
        await call.write(message)
    replies.append(await call.read())
    assert replies[1].delta.text == " Hello"
    await call.done_writing()
    while (reply := await call.read()) is not grpc.aio.EOF:
        replies.append(reply)
    assert len(kept(replies)) == 1


async def test_several_utterances(stub: Any) -> None:
    short = spoken(samples(1))
    ends = await heard(stub, *short, COMMIT, *spoken(PARTLY), COMMIT, *short)
    assert [len(one.text) > 0 for one in ends] == [True] * 3
    assert len(ends[1].text) > len(ends[0].text) == len(ends[2].text)


async def test_an_utterance_ends_while_the_session_continues(stub: Any) -> None:
    call = stub.TranscribeLive()
    await call.write(config())
    replies = [await call.read()]
    for _ in range(2):
        for message in (*spoken(samples(1)), COMMIT):
            await call.write(message)
        replies.append(await call.read())
        while not replies[-1].HasField("done"):
            replies.append(await call.read())
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert len(kept(replies)) == 2


async def test_many_small_chunks_and_a_large_one(stub: Any) -> None:
    speech = samples(20)
    [small] = await heard(stub, *spoken(speech, 320))
    [large] = await heard(stub, audio(speech))
    assert small.text == large.text
    assert small.usage == large.usage


async def test_a_single_sample(stub: Any) -> None:
    ends = await heard(stub, audio(bytes(2)), COMMIT, audio(bytes(2)))
    assert len(ends) == 2


async def test_sessions_at_once(stub: Any) -> None:
    speech = [*spoken(PARTLY), COMMIT, *spoken(PARTLY)]
    sessions = await asyncio.gather(*(heard(stub, *speech) for _ in range(4)))
    assert len({one.text for ends in sessions for one in ends}) == 1


async def test_another_rate(stub: Any) -> None:
    refusal = await refused(_all(stub.TranscribeLive(each((config(sample_rate_hertz=24_000),)))))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    assert refusal.fields == ("config.sample_rate_hertz",)


async def test_a_session_without_audio(stub: Any) -> None:
    refusal = await refused(_all(stub.TranscribeLive(each((config(),)))))
    assert refusal.fields == ("audio_chunk",)
    assert await heard(stub, audio(samples(1)))


async def test_unknown_model(target: Target) -> None:
    async with AsyncClient(target.address) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.transcribe.live([PARTLY], model="no").final()
    assert (caught.value.reason, caught.value.resource) == ("MODEL_NOT_FOUND", "no")


async def test_cancelling_stops_the_transcription(stub: Any, target: Target) -> None:
    silence = asyncio.Event()

    async def endless() -> AsyncIterator[TranscribeLiveRequest]:
        yield config()
        for message in spoken(samples(LONG_S), 32_000):
            yield message
        await silence.wait()

    call = stub.TranscribeLive(endless())
    replies = aiter(call)
    assert (await anext(replies)).HasField("started")
    await target.upstream.wait_running()
    assert (await anext(replies)).HasField("delta")
    call.cancel()
    await target.upstream.wait_stopped(TOKENS)


async def test_the_command_reads_a_pipe(target: Target) -> None:
    command = ("transcribe", "--live", "--target", target.address, "-")
    result = await asyncio.to_thread(penstock, *command, given=PARTLY)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b" Hello world")


async def test_the_python_client(target: Target) -> None:
    speech = [PARTLY[:31_999], PARTLY[31_999:], None, PARTLY]
    async with AsyncClient(target.address) as client, client.transcribe.live(speech) as stream:
        ends = [event.utterance async for event in stream if event.utterance is not None]
    whole = await asyncio.to_thread(_blocking, target.address, speech)
    assert len(ends) == 2
    assert whole.text == "".join(ends) == stream.snapshot.text
    for done in (*whole.done, *stream.snapshot.done):
        complete(done.usage)


def _blocking(target: str, speech: list[bytes | None]) -> Any:
    with Client(target) as client:
        return client.transcribe.live(speech).final()


async def _all(call: Any) -> None:
    async for _ in call:
        pass


# Events that only other callers of the upstream send

UPDATE = {"type": "session.update", "model": MODEL}
BEGIN = {"type": "input_audio_buffer.commit"}
FINAL = {"type": "input_audio_buffer.commit", "final": True}
REFUSED: Mapping[str, tuple[Any, str, str]] = {
    "not JSON": ("no", "invalid_json", "Invalid JSON"),
    "not an object": ([], "processing_error", ""),
    "no type": ({}, "unknown_event", "Unknown event type: None"),
    "an unknown type": ({"type": "x"}, "unknown_event", "Unknown event type: x"),
    "no model": ({"type": "session.update"}, "invalid_event", "Missing required field: model"),
    "an unknown model": (
        {"type": "session.update", "model": "no"},
        "model_not_found",
        "The model `no` does not exist.",
    ),
    "no audio": ({"type": "input_audio_buffer.append"}, "processing_error", ""),
    "a number as audio": (
        {"type": "input_audio_buffer.append", "audio": 5},
        "processing_error",
        "",
    ),
    "a beginning before the model": (BEGIN, "model_not_validated", "Model not validated."),
    "an end before the model": (FINAL, "model_not_validated", "Model not validated."),
    "half a sample": (
        {"type": "input_audio_buffer.append", "audio": "MTIz"},
        "invalid_audio",
        "Invalid audio data",
    ),
    "no samples": (
        {"type": "input_audio_buffer.append", "audio": ""},
        "invalid_audio",
        "Invalid audio data",
    ),
    "not base64": (
        {"type": "input_audio_buffer.append", "audio": "a"},
        "invalid_audio",
        "Invalid audio data",
    ),
}


async def answered(target: Target, count: int, *events: Any) -> list[dict[str, Any]]:
    """Returns the answers of the upstream itself, except deltas."""
    url = f"{target.upstream.url}/v1/realtime".replace("http", "ws", 1)
    answers: list[dict[str, Any]] = []
    async with connect(url) as socket, asyncio.timeout(CASE_LIMIT_S):
        assert json.loads(await socket.recv())["type"] == "session.created"
        for event in events:
            await socket.send(event if isinstance(event, str) else json.dumps(event))
        while len(answers) < count:
            answer = json.loads(await socket.recv())
            if answer["type"] != "transcription.delta":
                answers.append(answer)
    return answers


@pytest.mark.parametrize(("event", "code", "message"), REFUSED.values(), ids=REFUSED)
async def test_an_event_that_is_refused(
    event: Any, code: str, message: str, target: Target
) -> None:
    known = {"type": "x"}
    answers = await answered(target, 2, event, known)
    assert [one["code"] for one in answers] == [code, "unknown_event"]
    assert answers[0]["error"].startswith(message)


async def test_a_refused_event_leaves_the_session_open(target: Target) -> None:
    heard = {"type": "input_audio_buffer.append", "audio": b64encode(samples(1)).decode()}
    bad = {"type": "input_audio_buffer.append", "audio": "MTIz"}
    answers = await answered(target, 3, UPDATE, bad, BEGIN, heard, bad, FINAL)
    assert [one["type"] for one in answers] == ["error", "error", "transcription.done"]
    assert answers[2]["text"].startswith(" Hello")


async def test_an_end_before_its_beginning_ends_the_next_utterance(target: Target) -> None:
    [done] = await answered(target, 1, UPDATE, FINAL, BEGIN)
    assert (done["text"], done["usage"]["total_tokens"]) == ("", 0)
