"""Streams of items: each ends as a call of its own would, and several are sent together."""

import asyncio
import gc
import json
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import text_format
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1 import classification_pb2, embedding_pb2, rerank_pb2, tokenization_pb2
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.rerank_pb2_grpc import RerankServiceStub
from penstock.v1.tokenization_pb2_grpc import TokenizationServiceStub
from penstock_server import routes
from penstock_server.convert.joined import Part
from penstock_server.rpc.services.joining import Joiner
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.upstream import Attempts

from .calls import BOUND_S, FREE_PORT, Ended, Serve, ended, item_ended, plain_channel, until
from .every_rpc import Upstream, answer, failing, running
from .keyed import SECRET, CallersFile, Clock, at_the_clock, bearer


@dataclass(frozen=True, eq=False)
class Kind:
    """A streaming RPC, and the unary RPC that its items are requests of.

    Attributes:
        stub: the stub of its service.
        unary: name of the unary RPC.
        item: message for an item.
        wanted: message for a request.
        text: the request for a text, in text format.
        path: path of the upstream's operation.
        given: key of the texts in the upstream's request.
        answer: an answer of an upstream to a request.
        joins: whether items are sent upstream together.
        counts: whether answers have token counts.
    """

    stub: Any
    unary: str
    item: Any
    wanted: Any
    text: str
    path: str
    given: str
    answer: dict[str, Any]
    joins: bool = True
    counts: bool = True

    @property
    def name(self) -> str:
        return str(self.item.DESCRIPTOR.name).removesuffix("Request")

    def parse(self, text: str) -> Any:
        """Returns a request in text format."""
        return text_format.Parse(text, self.wanted())

    def request(self, text: str, options: str = "") -> Any:
        """Returns a request for a text, with options in text format."""
        return self.parse(self.text.replace("TEXT", json.dumps(text)) + options)

    def items(self, *texts: str, options: str = "", **fields: Any) -> list[Any]:
        """Returns items whose keys are their texts."""
        return [
            self.item(key=text, request=self.request(text, options), **fields) for text in texts
        ]

    def call(self, channel: aio.Channel, *sent: Any, **options: Any) -> Any:
        """Begins a call."""
        return getattr(self.stub(channel), self.name)(*sent, **options)

    async def stream(self, channel: aio.Channel, sent: Iterable[Any], **options: Any) -> list[Any]:
        """Makes a call that must succeed; returns its results."""
        return [one async for one in self.call(channel, iter(sent), **options)]

    async def alone(self, channel: aio.Channel, one: Any) -> Any:
        """Makes a call with one item."""
        return await getattr(self.stub(channel), self.unary)(one)

    async def failing_alone(self, channel: aio.Channel, one: Any) -> Ended:
        """Makes a call with one item, which must fail."""
        try:
            await self.alone(channel, one)
        except aio.AioRpcError as error:
            return ended(error)
        raise AssertionError("it did not fail")

    def sent(self, simulator: Simulator) -> list[list[str]]:
        """Returns the texts in each request upstream."""
        texts = [one.json[self.given] for one in simulator.requests if one.path == self.path]
        return [one if isinstance(one, list) else [one] for one in texts]


