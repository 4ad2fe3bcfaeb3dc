"""Streams of items: each ends as a call of its own would, and several are sent together."""

import asyncio
import gc
import json
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from google.protobuf import text_format
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1.embedding_pb2 import (
    CreateEmbeddingsRequest,
    CreateEmbeddingsResponse,
    StreamEmbeddingsRequest,
    StreamEmbeddingsResponse,
)
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.message_pb2 import PoolingInput
from penstock_server.convert.joined import Part
from penstock_server.rpc.services.joining import Joiner
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream import Attempts

from .calls import BOUND_S, FREE_PORT, Ended, Serve, ended, item_ended, plain_channel, until
from .every_rpc import Upstream, answer, failing, running
from .keyed import SECRET, CallersFile, Clock, at_the_clock, bearer

QUIET = {"probe_interval": 3600}
NEVER = {"join_items_within": 60_000}
"""Requests are sent once they have their number of items, however slow the test is."""


@pytest.fixture
async def embedder() -> AsyncIterator[Simulator]:
    """A simulated vLLM with an embedding model."""
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="embed")) as simulator:
        yield simulator


def request(text: str, options: str = "") -> CreateEmbeddingsRequest:
    """Returns a request with one input, and options in text format."""
    made = CreateEmbeddingsRequest(inputs=[PoolingInput(text=text)])
    return text_format.Merge(options, made)


def items(*texts: str, options: str = "", **fields: Any) -> list[StreamEmbeddingsRequest]:
    """Returns items whose keys are their texts."""
    return [
        StreamEmbeddingsRequest(key=text, request=request(text, options), **fields)
        for text in texts
    ]


async def stream(
    channel: aio.Channel, sent: Iterable[StreamEmbeddingsRequest], **options: Any
) -> list[StreamEmbeddingsResponse]:
    """Makes a call that must succeed; returns its results."""
    call = EmbeddingServiceStub(channel).StreamEmbeddings(iter(sent), **options)
    return [one async for one in call]


async def alone(channel: aio.Channel, one: CreateEmbeddingsRequest) -> CreateEmbeddingsResponse:
    """Makes a call with one item."""
    made: CreateEmbeddingsResponse = await EmbeddingServiceStub(channel).CreateEmbeddings(one)
    return made


async def failing_alone(channel: aio.Channel, one: CreateEmbeddingsRequest) -> Ended:
    try:
        await alone(channel, one)
    except aio.AioRpcError as error:
        return ended(error)
    raise AssertionError("it did not fail")


def inputs(simulator: Simulator) -> list[list[str]]:
    """Returns the inputs of each request upstream."""
    sent = [one for one in simulator.requests if one.path == "/v1/embeddings"]
    return [one.json["input"] for one in sent]


TEXTS = [f"text {number}" for number in range(8)]


async def test_items_that_wait_are_sent_together(serve: Serve, embedder: Simulator) -> None:
    service = await serve(upstream=(embedder.url,), join_items_up_to=4, **NEVER)
    async with plain_channel(service) as channel:
        found = {one.key: one for one in await stream(channel, items(*TEXTS))}
        assert sorted(map(len, inputs(embedder))) == [4, 4]
        expected = [await alone(channel, request(text)) for text in TEXTS]
    assert [found[text].index for text in TEXTS] == list(range(8))
    vectors = [found[text].response.embeddings for text in TEXTS]
    assert vectors == [one.embeddings for one in expected]


async def test_a_complete_request_is_not_kept_until_its_time_is_over() -> None:
    joiner = Joiner(1, BOUND_S)
    joint = weakref.ref(joiner.join(Part(["a"], b""), Attempts())[0])
    gc.collect()
    assert joint() is None


async def test_the_counts_of_all_results_add_up(serve: Serve, embedder: Simulator) -> None:
    service = await serve(upstream=(embedder.url,), join_items_up_to=4, **NEVER)
    async with plain_channel(service) as channel:
        found = await stream(channel, items(*TEXTS))
        expected = [await alone(channel, request(text)) for text in TEXTS]
    assert not any(one.response.HasField("usage") for one in found)
    assert sum(one.HasField("shared_usage") for one in found) == 2
    shared = sum(one.shared_usage.prompt_tokens for one in found)
    assert shared == sum(one.usage.prompt_tokens for one in expected)


async def test_an_item_that_is_sent_alone_has_its_usage(serve: Serve, embedder: Simulator) -> None:
    service = await serve(upstream=(embedder.url,), join_items_up_to=1)
    async with plain_channel(service) as channel:
        [found] = await stream(channel, items("a"))
        assert found.response.usage == (await alone(channel, request("a"))).usage
    assert not found.HasField("shared_usage")


