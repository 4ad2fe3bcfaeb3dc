"""Batches of both clients: results, errors, lost connections, and iterators that fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from penstock import (
    AsyncClient,
    BatchResult,
    CallCancelledError,
    ChatCompletion,
    Client,
    Embeddings,
    IncompleteStreamError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    Ranking,
    UnavailableError,
    chat_request,
    completion_request,
    embeddings_request,
    rerank_request,
)
from penstock._base import item_stream
from penstock.batch import BatchRequest
from penstock.completions import Completion
from penstock.v1.batch_pb2 import RunBatchRequest, RunBatchResponse
from penstock.v1.batch_pb2_grpc import (
    BatchServiceServicer,
    add_BatchServiceServicer_to_server,
)

ITEMS: dict[str, BatchRequest] = {
    "chat": chat_request("Say hello."),
    "text": completion_request("Once upon a time", max_tokens=4),
    "vectors": embeddings_request(["a cat", "a kitten"]),
    "ranking": rerank_request("capital of France", ["Berlin", "Paris"]),
    "model": chat_request("Hi", model="nobody"),
    "field": rerank_request("", []),
}
Run = Callable[..., list[BatchResult]]


def _blocking(target: str, items: Any, *done: Any) -> list[BatchResult]:
    with Client(target, retries=0) as client, client.batch.run(items, *done) as results:
        return list(results)


def _awaited(target: str, items: Any, *done: Any) -> list[BatchResult]:
    async def run() -> list[BatchResult]:
        async with (
            AsyncClient(target, retries=0) as client,
            client.batch.run(items, *done) as results,
        ):
            return [result async for result in results]

    return asyncio.run(run())


both = pytest.mark.parametrize("run", [_blocking, _awaited])


@both
def test_results(run: Run, target: str) -> None:
    found = {result.key: result for result in run(target, ITEMS)}
    assert found.keys() == ITEMS.keys()
    kinds = {key: type(one.answer) for key, one in found.items() if not one.error}
    assert kinds == {
        "chat": ChatCompletion,
        "text": Completion,
        "vectors": Embeddings,
        "ranking": Ranking,
    }
    assert all(one.request_id for one in found.values())


@both
def test_the_error_of_an_item_is_that_of_a_call(run: Run, target: str) -> None:
    found = {result.key: result.error for result in run(target, ITEMS)}
    assert isinstance(found["model"], NotFoundError)
    assert (found["model"].reason, found["model"].resource) == ("MODEL_NOT_FOUND", "nobody")
    assert isinstance(found["field"], InvalidRequestError)
    assert [one.field for one in found["field"].violations] == ["documents"]
    failed = next(one for one in run(target, ITEMS) if one.key == "model")
    with pytest.raises(NotFoundError):
        assert failed.answer


@both
def test_keys_to_skip(run: Run, target: str) -> None:
    assert [one.key for one in run(target, ITEMS, ITEMS.keys() - {"chat"})] == ["chat"]


@both
def test_an_iterator_that_fails(run: Run, target: str) -> None:
    def items() -> Iterator[tuple[str, BatchRequest]]:
        yield "a", chat_request("Say hello.")
        raise KeyError("the file is damaged")

    with pytest.raises(KeyError, match="damaged"):
        run(target, items())


@both
def test_something_else_than_a_request(run: Run, target: str) -> None:
    with pytest.raises(TypeError, match="RunBatchRequest"):
        run(target, {"a": RunBatchRequest()})


@both
def test_a_key_that_is_used_twice(run: Run, target: str) -> None:
    waiting = chat_request("[[simulate: silent]]")
    with pytest.raises(ValueError, match="two items"):
        run(target, [("a", waiting), ("a", waiting)])


async def test_an_asynchronous_iterator(aclient: AsyncClient) -> None:
    async def items() -> AsyncIterator[tuple[str, BatchRequest]]:
        yield "a", ITEMS["chat"]

    async with aclient.batch.run(items()) as results:
        assert [one.key async for one in results] == ["a"]


def test_closing_cancels(client: Client) -> None:
    results = client.batch.run({"a": chat_request("[[simulate: silent]]")})
    results.close()
    with pytest.raises(CallCancelledError):
        next(results)


async def test_closing_cancels_asynchronously(aclient: AsyncClient) -> None:
    results = aclient.batch.run({"a": chat_request("[[simulate: silent]]")})
    await results.close()
    with pytest.raises(CallCancelledError):
        await anext(results)


class Breaking(BatchServiceServicer):
    """Answers a few items in each call, which then ends with a status.

    Attributes:
        calls: the keys that each call received.
    """

    def __init__(self, answered: int, code: grpc.StatusCode, breaks: int = 1000) -> None:
        self.calls: list[list[str]] = []
        self._answered = answered
        self._code = code
        self._breaks = breaks

    def RunBatch(self, request_iterator: Any, context: Any) -> Iterator[RunBatchResponse]:
        """Answers items."""
        keys: list[str] = []
        self.calls.append(keys)
        for request in request_iterator:
            keys.append(request.key)
            if len(keys) > self._answered and len(self.calls) <= self._breaks:
                if self._code is grpc.StatusCode.OK:
                    return
                context.abort(self._code, "enough")
            yield RunBatchResponse(key=request.key)


@contextmanager
def _serving(servicer: Breaking) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    add_BatchServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_stream, "_FIRST_WAIT_S", 0.001)


MANY = {str(number): chat_request("x") for number in range(50)}


@both
def test_another_call_continues_a_lost_one(run: Run) -> None:
    servicer = Breaking(7, grpc.StatusCode.UNAVAILABLE)
    with _serving(servicer) as target:
        keys = [result.key for result in run(target, MANY)]
    assert sorted(keys) == sorted(MANY)
    assert len(servicer.calls) >= 7


@both
@pytest.mark.parametrize(
    ("answered", "code", "error"),
    [
        (0, grpc.StatusCode.UNAVAILABLE, UnavailableError),
        (3, grpc.StatusCode.PERMISSION_DENIED, PermissionDeniedError),
        (3, grpc.StatusCode.OK, IncompleteStreamError),
    ],
    ids=["never reached", "refused", "too few results"],
)
def test_a_call_that_cannot_be_continued(
    answered: int, code: grpc.StatusCode, error: type[Exception], run: Run
) -> None:
    servicer = Breaking(answered, code)
    with _serving(servicer) as target, pytest.raises(error):
        run(target, MANY)
    # The asynchronous client may not see the status at first.
    assert len(servicer.calls) == 1 or run is _awaited