EMBEDDINGS = Kind(
    EmbeddingServiceStub,
    "CreateEmbeddings",
    embedding_pb2.StreamEmbeddingsRequest,
    embedding_pb2.CreateEmbeddingsRequest,
    "inputs {text: TEXT}",
    routes.EMBEDDINGS,
    "input",
    {"model": "m", "data": [{"index": 0, "embedding": "AACAPw=="}]},
)
CLASSIFY = Kind(
    ClassificationServiceStub,
    "Classify",
    classification_pb2.StreamClassifyRequest,
    classification_pb2.ClassifyRequest,
    "inputs {text: TEXT}",
    routes.CLASSIFY,
    "input",
    {"model": "m", "data": [{"index": 0, "probs": [1.0]}]},
)
SCORE = Kind(
    RerankServiceStub,
    "Score",
    rerank_pb2.StreamScoreRequest,
    rerank_pb2.ScoreRequest,
    'queries {text: TEXT} documents {text: "a text"}',
    routes.SCORE,
    "text_1",
    {"model": "m", "data": [{"index": 0, "score": 0.5}]},
)
RERANK = Kind(
    RerankServiceStub,
    "Rerank",
    rerank_pb2.StreamRerankRequest,
    rerank_pb2.RerankRequest,
    'query {text: TEXT} documents {text: "a"} documents {text: "text"} top_n: 1',
    routes.RERANK,
    "query",
    {"model": "m", "results": [{"index": 1, "relevance_score": 0.5}]},
    joins=False,
)
TOKENIZE = Kind(
    TokenizationServiceStub,
    "Tokenize",
    tokenization_pb2.StreamTokenizeRequest,
    tokenization_pb2.TokenizeRequest,
    "text: TEXT",
    routes.TOKENIZE,
    "prompt",
    {"count": 1, "tokens": [5]},
    joins=False,
    counts=False,
)
KINDS = (EMBEDDINGS, CLASSIFY, SCORE, RERANK, TOKENIZE)


def of(kinds: Iterable[Kind]) -> pytest.MarkDecorator:
    """Runs a test for several kinds."""
    every = tuple(kinds)
    return pytest.mark.parametrize("kind", every, ids=[kind.name for kind in every])


of_every_kind = of(KINDS)
joined_kinds = of(kind for kind in KINDS if kind.joins)
counted_kinds = of(kind for kind in KINDS if kind.counts)


def essence(response: Any) -> Any:
    """Returns a response without what differs between two calls or is counted together."""
    known = {field.name for field in response.DESCRIPTOR.fields}
    for name in {"id", "create_time", "usage"} & known:
        response.ClearField(name)
    return response