async def test_an_item_waits_for_others_only_for_a_time(serve: Serve, embedder: Simulator) -> None:
    service = await serve(upstream=(embedder.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = EmbeddingServiceStub(channel).StreamEmbeddings(_held(*items("a")))
        assert (await call.read()).HasField("response")
        call.cancel()


async def _held(*sent: StreamEmbeddingsRequest) -> AsyncIterator[StreamEmbeddingsRequest]:
    """Yields items, and does not end."""
    for one in sent:
        yield one
    await asyncio.Event().wait()


IDS = text_format.Parse("inputs {token_ids {ids: 5}}", CreateEmbeddingsRequest())
CONVERSATION = text_format.Parse(
    'inputs {chat {messages {role: ROLE_USER content {text: "a"}}}}', CreateEmbeddingsRequest()
)
APART = {
    "dtype": request("a", "dtype: VECTOR_DTYPE_FLOAT16"),
    "option": request("a", 'user: "someone"'),
    "engine": request("a", "engine {priority: 1}"),
    "request id": request("a", 'engine {request_id: "mine"}'),
    "extra": request("a", "extra_body {json: '{\"x\": 1}'}"),
    "model": request("a", 'model: "tiny-chat"'),
    "token ids": IDS,
    "conversation": CONVERSATION,
    "too many": text_format.Parse('inputs {text: "a"} ' * 4, CreateEmbeddingsRequest()),
}


@pytest.mark.parametrize("other", APART.values(), ids=APART)
async def test_items_that_are_not_alike_are_sent_apart(
    other: CreateEmbeddingsRequest, serve: Serve, embedder: Simulator
) -> None:
    service = await serve(upstream=(embedder.url,), join_items_up_to=4)
    async with plain_channel(service) as channel:
        sent = [*items("a"), StreamEmbeddingsRequest(key="other", request=other)]
        found = await stream(channel, sent)
        expected = await alone(channel, other)
    assert len([one for one in embedder.requests if one.path == "/v1/embeddings"]) == 3
    [response] = (one.response for one in found if one.key == "other")
    assert response.embeddings == expected.embeddings


async def test_a_larger_item_does_not_exceed_the_number_of_inputs(
    serve: Serve, embedder: Simulator
) -> None:
    service = await serve(upstream=(embedder.url,), join_items_up_to=4)
    three = text_format.Parse('inputs {text: "a"} ' * 3, CreateEmbeddingsRequest())
    sent = [StreamEmbeddingsRequest(key=str(number), request=three) for number in range(3)]
    async with plain_channel(service) as channel:
        found = await stream(channel, sent)
    assert [len(one.response.embeddings) for one in found] == [3, 3, 3]
    assert list(map(len, inputs(embedder))) == [3, 3, 3]


OF_CONTENTS = ["status code=400", "status code=500", "html", "wrong-index"]


@pytest.mark.parametrize("fault", OF_CONTENTS)
async def test_the_fault_of_one_item_does_not_fail_the_others(
    fault: str, serve: Serve, embedder: Simulator
) -> None:
    service = await serve(upstream=(embedder.url,), join_items_up_to=3, **NEVER)
    bad = f"b [[simulate: {fault}]]"
    async with plain_channel(service) as channel:
        expected = await failing_alone(channel, request(bad))
        found = {one.key: one for one in await stream(channel, items("a", bad, "c"))}
    assert found["a"].HasField("response")
    assert found["c"].HasField("response")
    failed = item_ended(found[bad].error)
    assert (failed.code, failed.message) == (expected.code, expected.message)
    assert (failed.reason, failed.fields) == (expected.reason, expected.fields)
    # Once together, then alone.
    assert failed.metadata == expected.metadata | {"attempts": "2"}


async def test_a_failure_of_the_upstream_is_that_of_every_item(serve: Serve) -> None:
    async with running(Upstream(failing("503 x", code=503))) as upstream:
        settings = {"max_attempts": 1, "join_items_up_to": 3, **NEVER, **QUIET}
        service = await serve(upstream=(upstream.url,), **settings)
        async with plain_channel(service) as channel:
            found = await stream(channel, items("a", "b", "c"))
    assert {one.error.reason for one in found} == {"UPSTREAM_UNAVAILABLE"}
    assert {item_ended(one.error).metadata["attempts"] for one in found} == {"1"}
    assert upstream.requests == 1


INVALID = {
    "long key": (StreamEmbeddingsRequest(key="k" * 513, request=request("a")), "key"),
    "no request": (StreamEmbeddingsRequest(key="k"), "request"),
    "order": (items("k", in_order=True)[0], "in_order"),
    "field": (items("k", options="inputs {text: 'x'} late_chunking {}")[0], "late_chunking"),
}


@pytest.mark.parametrize(("wrong", "field"), INVALID.values(), ids=INVALID)
async def test_an_invalid_item(
    wrong: StreamEmbeddingsRequest, field: str, serve: Serve, embedder: Simulator
) -> None:
    service = await serve(upstream=(embedder.url,))
    async with plain_channel(service) as channel:
        found = {one.index: one for one in await stream(channel, [*items("fine"), wrong])}
    result = item_ended(found[1].error)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields[0].startswith(field)
    assert found[0].HasField("response")


async def test_a_stream_without_items(channel: aio.Channel) -> None:
    assert await stream(channel, []) == []


ONE_VECTOR = json.dumps({"model": "m", "data": [{"index": 0, "embedding": "AACAPw=="}]}).encode()


class SecondFirst(Upstream):
    """An upstream that answers the first request only after the second one."""

    def __init__(self) -> None:
        super().__init__(answer("200 OK", ONE_VECTOR))
        self._second = asyncio.Event()

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.requests == 1:
            await self._second.wait()
        await super().respond(reader, writer)
        self._second.set()


@pytest.mark.parametrize(("in_order", "expected"), [(True, [0, 1]), (False, [1, 0])])
async def test_the_order_of_the_results(in_order: bool, expected: list[int], serve: Serve) -> None:
    async with running(SecondFirst()) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), join_items_up_to=1, **QUIET)
        async with plain_channel(service) as channel:
            call = EmbeddingServiceStub(channel).StreamEmbeddings()
            await call.write(items("a", in_order=in_order)[0])
            await upstream.came.wait()
            await call.write(items("b")[0])
            await call.done_writing()
            assert [one.index async for one in call] == expected


