"""Text completions, tokenization and scoring have the shapes of captured vLLM answers."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import client, parse
from .test_captures import CAPTURES, shape
from .test_captures import replay as send

FOLDERS = CAPTURES.parent
PLAIN = SimulatorSettings(listen="127.0.0.1:0")
SIMULATED = {
    "tiny-chat": PLAIN,
    "tiny-rerank": replace(PLAIN, kind="rerank", models=("tiny-rerank",), max_model_len=256),
    "tiny-embed": replace(PLAIN, kind="embed", models=("tiny-embed",), max_model_len=256),
}
OWN_WORDS = {
    "cmpl_err_bad_schema",
    "cmpl_err_bad_schema_stream",
    "cmpl_err_bad_schema_two_prompts_stream",
    "rerank_docs_objects_text",
    "rerank_err_documents_numbers",
    "score_err_missing",
    "gen_err_structured",
}
"""Refusals whose text depends on vLLM's dependencies; the rest is compared word for word."""

OWN_TOKENS = {"gen_stop", "gen_stop_text", "gen_stop_text_stream", "gen_stop_token"}
"""Answers that end at a word of vLLM's model, whose tokens have another text here."""


def captures(folder: str, key: str) -> list[Any]:
    """Returns the captures of a folder that have a key, as test parameters."""
    read = [json.loads(path.read_text("utf-8")) for path in sorted((FOLDERS / folder).iterdir())]
    assert read
    return [
        pytest.param(one, id=one["name"])
        for one in read
        if key in one and one["name"] not in OWN_TOKENS
    ]


WHOLE = [
    one
    for folder in ("completion", "generation", "tokenization", "rerank")
    for one in captures(folder, "body")
]


@pytest.fixture
async def http(capture: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a simulator configured like the server of the capture."""
    body = capture["request"]["body"] or {}
    given = body.get("model") if isinstance(body, dict) else None
    names = [name for name in (given, (capture.get("body") or {}).get("model")) if name]
    known = [SIMULATED[name] for name in names if name in SIMULATED]
    scores = capture["request"]["path"].endswith(("rerank", "score"))
    settings = known[0] if known else SIMULATED["tiny-rerank" if scores else "tiny-chat"]
    if capture["name"] in ("tokenize_err_model", "cmpl_err_unknown_model"):
        settings = PLAIN
    if isinstance(body, dict) and body.get("output_mode") == "derender":
        settings = replace(PLAIN, dialect="0.33.0")
    async with Simulator(settings) as simulator, client(simulator.url) as opened:
        yield opened


@pytest.mark.parametrize("capture", WHOLE)
async def test_unary_answer(capture: Any, http: httpx.AsyncClient) -> None:
    response = await send(http, capture)
    body, expected = response.json(), capture["body"]
    assert response.status_code == capture["status"], body
    assert response.headers["content-type"] == capture["content_type"]
    assert shape(_unnamed(body)) == shape(_unnamed(expected))
    if capture["status"] != 200:
        assert_same_refusal(capture["name"], body, expected)
    elif "choices" in body:
        assert finishing(body) <= {"stop", "length"}
        assert [one["index"] for one in body["choices"]] == [
            one["index"] for one in expected["choices"]
        ]
        assert body["usage"]["prompt_tokens"] > 0
    elif "results" in body:
        found = [result["relevance_score"] for result in body["results"]]
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    "capture", [*captures("completion", "events"), *captures("generation", "events")]
)
async def test_stream(capture: Any, http: httpx.AsyncClient) -> None:
    response = await send(http, capture)
    stream = parse(response, response.content)
    assert response.headers["content-type"] == capture["content_type"]
    assert stream.done is capture["done"]
    for place in (0, -1):
        assert shape(_unnamed(stream.events[place])) == shape(_unnamed(capture["events"][place]))
    kinds = {json.dumps(shape(_unnamed(event))) for event in capture["events"]}
    assert {json.dumps(shape(_unnamed(event))) for event in stream.events} <= kinds
    if "error" in stream.events[0]:
        assert_same_refusal(capture["name"], stream.events[0], capture["events"][0])


def assert_same_refusal(name: str, body: Any, expected: Any) -> None:
    if name in OWN_WORDS:
        for each in (body, expected):
            each["error"]["message"] = ""
            each["error"]["param"] = (each["error"]["param"] or "").split(".")[:2]
    assert body == expected


def finishing(body: Any) -> set[str]:
    return {choice["finish_reason"] for choice in body["choices"]}


def _unnamed(document: Any) -> Any:
    """Returns a document without the parts that depend on the tokenizer."""
    if isinstance(document, dict):
        lists = ("top_logprobs", "prompt_logprobs")
        return {
            key: bool(value) if key in lists else _unnamed(value) for key, value in document.items()
        }
    return [_unnamed(item) for item in document] if isinstance(document, list) else document
