"""Batches: each item ends as a call of its own would, and the call continues."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio
from skipping import LIMIT_S, Skipping

from penstock.v1.batch_pb2 import RunBatchRequest, RunBatchResponse
from penstock.v1.batch_pb2_grpc import BatchServiceStub
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock.v1.completion_pb2 import CreateCompletionRequest, Prompt
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.message_pb2 import PoolingInput
from penstock.v1.rerank_pb2 import RerankRequest, ScoringInput
from penstock_server.configuration import read_callers
from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import (
    BOUND_S,
    FREE_PORT,
    Serve,
    chat,
    create,
    ended,
    item_ended,
    plain_channel,
    until,
)
from .every_rpc import Upstream, answer, failing, running
from .keyed import OTHER, SECRET, CallersFile, Clock, at_the_clock, bearer

QUIET = {"probe_interval": 3600}
TEXT = "Say hello."


def item(key: str, fault: str = "") -> RunBatchRequest:
    """Returns an item that is a chat."""
    return RunBatchRequest(key=key, chat_completion=chat(fault=fault))


async def batch(
    channel: aio.Channel, items: Iterable[RunBatchRequest], **options: Any
) -> dict[str, RunBatchResponse]:
    """Runs a batch that must succeed; returns the result of each key."""
    results = [one async for one in BatchServiceStub(channel).RunBatch(iter(items), **options)]
    found = {result.key: result for result in results}
    assert len(found) == len(results)
    return found


async def test_an_item_of_each_kind(serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="all")) as simulator:
        service = await serve(upstream=(simulator.url,))
        items = [
            item("chat"),
            RunBatchRequest(
                key="text", completion=CreateCompletionRequest(prompts=[Prompt(text=TEXT)])
            ),
            RunBatchRequest(
                key="vectors", embeddings=CreateEmbeddingsRequest(inputs=[PoolingInput(text=TEXT)])
            ),
            RunBatchRequest(
                key="ranking",
                rerank=RerankRequest(
                    query=ScoringInput(text=TEXT), documents=[ScoringInput(text=TEXT)] * 2
                ),
            ),
        ]
        async with plain_channel(service) as channel:
            found = await batch(channel, items, metadata=(("x-request-id", "night"),))
    assert found["chat"].chat_completion.choices[0].message.content[0].text
    assert found["text"].completion.choices[0].text
    assert found["vectors"].embeddings.embeddings[0].float_vector.values
    assert len(found["ranking"].rerank.results) == 2
    assert [found[one.key].request_id for one in items] == [f"night-{n}" for n in range(4)]


FAULTS = ["status code=400", "status code=404", "status code=500", "html", "context-length"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failure_is_that_of_a_call(fault: str, serve: Serve, simulator: Simulator) -> None:
    service = await serve(upstream=(simulator.url,), batch_patience=0.0)
    # Until the models are known, one that is missing upstream is the caller's mistake.
    await until(lambda: bool(service._fleet.snapshot()[0].models))
    async with plain_channel(service) as channel:
        alone = await create(channel, chat(fault=fault))
        found = await batch(channel, [item("a"), item("b", fault), item("c")])
    assert [found[key].WhichOneof("result") for key in "abc"] == [
        "chat_completion",
        "error",
        "chat_completion",
    ]
    failed = item_ended(found["b"].error)
    assert (failed.code, failed.message) == (alone.code, alone.message)
    assert (failed.reason, failed.fields) == (alone.reason, alone.fields)
    assert failed.metadata == alone.metadata
    assert failed.request_id == found["b"].request_id


INVALID = {
    "no key": (RunBatchRequest(chat_completion=chat()), "key"),
    "long key": (RunBatchRequest(key="k" * 513, chat_completion=chat()), "key"),
    "no request": (RunBatchRequest(key="k"), "request"),
    "field": (RunBatchRequest(key="k", rerank=RerankRequest(model="m")), "query"),
}


@pytest.mark.parametrize(("wrong", "field"), INVALID.values(), ids=INVALID)
async def test_an_invalid_item(wrong: RunBatchRequest, field: str, channel: aio.Channel) -> None:
    found = await batch(channel, [wrong, item("fine")])
    result = item_ended(found[wrong.key].error)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields[0].startswith(field)
    assert found["fine"].HasField("chat_completion")


async def test_a_batch_without_items(channel: aio.Channel) -> None:
    assert await batch(channel, []) == {}


class Refusing(Upstream):
    """An upstream that refuses a number of requests, and answers the others."""

    def __init__(self, refusals: int, refusal: bytes) -> None:
        super().__init__(CHAT_ANSWER)
        self._left = refusals
        self._refusal = refusal
        self.most = 0

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.most = max(self.most, self.open)
        if self._left:
            self._left -= 1
            writer.write(self._refusal)
            await writer.drain()
        else:
            await super().respond(reader, writer)


CHAT_ANSWER = answer(
    "200 OK",
    b'{"id": "i", "model": "m", "created": 1, "usage": {"prompt_tokens": 1, "total_tokens": 2,'
    b' "completion_tokens": 1}, "choices": [{"index": 0, "finish_reason": "stop",'
    b' "message": {"role": "assistant", "content": "x"}}]}',
)


class Held(Upstream):
    """An upstream that answers once a test says so."""

    def __init__(self) -> None:
        super().__init__(CHAT_ANSWER)
        self.released = asyncio.Event()

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.released.wait()
        await super().respond(reader, writer)


@pytest.mark.parametrize("status", ["429 x", "503 x"])
async def test_a_refused_item_is_sent_again(status: str, serve: Serve) -> None:
    refusal = failing(status, code=int(status[:3]))
    async with running(Refusing(5, refusal)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), max_attempts=1, **QUIET)
        async with plain_channel(service) as channel:
            found = await batch(channel, [item(str(n)) for n in range(3)])
    assert {one.WhichOneof("result") for one in found.values()} == {"chat_completion"}
    assert upstream.requests == 8


async def test_without_patience_a_refused_item_fails(serve: Serve) -> None:
    async with running(Upstream(failing("429 x", code=429))) as upstream:
        service = await serve(upstream=(upstream.url,), batch_patience=0.0, **QUIET)
        async with plain_channel(service) as channel:
            found = await batch(channel, [item("a"), item("b")])
    assert {one.error.reason for one in found.values()} == {"RATE_LIMITED"}
    assert upstream.requests == 2


async def test_a_number_of_items_is_answered_at_once(serve: Serve) -> None:
    async with running(Refusing(0, b"")) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), batch_concurrency=3, **QUIET)
        async with plain_channel(service) as channel:
            found = await batch(channel, [item(str(n)) for n in range(20)])
    assert len(found) == 20
    assert upstream.most <= 3


async def test_items_leave_room_for_calls(serve: Serve) -> None:
    async with running(Held()) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), max_concurrent_calls=3, **QUIET)
        async with plain_channel(service) as channel:
            results = asyncio.create_task(batch(channel, [item(str(n)) for n in range(20)]))
            await until(lambda: upstream.open == 3)
            chats = ChatCompletionServiceStub(channel)
            calls = [chats.CreateChatCompletion(chat()) for _ in range(2)]
            await until(lambda: upstream.open == 5)
            upstream.released.set()
            await asyncio.gather(*calls)
            found = await results
    assert {one.WhichOneof("result") for one in found.values()} == {"chat_completion"}


@pytest.mark.parametrize(
    ("settings", "own", "metadata", "sent"),
    [
        ({}, None, (), "100"),
        ({"batch_priority": 7}, None, (), "7"),
        ({"batch_priority": 0}, None, (), None),
        ({}, -1, (), "-1"),
        ({}, 0, (), "0"),
        ({}, None, (("x-vllm-priority", "5"),), "5"),
    ],
)
async def test_priority(
    settings: dict[str, Any],
    own: int | None,
    metadata: Any,
    sent: str | None,
    serve: Serve,
    simulator: Simulator,
) -> None:
    service = await serve(upstream=(simulator.url,), **settings)
    one = item("a")
    if own is not None:
        one.chat_completion.engine.priority = own
    async with plain_channel(service) as channel:
        await batch(channel, [one], metadata=metadata)
    [request] = [one for one in simulator.requests if one.path.endswith("/chat/completions")]
    assert request.headers.get("x-vllm-priority") == sent


LIMITED = f"""
[[caller]]
name = "batch"
keys = ["{SECRET}"]
models = ["tiny-chat"]
methods = ["penstock.v1.BatchService/*", "penstock.v1.ChatCompletionService/*"]