QUIET = {"probe_interval": 3600}
NEVER = {"join_items_within": 60_000}
"""Requests are sent once they have their number of items, however slow the test is."""


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulated vLLM that serves every operation."""
    async with Simulator(SimulatorSettings(listen=FREE_PORT, kind="all")) as started:
        yield started


TEXTS = [f"text {number}" for number in range(8)]


@joined_kinds
async def test_items_that_wait_are_sent_together(
    kind: Kind, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), join_items_up_to=4, **NEVER)
    async with plain_channel(service) as channel:
        found = {one.key: one for one in await kind.stream(channel, kind.items(*TEXTS))}
        assert sorted(map(len, kind.sent(simulator))) == [4, 4]
        expected = [await kind.alone(channel, kind.request(text)) for text in TEXTS]
    assert [found[text].index for text in TEXTS] == list(range(8))
    assert [essence(found[text].response) for text in TEXTS] == list(map(essence, expected))


@of(kind for kind in KINDS if not kind.joins)
async def test_items_that_are_always_sent_alone(
    kind: Kind, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), **NEVER)
    async with plain_channel(service) as channel:
        found = {one.key: one for one in await kind.stream(channel, kind.items(*TEXTS))}
        assert list(map(len, kind.sent(simulator))) == [1] * 8
        expected = [await kind.alone(channel, kind.request(text)) for text in TEXTS]
    assert [found[text].index for text in TEXTS] == list(range(8))
    assert [essence(found[text].response) for text in TEXTS] == list(map(essence, expected))


async def test_a_complete_request_is_not_kept_until_its_time_is_over() -> None:
    joiner = Joiner(1, BOUND_S)
    joint = weakref.ref(joiner.join(Part({"input": ["a"]}, b""), Attempts())[0])
    gc.collect()
    assert joint() is None


@joined_kinds
async def test_the_counts_of_all_results_add_up(
    kind: Kind, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), join_items_up_to=4, **NEVER)
    async with plain_channel(service) as channel:
        found = await kind.stream(channel, kind.items(*TEXTS))
        expected = [await kind.alone(channel, kind.request(text)) for text in TEXTS]
    assert not any(one.response.HasField("usage") for one in found)
    assert sum(one.HasField("shared_usage") for one in found) == 2
    shared = sum(one.shared_usage.prompt_tokens for one in found)
    assert shared == sum(one.usage.prompt_tokens for one in expected)


@counted_kinds
async def test_an_item_that_is_sent_alone_has_its_usage(
    kind: Kind, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), join_items_up_to=1)
    async with plain_channel(service) as channel:
        [found] = await kind.stream(channel, kind.items("a"))
        assert found.response.usage == (await kind.alone(channel, kind.request("a"))).usage
    assert not kind.joins or not found.HasField("shared_usage")


@joined_kinds
async def test_an_item_waits_for_others_only_for_a_time(
    kind: Kind, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
        call = kind.call(channel, _held(*kind.items("a")))
        assert (await call.read()).HasField("response")
        call.cancel()


async def _held(*sent: Any) -> AsyncIterator[Any]:
    """Yields items, and does not end."""
    for one in sent:
        yield one
    await asyncio.Event().wait()


A_LIST = {
    EMBEDDINGS: 'inputs {text: "a"}',
    CLASSIFY: 'inputs {text: "a"}',
    SCORE: 'queries {text: "a"} documents {text: "b"}',
}
"""One input, which a request may repeat, of each kind that joins."""
PARTS = 'multimodal {parts {text: "a"}}'
APART: dict[str, tuple[Kind, Any]] = {
    "dtype": (EMBEDDINGS, EMBEDDINGS.request("a", "dtype: VECTOR_DTYPE_FLOAT16")),
    "activation": (CLASSIFY, CLASSIFY.request("a", "options {use_activation: false}")),
    "instruction": (SCORE, SCORE.request("a", 'scoring {instruction: "x"}')),
    "several documents": (SCORE, SCORE.request("a", 'documents {text: "another"}')),
    "parts": (SCORE, SCORE.parse(f"queries {{{PARTS}}} documents {{{PARTS}}}" * 2)),
}
for _kind in (EMBEDDINGS, SCORE):
    APART |= {
        f"{_kind.name} {name}": (_kind, request)
        for name, request in {
            "option": _kind.request("a", 'user: "someone"'),
            "engine": _kind.request("a", "engine {priority: 1}"),
            "request id": _kind.request("a", 'engine {request_id: "mine"}'),
            "extra": _kind.request("a", "extra_body {json: '{\"x\": 1}'}"),
            "model": _kind.request("a", 'model: "tiny-chat"'),
            "too many": _kind.parse(A_LIST[_kind] * 4),
        }.items()
    }
for _kind in (EMBEDDINGS, CLASSIFY):
    _talk = 'inputs {chat {messages {role: ROLE_USER content {text: "a"}}}}'
    APART |= {
        f"{_kind.name} token ids": (_kind, _kind.parse("inputs {token_ids {ids: 5}}")),
        f"{_kind.name} conversation": (_kind, _kind.parse(_talk)),
    }


@pytest.mark.parametrize(("kind", "other"), APART.values(), ids=APART)
async def test_items_that_are_not_alike_are_sent_apart(
    kind: Kind, other: Any, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), join_items_up_to=4)
    async with plain_channel(service) as channel:
        sent = [*kind.items("a"), kind.item(key="other", request=other)]
        found = await kind.stream(channel, sent)
        expected = await _alone_or_refused(kind, channel, other)
    assert len([one for one in simulator.requests if one.path == kind.path]) == 3
    [result] = (one for one in found if one.key == "other")
    assert expected == (result.error.reason or essence(result.response))


async def _alone_or_refused(kind: Kind, channel: aio.Channel, one: Any) -> Any:
    """Returns the response to an item in a call of its own, or the reason of its error."""
    try:
        return essence(await kind.alone(channel, one))
    except aio.AioRpcError as error:
        return ended(error).reason


@pytest.mark.parametrize(("kind", "one"), A_LIST.items(), ids=[kind.name for kind in A_LIST])
async def test_a_larger_item_does_not_exceed_the_number_of_inputs(
    kind: Kind, one: str, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), join_items_up_to=4)
    three = kind.parse(one * 3)
    sent = [kind.item(key=str(number), request=three) for number in range(3)]
    async with plain_channel(service) as channel:
        found = await kind.stream(channel, sent)
        expected = essence(await kind.alone(channel, three))
    assert [essence(one.response) for one in found] == [expected] * 3
    assert list(map(len, kind.sent(simulator))) == [3, 3, 3, 3]


OF_CONTENTS = ["status code=500", "html", "wrong-index"]
FAULTS = [(kind, "status code=400") for kind in KINDS] + [
    (kind, fault) for kind in (EMBEDDINGS, SCORE) for fault in OF_CONTENTS
]


@pytest.mark.parametrize(
    ("kind", "fault"), FAULTS, ids=[f"{kind.name} {fault}" for kind, fault in FAULTS]
)
async def test_the_fault_of_one_item_does_not_fail_the_others(
    kind: Kind, fault: str, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,), join_items_up_to=3, **NEVER)
    bad = f"b [[simulate: {fault}]]"
    async with plain_channel(service) as channel:
        expected = await kind.failing_alone(channel, kind.request(bad))
        found = {one.key: one for one in await kind.stream(channel, kind.items("a", bad, "c"))}
    assert found["a"].HasField("response")
    assert found["c"].HasField("response")
    failed = item_ended(found[bad].error)
    assert (failed.code, failed.message) == (expected.code, expected.message)
    assert (failed.reason, failed.fields) == (expected.reason, expected.fields)
    # Once together, then alone.
    assert failed.metadata == expected.metadata | {"attempts": "2" if kind.joins else "1"}


@of_every_kind
async def test_a_failure_of_the_upstream_is_that_of_every_item(kind: Kind, serve: Serve) -> None:
    async with running(Upstream(failing("503 x", code=503))) as upstream:
        settings = {"max_attempts": 1, "join_items_up_to": 3, **NEVER, **QUIET}
        service = await serve(upstream=(upstream.url,), **settings)
        async with plain_channel(service) as channel:
            found = await kind.stream(channel, kind.items("a", "b", "c"))
    assert {one.error.reason for one in found} == {"UPSTREAM_UNAVAILABLE"}
    assert {item_ended(one.error).metadata["attempts"] for one in found} == {"1"}
    assert upstream.requests == (1 if kind.joins else 3)


INVALID: dict[str, tuple[Kind, Any, str]] = {
    "late chunking": (
        EMBEDDINGS,
        EMBEDDINGS.items("k", options="late_chunking {}")[0],
        "late_chunking",
    ),
    "echo": (CLASSIFY, CLASSIFY.items("k", options="template {echo: true}")[0], "template"),
    "queries": (SCORE, SCORE.items("k", options='queries {text: "x"}')[0], "queries"),
    "documents": (RERANK, RERANK.item(request=RERANK.parse('query {text: "x"}')), "documents"),
    "input": (TOKENIZE, TOKENIZE.item(request=TOKENIZE.parse("")), "input"),
}
for _kind in (EMBEDDINGS, TOKENIZE):
    INVALID |= {
        f"{_kind.name} long key": (
            _kind,
            _kind.item(key="k" * 513, request=_kind.request("a")),
            "key",
        ),
        f"{_kind.name} no request": (_kind, _kind.item(key="k"), "request"),
        f"{_kind.name} order": (_kind, _kind.items("k", in_order=True)[0], "in_order"),
    }


@pytest.mark.parametrize(("kind", "wrong", "field"), INVALID.values(), ids=INVALID)
async def test_an_invalid_item(
    kind: Kind, wrong: Any, field: str, serve: Serve, simulator: Simulator
) -> None:
    service = await serve(upstream=(simulator.url,))
    async with plain_channel(service) as channel:
        sent = [*kind.items("fine"), wrong]
        found = {one.index: one for one in await kind.stream(channel, sent)}
    result = item_ended(found[1].error)
    assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert result.fields[0].startswith(field)
    assert found[0].HasField("response")


@of_every_kind
async def test_a_stream_without_items(kind: Kind, channel: aio.Channel) -> None:
    assert await kind.stream(channel, []) == []


class SecondFirst(Upstream):
    """An upstream that answers the first request only after the second one."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(answer("200 OK", json.dumps(document).encode()))
        self._second = asyncio.Event()

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.requests == 1:
            await self._second.wait()
        await super().respond(reader, writer)
        self._second.set()


