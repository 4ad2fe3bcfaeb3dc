"""Streams of embeddings of both clients and of the command."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from penstock import AsyncClient, Client, Embeddings, ItemResult, NotFoundError

Run = Callable[..., list[ItemResult[Embeddings]]]

ITEMS: dict[str, Any] = {"one": "a cat", "several": ["a cat", "a kitten"], "ids": [5, 6]}


def _blocking(target: str, items: Any, **options: Any) -> list[ItemResult[Embeddings]]:
    with (
        Client(target, retries=0) as client,
        client.embeddings.stream(items, **options) as results,
    ):
        return list(results)


def _awaited(target: str, items: Any, **options: Any) -> list[ItemResult[Embeddings]]:
    async def run() -> list[ItemResult[Embeddings]]:
        async with (
            AsyncClient(target, retries=0) as client,
            client.embeddings.stream(items, **options) as results,
        ):
            return [result async for result in results]

    return asyncio.run(run())


both = pytest.mark.parametrize("run", [_blocking, _awaited])


@both
def test_the_answer_is_that_of_a_call(run: Run, target: str) -> None:
    with Client(target) as client:
        expected = {key: client.embeddings.create(one).tolist() for key, one in ITEMS.items()}
    found = run(target, ITEMS)
    assert {one.key: one.answer.tolist() for one in found} == expected
    assert sum(one.usage.prompt_tokens for one in found) > 0
    assert not any(one.error for one in found)


@both
def test_results_in_order(run: Run, target: str) -> None:
    items = [(str(number), f"text {number}") for number in range(300)]
    found = run(target, iter(items), in_order=True)
    assert [one.key for one in found] == [key for key, _ in items]


@both
def test_the_error_of_an_item_is_that_of_a_call(run: Run, target: str) -> None:
    [failed] = run(target, {"a": "a cat"}, model="nobody")
    assert isinstance(failed.error, NotFoundError)
    assert (failed.error.reason, failed.error.resource) == ("MODEL_NOT_FOUND", "nobody")
    with pytest.raises(NotFoundError):
        assert failed.answer
    assert failed.usage.prompt_tokens == 0


@both
def test_options(run: Run, target: str) -> None:
    [short] = run(target, {"a": "a cat"}, dtype="float16")
    assert short.answer.proto.embeddings[0].HasField("packed_vector")
    with pytest.raises(TypeError, match="dimension"):
        run(target, {"a": "a cat"}, dimension=4)


@both
def test_an_iterator_that_fails(run: Run, target: str) -> None:
    def items() -> Iterator[tuple[str, str]]:
        yield "a", "a cat"
        raise KeyError("the file is damaged")

    with pytest.raises(KeyError, match="damaged"):
        run(target, items())


async def test_an_asynchronous_iterator(target: str) -> None:
    async def items() -> AsyncIterator[tuple[str, str]]:
        yield "a", "a cat"
        yield "b", "a kitten"

    async with AsyncClient(target) as client, client.embeddings.stream(items()) as results:
        assert sorted([one.key async for one in results]) == ["a", "b"]