[[caller]]
name = "other"
keys = ["{OTHER}"]
"""


async def test_an_item_needs_the_permissions_of_a_call(
    serve: Serve, callers_file: CallersFile
) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="all")) as simulator:
        service = await serve(upstream=(simulator.url,), callers_file=callers_file(LIMITED))
        vectors = CreateEmbeddingsRequest(inputs=[PoolingInput(text=TEXT)])
        items = [item("allowed"), item("model"), RunBatchRequest(key="method", embeddings=vectors)]
        items[0].chat_completion.model = "tiny-chat"
        items[1].chat_completion.model = "other"
        async with plain_channel(service) as channel:
            found = await batch(channel, items, metadata=bearer(SECRET))
    assert found["allowed"].HasField("chat_completion")
    assert found["model"].error.reason == "MODEL_FORBIDDEN"
    assert found["method"].error.reason == "METHOD_FORBIDDEN"


CHANGED = {
    "removed": (f'keys = ["{OTHER}"]', "INVALID_CREDENTIALS"),
    "another model": (f'keys = ["{SECRET}"]\nmodels = ["other"]', "MODEL_FORBIDDEN"),
    "another method": (
        f'keys = ["{SECRET}"]\nmethods = ["penstock.v1.BatchService/*"]',
        "METHOD_FORBIDDEN",
    ),
    "the same": (f'keys = ["{SECRET}"]', ""),
}


@pytest.mark.parametrize(("rest", "reason"), CHANGED.values(), ids=CHANGED)
async def test_an_item_needs_the_permissions_that_its_caller_has_now(
    rest: str, reason: str, serve: Serve, simulator: Simulator, callers_file: CallersFile
) -> None:
    service = await serve(upstream=(simulator.url,), callers_file=callers_file(LIMITED))
    one = item("a")
    one.chat_completion.model = "tiny-chat"
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call: Any = BatchServiceStub(channel).RunBatch(metadata=bearer(SECRET))
        await call.write(one)
        assert (await call.read()).HasField("chat_completion")
        assert service.authentication
        service.authentication.replace(
            read_callers(callers_file(f'[[caller]]\nname = "b"\n{rest}'))
        )
        await call.write(one)
        result = await call.read()
        await call.done_writing()
        assert (await call.code(), result.error.reason) == (Code.OK, reason)


def _limited(limit: str) -> str:
    return f'[[caller]]\nname = "batch"\nkeys = ["{SECRET}"]\n{limit}\n'


async def test_each_item_counts_as_a_call(simulator: Simulator, callers_file: CallersFile) -> None:
    settings: dict[str, Any] = {
        "upstream": (simulator.url,),
        "batch_patience": 0.0,
        "batch_concurrency": 1,
        "callers_file": callers_file(_limited("calls_per_minute = 3")),
    }
    async with at_the_clock(Clock(), **settings) as service, plain_channel(service) as channel:
        found = await batch(channel, [item(str(n)) for n in range(4)], metadata=bearer(SECRET))
    # The call itself is the first of three.
    results = Counter(one.error.reason for one in found.values())
    assert results == {"": 2, "RATE_LIMITED": 2}


async def test_the_tokens_of_items_count_once(
    simulator: Simulator, callers_file: CallersFile
) -> None:
    settings: dict[str, Any] = {
        "upstream": (simulator.url,),
        "batch_patience": 0.0,
        "callers_file": callers_file(_limited("tokens_per_minute = 1000000")),
    }
    clock = Clock()
    async with at_the_clock(clock, **settings) as service, plain_channel(service) as channel:
        found = await batch(channel, [item(str(n)) for n in range(5)], metadata=bearer(SECRET))
        assert service.authentication
        entry = service.authentication._ledger.entries(["batch"])[0]
        used = sum(one.chat_completion.usage.total_tokens for one in found.values())
        # A token is paid after 60 microseconds.
        assert entry[1] - clock.now == pytest.approx(used * 60 / 1_000_000, abs=1e-6)


async def test_items_may_use_the_place_of_their_call(
    simulator: Simulator, callers_file: CallersFile
) -> None:
    settings: dict[str, Any] = {
        "upstream": (simulator.url,),
        "callers_file": callers_file(_limited("concurrent_calls = 1")),
    }
    async with (
        at_the_clock(Clock(), **settings) as service,
        plain_channel(service) as channel,
        asyncio.timeout(BOUND_S),
    ):
        found = await batch(channel, [item(str(n)) for n in range(3)], metadata=bearer(SECRET))
    assert {one.WhichOneof("result") for one in found.values()} == {"chat_completion"}


async def _held(*items: RunBatchRequest) -> AsyncIterator[RunBatchRequest]:
    """Yields items, and does not end."""
    for one in items:
        yield one
    await asyncio.Event().wait()


async def test_a_cancelled_batch_ends_its_items(serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), **QUIET)
        async with plain_channel(service) as channel:
            tasks = len(asyncio.all_tasks())
            call = BatchServiceStub(channel).RunBatch(_held(item("a"), item("b")))
            await until(lambda: upstream.open == 2)
            call.cancel()
            await until(lambda: upstream.open == 0)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_the_deadline_of_the_call_ends_its_items(serve: Serve, skip: Skipping) -> None:
    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), max_deadline=LIMIT_S, **QUIET)
        async with plain_channel(service) as channel:
            call = BatchServiceStub(channel).RunBatch(_held(item("a")))
            await until(lambda: upstream.open == 1)
            await skip()
            with pytest.raises(aio.AioRpcError) as raised:
                await call.read()
            await until(lambda: upstream.open == 0)
    assert ended(raised.value).reason == "DEADLINE_EXCEEDED"


async def test_a_message_that_cannot_be_read_ends_the_call_after_its_items(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    messages = [item("a").SerializeToString(), b"\xff\xff"]
    async with plain_channel(service) as channel:
        begin: Any = channel.stream_stream("/penstock.v1.BatchService/RunBatch")
        call = begin(iter(messages))
        first = RunBatchResponse.FromString(await call.read())
        with pytest.raises(aio.AioRpcError) as raised:
            await call.read()
    assert first.HasField("chat_completion")
    assert ended(raised.value).reason == "INVALID_REQUEST"


async def test_an_answer_that_is_too_large_is_the_error_of_its_item(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), max_message_bytes=2048)
    large = item("large")
    large.chat_completion.CopyFrom(chat("Repeat: " + "word " * 300))
    async with plain_channel(service) as channel:
        found = await batch(channel, [item("small"), large])
    assert found["small"].HasField("chat_completion")
    assert found["large"].error.reason == "REQUEST_TOO_LARGE"


async def test_an_item_may_take_longer_than_the_next_one_may(serve: Serve) -> None:
    sent = asyncio.Event()

    async def items() -> AsyncIterator[RunBatchRequest]:
        yield item("a")
        await sent.wait()
        yield item("b")

    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), request_timeout=3600.0, **QUIET)
        async with plain_channel(service) as channel:
            call = BatchServiceStub(channel).RunBatch(items())
            await until(lambda: upstream.open == 1)
            arrivals = service._arrivals
            arrivals._longest_s = 0.0
            arrivals._end_late()
            arrivals._longest_s = 3600.0
            sent.set()
            await until(lambda: upstream.open == 2)
            call.cancel()


async def test_a_stop_lets_the_items_finish_that_were_read(
    serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = BatchServiceStub(channel).RunBatch(_held(item("a")))
        first: Any = await call.read()
        stopping = asyncio.create_task(service.stop(3600))
        with pytest.raises(aio.AioRpcError) as raised:
            await call.read()
        await stopping
    assert first.HasField("chat_completion")
    assert ended(raised.value).reason == "DRAINING"


async def test_a_stop_reads_no_further_items(serve: Serve) -> None:
    async with running(Held()) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), batch_concurrency=1, **QUIET)
        async with plain_channel(service) as channel:
            call = BatchServiceStub(channel).RunBatch(iter([item("a"), item("b")]))
            await until(lambda: upstream.open == 1)
            stopping = asyncio.create_task(service.stop(3600))
            await until(lambda: service._arrivals._closed)
            upstream.released.set()
            first: Any = await call.read()
            with pytest.raises(aio.AioRpcError) as raised:
                await call.read()
            await stopping
    assert (first.key, ended(raised.value).reason) == ("a", "DRAINING")
    assert upstream.requests == 1


async def test_the_line_of_a_batch_counts_its_items(
    serve: Serve, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock.rpc")
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        await batch(channel, [item("a"), item("b", "status code=400"), RunBatchRequest()])
        await until(lambda: any(record.msg == "rpc" for record in caplog.records))
    [line] = [vars(record)["fields"] for record in caplog.records if record.msg == "rpc"]
    assert (line["method"], line["code"]) == ("/penstock.v1.BatchService/RunBatch", "OK")
    assert (line["items"], line["failed_items"]) == (3, 2)


async def test_a_replica_that_dies_costs_no_item(serve: Serve) -> None:
    async with Simulator(SimulatorSettings(listen=FREE_PORT)) as lasting:
        dying = Simulator(SimulatorSettings(listen=FREE_PORT))
        await dying.__aenter__()
        service = await serve(upstream=(lasting.url, dying.url))
        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = BatchServiceStub(channel).RunBatch(iter([item(str(n)) for n in range(200)]))
            results = aiter(call)
            keys = [(await anext(results)).key]
            await dying.__aexit__(None, None, None)
            async for result in results:
                assert result.HasField("chat_completion")
                keys.append(result.key)
    assert sorted(keys) == sorted(str(n) for n in range(200))
