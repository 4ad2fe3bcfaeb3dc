"""Streams of items of both clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from penstock import AsyncClient, Client, ItemResult, NotFoundError, user

Run = Callable[..., list[ItemResult[Any]]]

ITEMS: dict[str, Any] = {"one": "a cat", "several": ["a cat", "a kitten"], "ids": [5, 6]}


def _blocking(
    target: str, items: Any, of: str = "embeddings", **options: Any
) -> list[ItemResult[Any]]:
    with (
        Client(target, retries=0) as client,
        getattr(client, of).stream(items, **options) as results,
    ):
        return list(results)


def _awaited(
    target: str, items: Any, of: str = "embeddings", **options: Any
) -> list[ItemResult[Any]]:
    async def run() -> list[ItemResult[Any]]:
        async with (
            AsyncClient(target, retries=0) as client,
            getattr(client, of).stream(items, **options) as results,
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


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Any], Any]]] = {
    "classify": (ITEMS, {"use_activation": False}, lambda one: [kind.probs for kind in one]),
    "score": (
        {"one": ("capital", "Paris"), "several": ("capital", ["Berlin", "Paris"])},
        {"use_activation": False},
        list,
    ),
    "rerank": (
        {"one": ("capital", "Paris"), "several": ("capital", ["Berlin", "capital"])},
        {"top_n": 1, "return_documents": True},
        lambda one: [(document.index, document.score, document.text) for document in one],
    ),
    "tokenize": (
        {"text": "a cat", "conversation": [user("a cat")]},
        {"return_token_strings": True},
        lambda one: (list(one.ids), list(one.strings)),
    ),
}


@both
@pytest.mark.parametrize("of", OTHERS)
def test_the_answer_of_another_kind_is_that_of_a_call(run: Run, of: str, target: str) -> None:
    items, options, shown = OTHERS[of]
    with Client(target) as client:
        call = getattr(client, of)
        given = {key: one if isinstance(one, tuple) else (one,) for key, one in items.items()}
        expected = {key: shown(call(*one, **options)) for key, one in given.items()}
    found = run(target, items, of, **options)
    assert {one.key: shown(one.answer) for one in found} == expected
    assert (sum(one.usage.prompt_tokens for one in found) > 0) is (of != "tokenize")
    with pytest.raises(TypeError, match="use_activaton"):
        run(target, items, of, use_activaton=True)


@both
@pytest.mark.parametrize("of", OTHERS)
def test_a_failed_item_of_another_kind(run: Run, of: str, target: str) -> None:
    failed, *_ = run(target, OTHERS[of][0], of, model="nobody")
    assert isinstance(failed.error, NotFoundError)
    assert failed.usage.prompt_tokens == 0


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