@of_every_kind
@pytest.mark.parametrize(("in_order", "expected"), [(True, [0, 1]), (False, [1, 0])])
async def test_the_order_of_the_results(
    kind: Kind, in_order: bool, expected: list[int], serve: Serve
) -> None:
    async with running(SecondFirst(kind.answer)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), join_items_up_to=1, **QUIET)
        async with plain_channel(service) as channel:
            call = kind.call(channel)
            await call.write(kind.items("a", in_order=in_order)[0])
            await upstream.came.wait()
            await call.write(kind.items("b")[0])
            await call.done_writing()
            results = [one async for one in call]
    assert [one.index for one in results] == expected
    assert all(one.HasField("response") for one in results)


async def test_a_result_that_is_too_large_is_the_error_of_its_item(
    serve: Serve, simulator: Simulator
) -> None:
    # A vector has 256 bytes.
    service = await serve(upstream=(simulator.url,), max_message_bytes=4096)
    large = EMBEDDINGS.parse('inputs {text: "a"} ' * 20)
    sent = [*EMBEDDINGS.items("a"), EMBEDDINGS.item(key="b", request=large)]
    async with plain_channel(service) as channel:
        found = {one.key: one for one in await EMBEDDINGS.stream(channel, sent)}
    assert found["a"].HasField("response")
    assert found["b"].error.reason == "REQUEST_TOO_LARGE"


