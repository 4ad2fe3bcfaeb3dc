"""Connections: retries, TLS, readiness, settings."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import FREE_PORT, Serve
from grpc import aio

from penstock import (
    TLS,
    AsyncClient,
    CallCancelledError,
    Client,
    ClientClosedError,
    DeadlineExceededError,
    IncompleteStreamError,
    NotFoundError,
    UnavailableError,
    UnimplementedError,
)
from penstock.channel import MOST_RETRIES, open_async_channel
from penstock.cli import chat_request
from penstock.v1 import chat_completion_pb2, chat_completion_pb2_grpc
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.simulator import Simulator

PEM = Path(__file__).with_name("tls")
CERT, KEY = PEM / "cert.pem", PEM / "key.pem"
NAME = "penstock.test"
HELLO = "Hello! How can I help you today?"

Answer = chat_completion_pb2.CreateChatCompletionResponse
Piece = chat_completion_pb2.StreamChatCompletionResponse


class Counting(chat_completion_pb2_grpc.ChatCompletionServiceServicer):
    """A service that is unavailable for a number of calls, and counts them."""

    def __init__(self, failures: int = 0, messages: int = 0) -> None:
        self.attempts = 0
        self.user_agent = ""
        self.remaining: float | None = None
        self._failures, self._messages = failures, messages

    async def CreateChatCompletion(self, request: Any, context: Any) -> Answer:
        await self._attempt(context)
        return Answer(id="1")

    async def StreamChatCompletion(self, request: Any, context: Any) -> AsyncIterator[Piece]:
        for _ in range(self._messages):
            yield Piece(id="1")
        await self._attempt(context)

    async def _attempt(self, context: Any) -> None:
        self.attempts += 1
        self.user_agent = dict(context.invocation_metadata())["user-agent"]
        self.remaining = context.time_remaining()
        if self.attempts <= self._failures:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


@asynccontextmanager
async def serving(
    servicer: Counting,
    credentials: grpc.ServerCredentials | None = None,
    address: str = FREE_PORT,
) -> AsyncIterator[str]:
    server = aio.server()
    chat_completion_pb2_grpc.add_ChatCompletionServiceServicer_to_server(servicer, server)
    if credentials:
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@pytest.mark.parametrize(("retries", "failures"), [(0, 0), (1, 1), (2, 2), (4, 4)])
async def test_unavailable_is_retried(retries: int, failures: int) -> None:
    servicer = Counting(failures)
    async with serving(servicer) as target, AsyncClient(target, retries=retries) as client:
        assert (await client.chat.create("Hi")).id == "1"
    assert servicer.attempts == failures + 1


@pytest.mark.parametrize("retries", [0, 1, None])
async def test_the_maximum_number_of_retries(retries: int | None) -> None:
    servicer = Counting(failures=100)
    async with serving(servicer) as target, AsyncClient(target, retries=retries) as client:
        with pytest.raises(UnavailableError):
            await client.chat.create("Hi")
    assert servicer.attempts == (2 if retries is None else retries) + 1


async def test_a_blocking_client_retries() -> None:
    servicer = Counting(failures=2)
    async with serving(servicer) as target:

        def call() -> str:
            with Client(target) as client:
                return client.chat.create("Hi").id

        assert await asyncio.to_thread(call) == "1"
    assert servicer.attempts == 3


async def test_a_large_request_is_retried() -> None:
    """By default, gRPC buffers requests of up to 256 KiB for retries."""
    servicer = Counting(failures=2)
    async with serving(servicer) as target, AsyncClient(target) as client:
        assert (await client.chat.create("x" * 1_000_000)).id == "1"
    assert servicer.attempts == 3


async def test_a_new_client_connects_although_an_older_one_could_not() -> None:
    """By default, gRPC would let both wait before they connect again."""
    waits_ms = [(f"grpc.{which}_reconnect_backoff_ms", 60_000) for which in ("initial", "max")]
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        target = "{}:{}".format(*reserved.getsockname())
        async with open_async_channel(target, waits_ms, retries=0) as older:
            with pytest.raises(grpc.RpcError, match="Connection refused"):
                await ChatCompletionServiceStub(older).CreateChatCompletion(chat_request("Hi"))
            newer = open_async_channel(target, waits_ms, retries=0)
            async with serving(Counting(), address=target), newer:
                stub = ChatCompletionServiceStub(newer)
                assert (await stub.CreateChatCompletion(chat_request("Hi"))).id == "1"


async def test_no_retry_after_the_first_message() -> None:
    servicer = Counting(failures=100, messages=1)
    async with serving(servicer) as target, AsyncClient(target) as client:
        with pytest.raises(UnavailableError):
            await client.chat.stream("Hi").final()
    assert servicer.attempts == 1


async def test_retries_within_the_deadline(service: Service, simulator: Simulator) -> None:
    simulator.faults = "status;code=503"
    async with AsyncClient(f"127.0.0.1:{service.port}", retries=4) as client:
        with pytest.raises((UnavailableError, DeadlineExceededError)):
            async with asyncio.timeout(60):
                await client.chat.create("Hi", timeout=0.3)


@pytest.mark.parametrize("of_call", [50, None, "unset"])
@pytest.mark.parametrize("of_client", [100, 10, None, "unset"])
async def test_the_timeout_of_a_call_takes_precedence(of_client: Any, of_call: Any) -> None:
    client_options = {} if of_client == "unset" else {"timeout": of_client}
    options = {} if of_call == "unset" else {"timeout": of_call}
    first = of_call if options else of_client
    expected = 600 if first == "unset" else first

    def call(target: str) -> None:
        with Client(target, **client_options) as client:
            client.chat.create("Hi", **options)
            client.chat.stream("Hi", **options).final()

    servicer = Counting(messages=1)
    async with serving(servicer) as target:
        async with AsyncClient(target, **client_options) as client:
            await client.chat.create("Hi", **options)
        assert is_near(servicer.remaining, expected)
        with pytest.raises(IncompleteStreamError):
            await asyncio.to_thread(call, target)
        assert is_near(servicer.remaining, expected)
    assert servicer.attempts == 3


def is_near(remaining: float | None, expected: float | None) -> bool:
    if remaining is None or expected is None:
        return remaining is expected
    return expected - 9 < remaining < expected + 1


@pytest.mark.parametrize("seconds", [1e10, 1e300, math.inf])
async def test_a_deadline_in_the_far_future(seconds: float, target: str) -> None:
    async with AsyncClient(target, timeout=seconds) as client:
        assert (await client.chat.create("Say hello.")).text == HELLO
        assert (await client.chat.stream("Say hello.", timeout=seconds).final()).text == HELLO
        await client.wait_ready(seconds)


async def test_an_exceeded_deadline(service: Service, simulator: Simulator) -> None:
    simulator.faults = "stall;after=2"
    target = f"127.0.0.1:{service.port}"

    def call() -> None:
        with Client(target, timeout=0.3) as client:
            with pytest.raises(DeadlineExceededError):
                client.chat.create("Say hello.")
            stream = client.chat.stream("Say hello.")
            with pytest.raises(DeadlineExceededError):
                stream.final()
            assert HELLO.startswith(stream.snapshot.text)

    await asyncio.to_thread(call)
    async with AsyncClient(target) as client:
        with pytest.raises(DeadlineExceededError):
            await client.chat.stream("Say hello.", timeout=0.3).final()


async def test_user_agent() -> None:
    servicer = Counting()
    async with serving(servicer) as target, AsyncClient(target) as client:
        await client.chat.create("Hi")
    assert servicer.user_agent.startswith("penstock-python/")
    assert "grpc-python" in servicer.user_agent


async def test_options_of_the_caller_take_precedence() -> None:
    servicer = Counting()
    options = [("grpc.primary_user_agent", "mine/1")]
    async with serving(servicer) as target, AsyncClient(target, channel_options=options) as client:
        await client.chat.create("Hi")
    assert servicer.user_agent.startswith("mine/1")


@pytest.mark.parametrize("retries", [-1, MOST_RETRIES + 1])
def test_invalid_numbers_of_retries(retries: int) -> None:
    with pytest.raises(ValueError, match="retries must be 0 to 4"):
        Client(retries=retries)


def server_credentials(*, mutual: bool) -> grpc.ServerCredentials:
    pair = [(KEY.read_bytes(), CERT.read_bytes())]
    return grpc.ssl_server_credentials(pair, CERT.read_bytes() if mutual else None, mutual)


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("read", [lambda path: path, lambda path: path.read_bytes(), str])
async def test_tls(mutual: bool, read: Callable[[Path], Any]) -> None:
    own = {"cert": read(CERT), "key": read(KEY)} if mutual else {}
    tls = TLS(ca=read(CERT), server_name=NAME, **own)
    async with serving(Counting(), server_credentials(mutual=mutual)) as target:
        async with AsyncClient(target, tls=tls) as client:
            assert (await client.chat.create("Hi")).id == "1"
        assert await asyncio.to_thread(call_blocking, target, tls) == "1"


def call_blocking(target: str, tls: TLS) -> str:
    with Client(target, tls=tls) as client:
        return client.chat.create("Hi").id


@pytest.mark.parametrize("tls", [None, True, TLS(ca=CERT)], ids=["none", "other ca", "other name"])
async def test_tls_with_wrong_certificates(tls: Any) -> None:
    async with (
        serving(Counting(), server_credentials(mutual=False)) as target,
        AsyncClient(target, tls=tls, retries=0) as client,
    ):
        with pytest.raises(UnavailableError):
            await client.chat.create("Hi")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_missing_file(kind: Any) -> None:
    with pytest.raises(FileNotFoundError):
        kind(tls=TLS(ca="nowhere.pem"))


async def test_ready_after_a_while(simulator: Simulator, serve: Serve) -> None:
    simulator.healthy = False
    service = await serve(upstream=(simulator.url,))
    async with AsyncClient(f"127.0.0.1:{service.port}") as client:
        assert not await client.health()
        waiting = asyncio.ensure_future(client.wait_ready(60))
        blocking = asyncio.ensure_future(asyncio.to_thread(wait_blocking, service.port))
        with pytest.raises(DeadlineExceededError) as caught:
            await client.wait_ready(2)
        described = f"127.0.0.1:{service.port} is not ready after 2 s: it reports NOT_SERVING"
        assert caught.value.status.message == described
        simulator.healthy = True
        await waiting
        await blocking
        assert await client.health("penstock.v1.ChatCompletionService")
        with pytest.raises(NotFoundError):
            await client.health("nothing")


def wait_blocking(port: int) -> None:
    with Client(f"127.0.0.1:{port}") as client:
        client.wait_ready(60)


async def test_ready_when_the_service_starts_later(simulator: Simulator, serve: Serve) -> None:
    service = await serve(upstream=(simulator.url,))
    listen = f"127.0.0.1:{service.port}"
    await service.stop(0)
    async with AsyncClient(listen) as client:
        waiting = asyncio.ensure_future(client.wait_ready(60))
        with pytest.raises(UnavailableError):
            await client.chat.create("Hi")
        await serve(upstream=(simulator.url,), listen=listen)
        await waiting
        assert (await client.chat.create("Say hello.")).text


async def test_never_ready() -> None:
    def wait() -> str:
        with Client("127.0.0.1:1") as client:
            with pytest.raises(DeadlineExceededError) as caught:
                client.wait_ready(5)
            return caught.value.status.message

    blocking = asyncio.create_task(asyncio.to_thread(wait))
    async with AsyncClient("127.0.0.1:1") as client:
        with pytest.raises(DeadlineExceededError) as caught:
            await client.wait_ready(5)
    assert caught.value.request_id
    for described in (caught.value.status.message, await blocking):
        assert described.startswith("127.0.0.1:1 is not ready after 5 s: UNAVAILABLE: ")
        assert "nothing listens there" in described


def test_a_wait_that_times_out_while_connections_fail() -> None:
    """gRPC may report either that there is no connection or that the time has passed."""
    begun = time.monotonic()
    with Client("127.0.0.1:1") as client:
        for seconds in (0.5, *[0] * 20):
            with pytest.raises(DeadlineExceededError):
                client.wait_ready(seconds)
            assert time.monotonic() - begun < 60


async def test_no_answer_before_the_wait_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        async with aio.insecure_channel(target) as channel:
            with pytest.raises(DeadlineExceededError) as caught:
                await AsyncClient(channel=channel).wait_ready(0.2)
    assert caught.value.status.message == "the service is not ready after 0.2 s: no response"


@pytest.mark.parametrize("seconds", [20, None])
async def test_a_service_that_limits_each_watch(seconds: float | None) -> None:
    """Its limit is not that of the caller."""
    watches = 0

    async def watch(request: bytes, context: Any) -> AsyncIterator[bytes]:
        nonlocal watches
        watches += 1
        if watches == 1:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too long for me")
        yield bytes([8, 1])  # SERVING

    server = aio.server()
    handler: Any = grpc.unary_stream_rpc_method_handler(watch)
    health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Watch": handler})
    server.add_generic_rpc_handlers((health,))
    port = server.add_insecure_port(FREE_PORT)
    await server.start()
    async with AsyncClient(f"127.0.0.1:{port}") as client:
        await client.wait_ready(seconds)
    await server.stop(0)
    assert watches == 2


async def test_waiting_fails_at_once_if_the_target_is_not_a_service() -> None:
    async with serving(Counting()) as target, AsyncClient(target) as client:
        with pytest.raises(UnimplementedError):
            await client.wait_ready(20)


async def test_a_closed_client(service: Service) -> None:
    target = f"127.0.0.1:{service.port}"

    def blocking() -> None:
        with Client(target) as client:
            client.chat.create("Hi")
        for _ in range(2):
            with pytest.raises(ClientClosedError, match="the client is closed"):
                client.chat.create("Hi")
            with pytest.raises(ClientClosedError):
                client.completions.stream("Hi")
            with pytest.raises(ClientClosedError):
                client.health.wait()

    await asyncio.to_thread(blocking)
    async with AsyncClient(target) as client:
        await client.chat.create("Hi")
    for _ in range(2):
        with pytest.raises(ClientClosedError, match="the client is closed"):
            await client.chat.create("Hi")
        with pytest.raises(ClientClosedError):
            client.completions.stream("Hi")
        with pytest.raises(ClientClosedError):
            await client.health.wait()
    assert ClientClosedError().request_id == ""


async def test_closing_a_client_ends_its_calls(service: Service, simulator: Simulator) -> None:
    """The calls end, but the tasks that await them are not cancelled."""
    simulator.faults = "stall;after=2"
    client = AsyncClient(f"127.0.0.1:{service.port}")
    whole = asyncio.ensure_future(client.chat.create("Say hello."))
    pieces = asyncio.ensure_future(client.chat.stream("Say hello.").final())
    await simulator.wait_active(2)
    await client.close()
    for call in (whole, pieces):
        with pytest.raises(CallCancelledError, match="closed"):
            await call


async def test_a_task_that_is_cancelled_together_with_its_stream(
    service: Service, simulator: Simulator
) -> None:
    simulator.faults = "stall;after=2"
    async with AsyncClient(f"127.0.0.1:{service.port}") as client:
        stream = client.chat.stream("Say hello.")
        reading = asyncio.ensure_future(stream.final())
        await simulator.wait_active(1)
        await stream.close()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_closing_a_client_does_not_close_the_callers_channel(service: Service) -> None:
    async with aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        async with AsyncClient(channel=channel) as client:
            assert client.channel is channel
        with pytest.raises(ClientClosedError):
            await client.health()
        assert (await AsyncClient(channel=channel).chat.create("Say hello.")).text == HELLO


def test_an_asyncio_client_may_be_created_anywhere(target: str) -> None:
    client = AsyncClient(target)

    async def call() -> str:
        return (await client.chat.create("Say hello.")).text

    async def first() -> None:
        async with client:
            stream = client.chat.stream("Say hello.")
            assert (await stream.final()).text == await call() == HELLO
            with pytest.raises(RuntimeError, match="this client belongs to another event loop"):
                await asyncio.to_thread(asyncio.run, call())

    with pytest.raises(RuntimeError, match="no running event loop"):
        client.chat.stream("Say hello.")
    asyncio.run(first())
    asyncio.run(AsyncClient(target).close())