async def test_a_result_that_is_too_large_is_the_error_of_its_item(
    serve: Serve, embedder: Simulator
) -> None:
    # A vector has 256 bytes.
    service = await serve(upstream=(embedder.url,), max_message_bytes=4096)
    large = text_format.Parse('inputs {text: "a"} ' * 20, CreateEmbeddingsRequest())
    sent = [*items("a"), StreamEmbeddingsRequest(key="b", request=large)]
    async with plain_channel(service) as channel:
        found = {one.key: one for one in await stream(channel, sent)}
    assert found["a"].HasField("response")
    assert found["b"].error.reason == "REQUEST_TOO_LARGE"


def _limited(limit: str) -> str:
    return f'[[caller]]\nname = "items"\nkeys = ["{SECRET}"]\n{limit}\n'


async def test_each_item_counts_as_a_call(embedder: Simulator, callers_file: CallersFile) -> None:
    callers = callers_file(_limited("calls_per_minute = 3"))
    clock = Clock()
    async with (
        at_the_clock(clock, upstream=(embedder.url,), callers_file=callers) as service,
        plain_channel(service) as channel,
    ):
        found = await stream(channel, items(*TEXTS[:4]), metadata=bearer(SECRET))
    # The call itself is the first of three.
    assert Counter(one.error.reason for one in found) == {"": 2, "RATE_LIMITED": 2}


async def test_the_tokens_of_items_count_once(
    embedder: Simulator, callers_file: CallersFile
) -> None:
    callers, clock = callers_file(_limited("tokens_per_minute = 1000000")), Clock()
    async with (
        at_the_clock(clock, upstream=(embedder.url,), callers_file=callers) as service,
        plain_channel(service) as channel,
    ):
        found = await stream(channel, items(*TEXTS), metadata=bearer(SECRET))
        assert service.authentication
        entry = service.authentication._ledger.entries(["items"])[0]
    used = sum(one.shared_usage.total_tokens + one.response.usage.total_tokens for one in found)
    # A token is paid after 60 microseconds.
    assert entry[1] == pytest.approx(clock.now + used * 60 / 1_000_000)


async def test_a_stream_is_one_concurrent_call(
    embedder: Simulator, callers_file: CallersFile
) -> None:
    callers = callers_file(_limited("concurrent_calls = 1"))
    settings = {"upstream": (embedder.url,), "callers_file": callers, "max_concurrent_calls": 1}
    async with (
        at_the_clock(Clock(), **settings) as service,
        plain_channel(service) as channel,
    ):
        found = await stream(channel, items(*TEXTS), metadata=bearer(SECRET))
        again = await stream(channel, items("a"), metadata=bearer(SECRET))
    assert {one.WhichOneof("result") for one in [*found, *again]} == {"response"}


async def test_a_cancelled_stream_ends_its_requests(serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), join_items_up_to=2, **NEVER, **QUIET)
        async with plain_channel(service) as channel:
            tasks = len(asyncio.all_tasks())
            # The last item still waits for another one.
            call = EmbeddingServiceStub(channel).StreamEmbeddings(_held(*items(*TEXTS[:5])))
            await until(lambda: upstream.open == 2)
            call.cancel()
            await until(lambda: upstream.open == 0)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_items_are_not_read_while_results_wait(serve: Serve) -> None:
    # Both the items and the results fill the windows of HTTP/2.
    large = {"model": "m", "data": [{"index": 0, "embedding": "A" * 400_000}]}
    async with running(Upstream(answer("200 OK", json.dumps(large).encode()))) as upstream:
        settings = {"item_concurrency": 4, "join_items_up_to": 1, **QUIET}
        service = await serve(upstream=(upstream.url,), **settings)
        written, long = 0, "word " * 20_000

        async def many() -> AsyncIterator[StreamEmbeddingsRequest]:
            nonlocal written
            for _ in range(1000):
                written += 1
                yield StreamEmbeddingsRequest(request=request(long))

        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = EmbeddingServiceStub(channel).StreamEmbeddings(many())
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.2)
            assert written < 1000
            call.cancel()
