"""Answers with vectors in base64: the texts are not parsed, and the result is the same."""

import asyncio
import json
from typing import Any

import orjson
import pytest

from penstock_server.upstream.call import Call
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.operations import CHAT_COMPLETION, EMBEDDING, Operation

from .wire import End, client, http, read_request, served, wire

A, B = "AACAPwAAAEA=", "AABAQAAAgEA="
SEVERAL = {"data": [{"index": 0, "embedding": A}, {"index": 1, "embedding": B}], "model": "m"}


def written(document: Any) -> bytes:
    return orjson.dumps(document)


def results(*given: Any, **rest: Any) -> bytes:
    return written({"object": "list", "data": given, **rest})


VIEWED = {
    "vLLM's form": written(SEVERAL),
    "spaces": json.dumps(SEVERAL).encode(),
    "other keys first": results({"embedding": A, "index": 0}, id="x", usage={"total_tokens": 1}),
    "no text": results({"index": 0, "embedding": ""}),
    "not base64": results({"index": 0, "embedding": "€"}),
}
PARSED = {
    "an escaped character": written(SEVERAL).replace(b"A=", rb"A\u003d", 1),
    "an escaped slash elsewhere": written(SEVERAL).replace(b'"m"', rb'"a\/b"'),
    "an escaped quote in a name": written({'"embedding': A} | SEVERAL),
    "numbers": results({"index": 0, "embedding": [1.0, 2.0]}),
    "numbers and base64": results({"embedding": A}, {"embedding": [1.0]}),
    "null": results({"embedding": None}, {"embedding": A}),
    "a text elsewhere": results({"embedding": [1.0], "other": {"embedding": A}}),
    "a text twice": b'{"data":[{"embedding":"%b","embedding":"%b"}]}' % (A.encode(), B.encode()),
    "no result": results("embedding", {"embedding": A}),
    "no results": written({"embedding": A}),
    "results of another kind": written({"data": {"embedding": A}}),
    "a long name": written({"id": "i" * 2000} | SEVERAL),
    "a long value between texts": results({"embedding": A, "x": "y" * 2000}, {"embedding": B}),
    "another order of the same": results({"x": {"embedding": A}, "embedding": B}),
}


async def answer_to(operation: Operation, body: bytes) -> dict[str, Any]:
    async with wire(http(body), End.KEEP) as server, client(server.url) as upstream:
        return await upstream.call(operation, {}, Call("id-1"))


def is_viewed(answer: Any) -> bool:
    return all(isinstance(result["embedding"], memoryview) for result in answer["data"])


def as_text(found: Any) -> Any:
    """Returns a part of an answer with texts instead of views."""
    if isinstance(found, memoryview):
        return bytes(found).decode()
    if isinstance(found, dict):
        return {key: as_text(value) for key, value in found.items()}
    return [as_text(value) for value in found] if isinstance(found, list) else found


@pytest.mark.parametrize("form", VIEWED)
async def test_texts_of_vectors_are_not_parsed(form: str) -> None:
    answer = await answer_to(EMBEDDING, VIEWED[form])
    assert is_viewed(answer)
    assert as_text(answer) == orjson.loads(VIEWED[form])


@pytest.mark.parametrize("form", PARSED)
async def test_answers_of_another_form_are_parsed(form: str) -> None:
    assert await answer_to(EMBEDDING, PARSED[form]) == orjson.loads(PARSED[form])


async def test_answers_of_other_operations_are_parsed() -> None:
    body = written({"choices": [{"index": 0, "finish_reason": "stop"}], **SEVERAL})
    assert await answer_to(CHAT_COMPLETION, body) == orjson.loads(body)


async def test_no_part_of_an_answer_is_an_answer() -> None:
    whole = written(SEVERAL)
    parts = [whole[:size] for size in range(1, len(whole))]
    answers = map(http, parts)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(next(answers))
        writer.close()

    async with served(serve) as url, client(url) as upstream:
        for part in parts:
            with pytest.raises(UpstreamFailure) as raised:
                await upstream.call(EMBEDDING, {}, Call("id-1"))
            with pytest.raises(orjson.JSONDecodeError) as wrong:
                orjson.loads(part)
            assert raised.value.kind is Kind.MALFORMED
            assert raised.value.offset == wrong.value.pos