def _limited(limit: str) -> str:
    return f'[[caller]]\nname = "items"\nkeys = ["{SECRET}"]\n{limit}\n'


@of_every_kind
@pytest.mark.parametrize(("permitted", "reason"), [(1, "METHOD_FORBIDDEN"), (2, "")])
async def test_an_item_requires_the_permission_of_a_call(
    kind: Kind, permitted: int, reason: str, simulator: Simulator, callers_file: CallersFile
) -> None:
    of_service = f"penstock.v1.{kind.stub.__name__.removesuffix('Stub')}"
    methods = [f"{of_service}/{kind.name}", f"{of_service}/{kind.unary}"][:permitted]
    callers = callers_file(_limited(f"methods = {json.dumps(methods)}"))
    async with (
        at_the_clock(Clock(), upstream=(simulator.url,), callers_file=callers) as service,
        plain_channel(service) as channel,
    ):
        found = await kind.stream(channel, kind.items(*TEXTS[:2]), metadata=bearer(SECRET))
    assert {one.error.reason for one in found} == {reason}


@of_every_kind
async def test_each_item_counts_as_a_call(
    kind: Kind, simulator: Simulator, callers_file: CallersFile
) -> None:
    callers = callers_file(_limited("calls_per_minute = 3"))
    clock = Clock()
    async with (
        at_the_clock(clock, upstream=(simulator.url,), callers_file=callers) as service,
        plain_channel(service) as channel,
    ):
        found = await kind.stream(channel, kind.items(*TEXTS[:4]), metadata=bearer(SECRET))
    # The call itself is the first of three.
    assert Counter(one.error.reason for one in found) == {"": 2, "RATE_LIMITED": 2}


