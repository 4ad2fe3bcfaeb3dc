"""Nothing in a real vLLM's answers is lost: completions, tokenization, reranking, scoring."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from penstock.v1.completion_pb2 import StreamCompletionResponse
from penstock.v1.generation_pb2 import GenerateOutputMode, StreamGenerateResponse
from penstock.v1.rerank_pb2 import RerankRequest, ScoreRequest, ScoringInput
from penstock_server.convert import completion, rerank, score, token_generation, tokenization
from penstock_server.upstream.completeness import ChoiceStream

from .captures import FOLDER
from .losses import losses


def _captures(operation: str) -> Iterator[Any]:
    for path in sorted((FOLDER.parent / operation).glob("*.json")):
        capture = json.loads(path.read_text("utf-8"))
        if capture["status"] == 200:
            yield pytest.param(capture, id=capture["name"])


COMPLETIONS = [one for one in _captures("completion") if "body" in one.values[0]]
STREAMS = [
    one
    for one in _captures("completion")
    if any("choices" in event for event in one.values[0].get("events", ()))
]
GENERATIONS = list(_captures("generation"))
OTHERS = [*_captures("tokenization"), *_captures("rerank")]


def _scoring_inputs(given: Any) -> list[ScoringInput]:
    texts = given if isinstance(given, list) else [given]
    return [ScoringInput(text=text) for text in texts]


def _rerank(data: Any, body: Mapping[str, Any]) -> Any:
    documents = _scoring_inputs(body["documents"])
    return rerank.response(data, RerankRequest(documents=documents, top_n=body.get("top_n", 0)))


def _score(data: Any, body: Mapping[str, Any]) -> Any:
    names = ("text_2", "data_2", "documents", "items")
    given = next(body[name] for name in names if name in body)
    return score.response(data, ScoreRequest(documents=_scoring_inputs(given)))


READERS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "tokenize": lambda data, _: tokenization.tokenize_response(data),
    "detokenize": lambda data, _: tokenization.detokenize_response(data),
    "rerank": _rerank,
    "score": _score,
}
"""Functions that convert an answer, by the last part of the path."""


def test_there_are_captures() -> None:
    assert len(COMPLETIONS) > 15
    assert len(STREAMS) > 4
    assert len(OTHERS) > 25
    assert len(GENERATIONS) > 30


@pytest.mark.parametrize("capture", COMPLETIONS)
def test_completion(capture: Any) -> None:
    body, asked = capture["body"], capture["request"]["body"]
    made = completion.response(body, echo=bool(asked.get("echo")))
    assert list(losses(body, made)) == []


@pytest.mark.parametrize("capture", STREAMS)
def test_stream(capture: Any) -> None:
    asked = capture["request"]["body"]
    prompts = asked["prompt"] if isinstance(asked["prompt"], list) else [asked["prompt"]]
    contract = ChoiceStream(len(prompts) * asked.get("n", 1))
    stream, messages = (
        completion.CompletionStream(echo=bool(asked.get("echo"))),
        list[StreamCompletionResponse](),
    )
    for event in capture["events"]:
        contract.observe(event)
        message = stream.message(event)
        assert message
        messages.append(message)
        once = ("model", "created") if len(messages) > 1 else ()
        news = {key: value for key, value in event.items() if key not in once}
        assert list(losses(news, messages[-1])) == []
    wanted = (asked.get("stream_options") or {}).get("include_usage")
    assert contract.complete is bool(wanted), contract.missing


@pytest.mark.parametrize("capture", OTHERS)
def test_answer(capture: Any) -> None:
    read = READERS[capture["request"]["path"].rpartition("/")[2]]
    message = read(capture["body"], capture["request"]["body"])
    assert list(losses(capture["body"], message)) == []


def test_losses_are_detected() -> None:
    for capture in (one.values[0] for one in [*COMPLETIONS, *OTHERS]):
        body = capture["body"]
        path = capture["request"]["path"].rpartition("/")[2]
        asked = capture["request"]["body"]
        message = READERS[path](body, asked) if path in READERS else completion.response(body)
        assert list(losses({**body, "more": 1}, message))
        for key in ("id", "model", "usage", "created", "count", "tokens", "results", "data"):
            if key in body:
                assert list(losses({**body, key: "something else"}, message)), key


def _mode(asked: Mapping[str, Any]) -> Any:
    return GenerateOutputMode.Value(
        f"GENERATE_OUTPUT_MODE_{asked.get('output_mode', 'tokens').upper()}"
    )


@pytest.mark.parametrize("capture", [one for one in GENERATIONS if "body" in one.values[0]])
def test_generation(capture: Any) -> None:
    body = capture["body"]
    made = token_generation.response(body, _mode(capture["request"]["body"]))
    assert not made.HasField("extra")
    assert list(losses(body, made)) == []


@pytest.mark.parametrize("capture", [one for one in GENERATIONS if "events" in one.values[0]])
def test_generation_stream(capture: Any) -> None:
    asked, events = capture["request"]["body"], capture["events"]
    if "error" in events[0]:
        return
    stream = token_generation.GenerateStream(_mode(asked))
    contract = ChoiceStream(asked["sampling_params"].get("n", 1))
    made = list[StreamGenerateResponse]()
    for event in events:
        contract.observe(event)
        message = stream.message(event)
        assert message
        assert list(losses(event, message)) == []
        made.append(message)
    contract.ended()
    assert contract.complete == bool(asked.get("stream_options"))
    assert len({message.id for message in made}) == 1
