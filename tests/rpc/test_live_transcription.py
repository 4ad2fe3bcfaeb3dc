"""Live transcription at the socket: the order of messages, its ends, its failures, its limits."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from closed_port import closed_url
from grpc import StatusCode as Code
from grpc import aio
from skipping import LIMIT_S, Skipping
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.http11 import Request, Response

from penstock.v1.transcription_pb2 import (
    LiveTranscriptionConfig,
    TranscribeLiveRequest,
    TranscribeLiveResponse,
)
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub
from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import BOUND_S, FREE_PORT, Ended, Serve, ended, plain_channel, until
from .every_rpc import Upstream, failing, running
from .every_rpc import answer as http_answer

QUIET: dict[str, Any] = {"probe_interval": 3600}
SECOND = bytes(2 * 16_000)
COMMIT = TranscribeLiveRequest(commit=TranscribeLiveRequest.Commit())
SAID = " Hello world, this is a test. The quick brown fox — café."


def config(**fields: Any) -> TranscribeLiveRequest:
    return TranscribeLiveRequest(config=LiveTranscriptionConfig(**fields))


def audio(chunk: bytes = SECOND) -> TranscribeLiveRequest:
    return TranscribeLiveRequest(audio_chunk=chunk)


async def live(service: Service, *messages: TranscribeLiveRequest) -> Ended:
    """Makes a call, whatever comes of it.

    The blocking client makes it: the asynchronous one may report INTERNAL instead of the status if
    it writes to a call that the server has just ended.
    """
    return await asyncio.to_thread(_blocking, f"127.0.0.1:{service.port}", messages)


def _blocking(target: str, messages: Iterable[TranscribeLiveRequest]) -> Ended:
    received: list[TranscribeLiveResponse] = []
    settings = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(target, settings) as channel:
        call: Any = TranscriptionServiceStub(channel).TranscribeLive(iter(messages), BOUND_S)
        try:
            received.extend(call)
        except grpc.RpcError as error:
            result = ended(error)  # type: ignore[arg-type]
            result.received = received
            return result
        return Ended(call.code(), "", received=received)


async def sent(messages: Iterable[TranscribeLiveRequest]) -> AsyncIterator[TranscribeLiveRequest]:
    for message in messages:
        yield message


async def ending(call: Any) -> Ended:
    received: list[TranscribeLiveResponse] = []
    try:
        while (reply := await call.read()) is not aio.EOF:
            received.append(reply)
    except aio.AioRpcError as error:
        result = ended(error)
        result.received = received
        return result
    return Ended(await call.code(), "", received=received)


def kinds(result: Ended) -> list[str]:
    """Returns the kinds of the replies, those that follow one of the same kind once."""
    every = [str(reply.WhichOneof("event")) for reply in result.received]
    return [one for index, one in enumerate(every) if every[index - 1 : index] != [one]]


def said(result: Ended) -> str:
    return "".join(reply.delta.text for reply in result.received)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="realtime")) as running:
        yield running


@pytest.fixture
async def channel(service: Service) -> AsyncIterator[aio.Channel]:
    async with plain_channel(service) as opened:
        yield opened


# Whole sessions


async def test_an_utterance(service: Service) -> None:
    messages = (config(model="tiny-chat"), audio(), audio(), audio(b""))
    result = await live(service, *messages)
    assert result.code is Code.OK
    assert kinds(result) == ["started", "delta", "done"]
    started, done = result.received[0].started, result.received[-1].done
    assert started.id.startswith("sess-")
    assert (started.model, started.create_time.seconds > 0) == ("tiny-chat", True)
    assert done.text == said(result)
    assert (SAID + SAID).startswith(done.text)
    assert done.usage.completion_tokens == 21
    assert done.usage.total_tokens == done.usage.prompt_tokens + 21


async def test_audio_that_arrives_between_two_deltas(serve: Serve) -> None:
    settings = SimulatorSettings(listen=FREE_PORT, kind="realtime", inter_token_latency=0.001)
    async with Simulator(settings) as simulator:
        service = await serve(upstream=(simulator.url,), **QUIET)
        result = await live(service, config(), *(audio() for _ in range(10)))
    assert result.code is Code.OK
    assert result.received[-1].done.usage.completion_tokens == 101


async def test_several_utterances(service: Service) -> None:
    messages = (config(model="tiny-chat"), audio(), COMMIT, audio(), audio(), COMMIT, audio())
    result = await live(service, *messages)
    assert result.code is Code.OK
    assert kinds(result) == ["started"] + ["delta", "done"] * 3
    counts = [one.done.usage.completion_tokens for one in result.received if one.HasField("done")]
    assert counts == [11, 21, 11]


async def test_the_session_starts_without_audio_and_text_comes_before_the_end(
    channel: aio.Channel,
) -> None:
    call: Any = TranscriptionServiceStub(channel).TranscribeLive(timeout=BOUND_S)
    await call.write(config())
    assert (await call.read()).HasField("started")
    await call.write(audio())
    assert (await call.read()).delta.text == " Hello"
    await call.done_writing()
    assert (await ending(call)).code is Code.OK


async def test_a_chunk_larger_than_an_event_of_vllm(service: Service, simulator: Simulator) -> None:
    result = await live(service, config(), audio(SECOND * 60))
    assert result.code is Code.OK
    assert result.received[-1].done.usage.completion_tokens == 601


async def test_the_log_counts_the_tokens_of_all_utterances(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock.rpc")
    await live(service, config(), audio(), COMMIT, audio())
    await until(lambda: bool(caplog.records))
    fields: dict[str, Any] = vars(caplog.records[-1])["fields"]
    assert (fields["code"], fields["output_tokens"]) == ("OK", 22)


# Bad input

BAD: dict[str, tuple[tuple[TranscribeLiveRequest, ...], str]] = {
    "no messages": ((), "config"),
    "no configuration": ((audio(),), "config"),
    "a rate": ((config(sample_rate_hertz=24_000), audio()), "config.sample_rate_hertz"),
    "an option": ((config(engine={"cache_salt": "x"}), audio()), "config.engine.cache_salt"),
    "half a sample": ((config(), audio(b"123")), "audio_chunk"),
    "no audio": ((config(),), "audio_chunk"),
    "no audio in the chunks": ((config(), audio(b"")), "audio_chunk"),
    "a second configuration": ((config(), audio(), config()), "config"),
    "an empty message": ((config(), audio(), TranscribeLiveRequest()), "payload"),
    "an utterance without audio": ((config(), COMMIT), "commit"),
    "a second end": ((config(), audio(), COMMIT, COMMIT), "commit"),
}


@pytest.mark.parametrize(("messages", "field"), BAD.values(), ids=BAD)
async def test_bad_input(
    service: Service, messages: tuple[TranscribeLiveRequest, ...], field: str
) -> None:
    result = await live(service, *messages)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields == [field]


@pytest.mark.parametrize("chunks", [(SECOND * 3,), (SECOND, SECOND, SECOND)])
async def test_a_long_utterance(
    serve: Serve, simulator: Simulator, chunks: tuple[bytes, ...]
) -> None:
    service = await serve(upstream=(simulator.url,), max_utterance=2.0, **QUIET)
    result = await live(service, config(), *(audio(chunk) for chunk in chunks))
    assert (result.code, result.fields) == (Code.INVALID_ARGUMENT, ["audio_chunk"])
    assert "longer than 2 s; send `commit`" in result.message


async def test_each_utterance_has_the_whole_length(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_utterance=2.0, **QUIET)
    messages = (audio(), audio(), COMMIT, audio(SECOND * 2))
    assert (await live(service, config(), *messages)).code is Code.OK


async def test_an_utterance_without_limit(serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), max_utterance=0.0, **QUIET)
    assert (await live(service, config(), audio(SECOND * 3))).code is Code.OK


async def test_the_rate_may_be_given(service: Service) -> None:
    assert (await live(service, config(sample_rate_hertz=16_000), audio())).code is Code.OK


# Failures of the upstream


async def test_an_error_that_leaves_the_session_open(
    service: Service, simulator: Simulator
) -> None:
    simulator.faults = "live-error after=3 code=invalid_audio"
    result = await live(service, config(), audio())
    assert result.code is Code.OK
    assert kinds(result) == ["started", "delta", "error", "delta", "done"]
    error = next(one.error for one in result.received if one.HasField("error"))
    assert (error.message, error.code) == ("Simulated", "invalid_audio")


ERRORS = {
    "processing_error": (Code.INTERNAL, "UPSTREAM_INTERNAL"),
    # The upstream lists it, so it may have just started.
    "model_not_found": (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    "model_not_validated": (Code.INTERNAL, "UPSTREAM_INTERNAL"),
}


@pytest.mark.parametrize(("code", "expected"), ERRORS.items(), ids=ERRORS)
async def test_an_error_that_ends_the_session(
    service: Service, simulator: Simulator, code: str, expected: tuple[Code, str]
) -> None:
    await until(lambda: bool(service._fleet.healthy()))
    simulator.faults = f"live-error after=3 code={code}"
    result = await live(service, config(), audio())
    assert (result.code, result.reason) == expected
    assert kinds(result) == ["started", "delta"]


BROKEN = {
    "closed before the session": ("cut after=0", "UPSTREAM_CLOSED"),
    "closed in an utterance": ("cut after=4", "STREAM_INTERRUPTED"),
    "reset in an utterance": ("reset after=4", "STREAM_INTERRUPTED"),
    "closed before the end": ("cut after=11", "STREAM_INTERRUPTED"),
}


@pytest.mark.parametrize(("fault", "reason"), BROKEN.values(), ids=BROKEN)
async def test_the_upstream_closes_early(
    service: Service, simulator: Simulator, fault: str, reason: str
) -> None:
    simulator.faults = fault
    result = await live(service, config(), audio())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, reason)
    assert "done" not in kinds(result)


async def test_the_upstream_falls_silent(
    simulator: Simulator, serve: Serve, skip: Skipping
) -> None:
    simulator.faults = "stall after=3"
    service = await serve(upstream=(simulator.url,), idle_timeout=LIMIT_S)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = TranscriptionServiceStub(channel).TranscribeLive(sent((config(), audio())))
        result = asyncio.ensure_future(ending(call))
        await skip()
        assert (await result).reason == "STREAM_INTERRUPTED"
        assert result.result().metadata["limit"] == "idle_timeout"
        await simulator.wait_active(0)


async def test_the_upstream_accepts_nothing(
    simulator: Simulator, serve: Serve, skip: Skipping
) -> None:
    simulator.faults = "silent"
    service = await serve(upstream=(simulator.url,), first_byte_timeout=LIMIT_S)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = TranscriptionServiceStub(channel).TranscribeLive(sent((config(), audio())))
        result = asyncio.ensure_future(ending(call))
        await skip()
        assert ((await result).code, result.result().received) == (Code.DEADLINE_EXCEEDED, [])
        assert result.result().metadata["limit"] == "first_byte_timeout"


async def test_a_silent_caller_does_not_make_the_upstream_late(
    simulator: Simulator, serve: Serve, skip: Skipping
) -> None:
    service = await serve(upstream=(simulator.url,), idle_timeout=LIMIT_S / 3, request_timeout=0)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = TranscriptionServiceStub(channel).TranscribeLive()
        await call.write(config())
        await call.read()
        skip.jump(LIMIT_S / 2)
        await call.write(audio())
        assert (await call.read()).HasField("delta")
        skip.jump(LIMIT_S / 2)
        await call.done_writing()
        assert (await ending(call)).code is Code.OK


async def test_the_whole_session_has_a_limit(
    simulator: Simulator, serve: Serve, skip: Skipping
) -> None:
    service = await serve(upstream=(simulator.url,), total_timeout=LIMIT_S)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = TranscriptionServiceStub(channel).TranscribeLive()
        await call.write(config())
        await call.read()
        result = asyncio.ensure_future(ending(call))
        await skip()
        assert (await result).code is Code.DEADLINE_EXCEEDED
        assert result.result().metadata["limit"] == "total_timeout"


@pytest.mark.parametrize("kind", ["whisper", "chat"])
async def test_a_model_without_it(kind: str, serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind=kind)) as simulator:
        service = await serve(upstream=(simulator.url,))
        result = await live(service, config(), audio())
    assert (result.code, result.reason) == (Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED")
    assert "live transcription" in result.message
    assert result.received == []


async def test_an_unknown_model(service: Service) -> None:
    result = await live(service, config(model="no"), audio())
    assert (result.code, result.reason, result.resource) == (
        Code.NOT_FOUND,
        "MODEL_NOT_FOUND",
        "no",
    )


async def test_the_key_is_sent(serve: Serve) -> None:
    settings = SimulatorSettings(listen=FREE_PORT, kind="realtime", api_key="secret")
    async with Simulator(settings) as simulator:
        for key, code in (("secret", Code.OK), ("other", Code.INTERNAL)):
            service = await serve(upstream=(simulator.url,), upstream_api_key=key, **QUIET)
            assert (await live(service, config(model="tiny-chat"), audio())).code is code


ANSWERS = {
    "500": (failing("500 x", code=500), Code.INTERNAL, "UPSTREAM_INTERNAL"),
    "503": (failing("503 x", code=503), Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    "404": (
        http_answer("404 x", b'{"detail": "x"}'),
        Code.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
    ),
    "403": (http_answer("403 x", b""), Code.UNIMPLEMENTED, "OPERATION_NOT_SUPPORTED"),
    "403 with a reason": (failing("403 x", code=403), Code.INTERNAL, "UPSTREAM_AUTH_FAILED"),
    "401": (http_answer("401 x", b"{}"), Code.INTERNAL, "UPSTREAM_AUTH_FAILED"),
    "200": (http_answer("200 OK", b"{}"), Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
    "not HTTP": (b"hello\r\n\r\n", Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE"),
    "redirect": (
        b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        Code.INTERNAL,
        "GATEWAY_ERROR",
    ),
    "closed": (b"", Code.UNAVAILABLE, "UPSTREAM_CLOSED"),
}


@pytest.mark.parametrize(("raw", "code", "reason"), ANSWERS.values(), ids=ANSWERS)
async def test_a_refused_websocket(raw: bytes, code: Code, reason: str, serve: Serve) -> None:
    async with running(Upstream(raw)) as upstream:
        service = await serve(upstream=(upstream.url,), **QUIET)
        result = await live(service, config(model="m"), audio())
    assert (result.code, result.reason, result.received) == (code, reason, [])


async def test_nothing_listens(serve: Serve) -> None:
    with closed_url() as url:
        service = await serve(upstream=(url,))
        result = await live(service, config(model="m"), audio())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "UPSTREAM_CONNECT_FAILED")


async def test_draining(service: Service) -> None:
    service._admission.close()
    result = await live(service, config(), audio())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "DRAINING")


async def test_all_connections_in_use(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), max_connections=1, max_attempts=1, **QUIET)
    async with plain_channel(service) as channel:
        first: Any = TranscriptionServiceStub(channel).TranscribeLive()
        await first.write(config(model="tiny-chat"))
        await first.read()
        result = await live(service, config(model="tiny-chat"), audio())
        first.cancel()
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "OVERLOADED")


async def test_a_reload_does_not_forget_the_open_sessions(
    simulator: Simulator, serve: Serve
) -> None:
    service = await serve(upstream=(simulator.url,), max_connections=1, max_attempts=1, **QUIET)
    async with plain_channel(service) as channel:
        first: Any = TranscriptionServiceStub(channel).TranscribeLive()
        await first.write(config(model="tiny-chat"))
        await first.read()
        await service.reload(replace(service.settings, idle_timeout=BOUND_S))
        result = await live(service, config(model="tiny-chat"), audio())
        assert (result.code, result.reason) == (Code.UNAVAILABLE, "OVERLOADED")
        await first.write(audio())
        await first.done_writing()
        assert (await ending(first)).code is Code.OK
        assert (await live(service, config(model="tiny-chat"), audio())).code is Code.OK


# Callers that leave, and stops


async def test_cancelling_closes_the_websocket(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,), **QUIET)
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        await until(lambda: bool(service._fleet.healthy()))
        tasks = len(asyncio.all_tasks())
        call: Any = TranscriptionServiceStub(channel).TranscribeLive()
        await call.write(config())
        await call.write(audio())
        await call.read()
        await simulator.wait_active(1)
        call.cancel()
        await simulator.wait_aborted(1)
        await simulator.wait_active(0)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_stop_lets_a_session_finish(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = TranscriptionServiceStub(channel).TranscribeLive()
        await call.write(config())
        await call.read()
        stopping = asyncio.ensure_future(service.stop(BOUND_S))
        await until(lambda: service._admission._closed)
        await call.write(audio())
        await call.done_writing()
        result = await ending(call)
        assert (result.code, kinds(result)) == (Code.OK, ["delta", "done"])
        await stopping


# Upstreams that the simulator is not

Serving = Callable[[ServerConnection], Awaitable[None]]


async def _no_probe(socket: ServerConnection, request: Request) -> Response | None:
    return None if request.path == "/v1/realtime" else socket.respond(404, "")


@asynccontextmanager
async def websocket(serving: Serving, **options: Any) -> AsyncIterator[int]:
    """Runs an upstream that has nothing but a websocket; yields its port."""
    options |= {"process_request": _no_probe, "close_timeout": 0.1}
    async with listen(serving, "127.0.0.1", 0, **options) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def say(socket: ServerConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def one_utterance(socket: ServerConnection) -> None:
    await say(socket, "session.created", id="sess-1", created=1, codec="pcm")
    async for message in socket:
        if json.loads(message).get("final"):
            await say(socket, "session.note", about="x")
            await say(socket, "transcription.delta", delta="", logprob=-1)
            await say(socket, "transcription.delta", delta="")
            await say(socket, "transcription.delta", delta=None)
            await say(socket, "transcription.delta", delta="a")
            await socket.send(json.dumps({"type": "transcription.done", "text": "a"}).encode())


async def test_what_is_new_is_kept_and_what_is_empty_is_not(serve: Serve) -> None:
    async with websocket(one_utterance) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        result = await live(service, config(model="m"), audio())
    assert result.code is Code.OK
    first, second, third, fourth, last = result.received
    assert first.started.extra.json == '{"codec":"pcm"}'
    assert second.extra.json == '{"type":"session.note","about":"x"}'
    assert third.delta.extra.json == '{"logprob":-1}'
    assert (fourth.delta.text, last.done.text, last.done.HasField("usage")) == ("a", "a", False)


@pytest.mark.parametrize("event", ["no", "[]", '{"type": "transcription.delta"}'])
async def test_an_unreadable_event(event: str, serve: Serve) -> None:
    async def serving(socket: ServerConnection) -> None:
        await say(socket, "session.created")
        await socket.send(event)
        await socket.wait_closed()

    async with websocket(serving) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        result = await live(service, config(model="m"), audio())
    assert (result.code, result.reason) == (Code.INTERNAL, "UPSTREAM_MALFORMED_RESPONSE")


@pytest.mark.parametrize("code", [1000, 1009, 1011])
async def test_the_upstream_closes(code: int, serve: Serve) -> None:
    async def serving(socket: ServerConnection) -> None:
        await say(socket, "session.created")
        await socket.recv()
        await socket.close(code)

    async with websocket(serving) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        result = await live(service, config(model="m"), audio())
    assert (result.code, result.reason) == (Code.UNAVAILABLE, "STREAM_INTERRUPTED")


async def test_an_error_in_another_form(serve: Serve) -> None:
    async def serving(socket: ServerConnection) -> None:
        await say(socket, "session.created")
        await say(socket, "error", error={"message": "It broke.", "code": 5})
        await socket.wait_closed()

    async with websocket(serving) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        result = await live(service, config(model="m"), audio())
    assert (result.reason, result.message) == ("UPSTREAM_INTERNAL", "It broke.")


async def test_the_next_utterance_waits_for_the_end_of_the_one_before(serve: Serve) -> None:
    heard: list[str] = []
    go = asyncio.Event()

    async def serving(socket: ServerConnection) -> None:
        await say(socket, "session.created")
        async for message in socket:
            event = json.loads(message)
            heard.append(f"{event['type']} {event.get('final', '')}".strip())
            if event.get("final"):
                await go.wait()
                await say(socket, "transcription.done", text="a")

    async with websocket(serving) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        messages = (config(model="m"), audio(b"12"), COMMIT, audio(b"12"))
        result = asyncio.ensure_future(live(service, *messages))
        utterance = [
            "input_audio_buffer.commit False",
            "input_audio_buffer.append",
            "input_audio_buffer.commit True",
        ]
        await until(lambda: len(heard) >= 4)
        await asyncio.sleep(0.05)  # for an early utterance; no event reports that there is none
        assert heard == ["session.update", *utterance]
        go.set()
        assert (await result).code is Code.OK
    assert heard == ["session.update", *utterance, *utterance]


async def test_a_slow_upstream_slows_the_caller(serve: Serve) -> None:
    async def serving(socket: ServerConnection) -> None:
        await say(socket, "session.created")
        await socket.wait_closed()

    written = 0

    async def speaking() -> AsyncIterator[TranscribeLiveRequest]:
        nonlocal written
        yield config(model="m")
        while True:
            yield audio()
            written += 1

    async with websocket(serving, max_queue=1) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = TranscriptionServiceStub(channel).TranscribeLive(speaking())
            await call.read()
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.05)
            call.cancel()
    assert 0 < written * len(SECOND) < 32 * 1024 * 1024


async def test_a_slow_caller_slows_the_upstream(serve: Serve) -> None:
    sent_events = 0

    async def serving(socket: ServerConnection) -> None:
        nonlocal sent_events
        await say(socket, "session.created")
        while True:
            await say(socket, "transcription.delta", delta="x" * 10_000)
            sent_events += 1

    async with websocket(serving) as port:
        service = await serve(upstream=(f"http://127.0.0.1:{port}",), **QUIET)
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call: Any = TranscriptionServiceStub(channel).TranscribeLive()
            await call.write(config(model="m"))
            await call.read()
            before = -1
            while before != sent_events:
                before = sent_events
                await asyncio.sleep(0.05)
            call.cancel()
    assert 0 < sent_events * 10_000 < 64 * 1024 * 1024