@counted_kinds
async def test_the_tokens_of_items_count_once(
    kind: Kind, simulator: Simulator, callers_file: CallersFile
) -> None:
    callers, clock = callers_file(_limited("tokens_per_minute = 1000000")), Clock()
    async with (
        at_the_clock(clock, upstream=(simulator.url,), callers_file=callers) as service,
        plain_channel(service) as channel,
    ):
        found = await kind.stream(channel, kind.items(*TEXTS), metadata=bearer(SECRET))
        assert service.authentication
        entry = service.authentication._ledger.entries(["items"])[0]
    used = sum(one.response.usage.total_tokens for one in found)
    if kind.joins:
        used += sum(one.shared_usage.total_tokens for one in found)
    # A token is paid after 60 microseconds.
    assert entry[1] == pytest.approx(clock.now + used * 60 / 1_000_000)


@of([EMBEDDINGS, TOKENIZE])
async def test_a_stream_is_one_concurrent_call(
    kind: Kind, simulator: Simulator, callers_file: CallersFile
) -> None:
    callers = callers_file(_limited("concurrent_calls = 1"))
    settings = {"upstream": (simulator.url,), "callers_file": callers, "max_concurrent_calls": 1}
    async with (
        at_the_clock(Clock(), **settings) as service,
        plain_channel(service) as channel,
    ):
        found = await kind.stream(channel, kind.items(*TEXTS), metadata=bearer(SECRET))
        again = await kind.stream(channel, kind.items("a"), metadata=bearer(SECRET))
    assert {one.WhichOneof("result") for one in [*found, *again]} == {"response"}


@of_every_kind
async def test_a_cancelled_stream_ends_its_requests(kind: Kind, serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        service = await serve(upstream=(upstream.url,), join_items_up_to=2, **NEVER, **QUIET)
        async with plain_channel(service) as channel:
            tasks = len(asyncio.all_tasks())
            # If items are joined, the last one still waits for another one.
            call = kind.call(channel, _held(*kind.items(*TEXTS[:5])))
            await until(lambda: upstream.open == (2 if kind.joins else 5))
            call.cancel()
            await until(lambda: upstream.open == 0)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)


@of([RERANK, TOKENIZE])
async def test_items_at_once_are_limited(kind: Kind, serve: Serve) -> None:
    async with running(Upstream(hold=True)) as upstream, asyncio.timeout(BOUND_S):
        settings = {"item_concurrency": 3, "join_items_up_to": 1, **QUIET}
        service = await serve(upstream=(upstream.url,), **settings)
        async with plain_channel(service) as channel:
            call = kind.call(channel, _held(*kind.items(*TEXTS)))
            await until(lambda: upstream.open == 3)
            await asyncio.sleep(0.05)
            assert upstream.requests == 3
            call.cancel()


async def test_items_are_not_read_while_results_wait(serve: Serve) -> None:
    # Both the items and the results fill the windows of HTTP/2.
    large = {"model": "m", "data": [{"index": 0, "embedding": "A" * 400_000}]}
    async with running(Upstream(answer("200 OK", json.dumps(large).encode()))) as upstream:
        settings = {"item_concurrency": 4, "join_items_up_to": 1, **QUIET}
        service = await serve(upstream=(upstream.url,), **settings)
        written, long = 0, "word " * 20_000

        async def many() -> AsyncIterator[Any]:
            nonlocal written
            for _ in range(1000):
                written += 1
                yield EMBEDDINGS.item(request=EMBEDDINGS.request(long))

        async with plain_channel(service) as channel, asyncio.timeout(BOUND_S):
            call = EMBEDDINGS.call(channel, many())
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.2)
            assert written < 1000
            call.cancel()
