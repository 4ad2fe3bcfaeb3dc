"""Every key of an answer that is read is a known key, and every known key is read.

A key that is read but not known would be both in its field and in `extra`; a key that is known but
not read would be lost. The captured answers are converted while each object records which of its
keys are looked up, including keys that it does not have.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from inspect import currentframe
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import penstock_server.convert
from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.common_pb2 import JsonDocument
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.generation_pb2 import GENERATE_OUTPUT_MODE_TEXT, GENERATE_OUTPUT_MODE_TOKENS
from penstock.v1.pooling_pb2 import PoolRequest
from penstock.v1.rerank_pb2 import RerankRequest, ScoreRequest
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.transcription_pb2 import TranscriptionConfig
from penstock_server.convert import (
    chat,
    classification,
    completion,
    embedding,
    extra,
    live_transcription,
    model,
    pooling,
    rerank,
    score,
    token_generation,
    tokenization,
    transcript,
)
from penstock_server.convert.response import chat_answer, chat_choice, native_answer

CONVERT = Path(penstock_server.convert.__path__[0])
CAPTURES = Path(__file__).parents[1] / "captures"
Json = Any


class Recorded(dict[str, Any]):
    """An object of an answer that records which keys were looked up."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__({key: recorded(value) for key, value in data.items()})
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)


def recorded(value: Json) -> Json:
    if isinstance(value, dict):
        return Recorded(value)
    return [recorded(one) for one in value] if isinstance(value, list) else value


class Place(NamedTuple):
    """A place where unknown keys are kept, and the keys that are known there."""

    module: str
    function: str
    known: frozenset[str]


Record = dict[Place, list[Recorded]]
"""Objects of answers by place."""


def observe(monkeypatch: pytest.MonkeyPatch) -> Record:
    """Makes the functions that keep unknown keys record their arguments from now on."""
    record: Record = {}

    def watch(module: Any, name: str) -> None:
        function = getattr(module, name)

        def watched(*args: Any) -> Any:
            caller = currentframe().f_back.f_code  # type: ignore[union-attr]
            module = Path(caller.co_filename).stem
            *_, data, known = args
            if isinstance(data, Recorded) and module != "extra":
                place = Place(module, caller.co_name, known)
                record.setdefault(place, []).append(data)
            result = function(*args)
            return Recorded(result) if isinstance(result, dict) else result

        monkeypatch.setattr(module, name, watched)

    for name in ("keep", "keep_under", "unknown"):
        watch(extra, name)
    watch(chat_choice, "_merge")
    return record


USAGE: Json = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
CALL: Json = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOGPROBS: Json = {"content": [{"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}]}
FRAME: Json = {"id": "x", "object": "o", "model": "m", "created": 1, "usage": USAGE, "metrics": {}}
SAID: Json = {"role": "assistant", "content": "a", "reasoning": "b", "tool_calls": [CALL], "x": 1}
END: Json = {"finish_reason": "stop", "logprobs": LOGPROBS}


def _chat(said: str) -> Json:
    metrics = {"queue_time_ms": 1}
    return {**FRAME, "choices": [{"index": 0, said: SAID, **END}], "metrics": metrics}


def _completion() -> Json:
    columns = {"tokens": ["a"], "token_logprobs": [-1], "text_offset": [0], "top_logprobs": [None]}
    return {**FRAME, "choices": [{"index": 0, "text": "a", **END, "logprobs": columns}]}


def _tokens(**choice: Any) -> Json:
    score = {"token_id": 1, "logprob": -1, "rank": 1, "top_logprobs": []}
    choice = {"index": 0, "token_ids": [1], "sampling_mask": [[1]], **END, **choice}
    placed = {"image": [{"offset": 0, "length": 1}]}
    answer = {"request_id": "x", "output_mode": "tokens", "mm_placeholders": placed}
    return {**FRAME, **answer, "choices": [{**choice, "logprobs": {"content": [score]}}]}


def _results(**result: Any) -> Json:
    return {**FRAME, "data": [{"index": 0, **result}]}


_ITEMS: Json = [
    {
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "a"},
            {"type": "refusal", "refusal": "a"},
            {"type": "reasoning_text", "text": "a"},
        ],
    },
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "a"},
    {"type": "reasoning", "summary": [], "content": []},
]
_TOOL: Json = {"type": "function", "name": "f"}
_RESPONSE: Json = {
    "id": "r",
    "object": "response",
    "status": "completed",
    "output": _ITEMS,
    "usage": {"input_tokens": 1, "output_tokens_details": {}},
    "tools": [_TOOL],
    "reasoning": {"effort": "low", "summary": "auto"},
    "incomplete_details": {"reason": "x"},
    "error": {"code": "x", "message": "y"},
}


def _native_events() -> list[Json]:
    """Returns one event of each type that has a reader."""
    values = {"response": _RESPONSE, "item": _ITEMS[0], "part": _ITEMS[0]["content"][0]}
    values |= {"logprobs": []}
    return [
        {"type": kind, **{key: values.get(key, "0") for key in keys}}
        for kind, (_, _, keys) in native_answer._READERS.items()
    ]


def _stream(convert: Callable[[Json], Any], *events: Json) -> None:
    for event in events:
        convert(event)


def _asked() -> CreateResponseRequest:
    return CreateResponseRequest(input_text="x")


TRANSCRIBED: Json = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
PACKED: Json = {
    "bytes": b"\0\0\0\0",
    "embed_dtype": "float32",
    "endianness": "little",
    "shape": [1],
    "start": 0,
    "end": 4,
}
TEXT: Any = [{"text": "x"}]
ANSWERS: Mapping[str, Callable[[], object]] = {
    "chat": lambda: chat.response(recorded(_chat("message"))),
    "chat stream": lambda: _stream(
        chat.ChatStream().message, recorded({"id": "x", "choices": []}), recorded(_chat("delta"))
    ),
    "completion": lambda: completion.response(recorded(_completion())),
    "completion stream": lambda: completion.CompletionStream().message(recorded(_completion())),
    "generation": lambda: token_generation.response(
        recorded(_tokens(message=SAID)), GENERATE_OUTPUT_MODE_TOKENS
    ),
    "generation stream": lambda: token_generation.GenerateStream(GENERATE_OUTPUT_MODE_TEXT).message(
        recorded(_tokens(text="a"))
    ),
    "response by chat": lambda: chat_answer.response(recorded(_chat("message")), _asked()),
    "response stream by chat": lambda: chat_answer.ResponseStream(_asked()).messages(
        recorded(_chat("delta"))
    ),
    "response": lambda: native_answer.response(recorded(_RESPONSE)),
    "response stream": lambda: _stream(
        native_answer.NativeStream().message, *map(recorded, _native_events())
    ),
    "embeddings": lambda: embedding.response(
        recorded(_results(embedding=[1.0])), CreateEmbeddingsRequest(inputs=TEXT)
    ),
    "embeddings as bytes": lambda: embedding.response(
        recorded(_results(**PACKED)), CreateEmbeddingsRequest(inputs=TEXT)
    ),
    "pooling as bytes": lambda: pooling.response(
        recorded(_results(**PACKED)), PoolRequest(inputs=TEXT)
    ),
    "pooling": lambda: pooling.response(recorded(_results(data=[1.0])), PoolRequest(inputs=TEXT)),
    "plugin": lambda: pooling.response(
        recorded({"data": 1}), PoolRequest(plugin_data=JsonDocument(json="1"))
    ),
    "classification": lambda: classification.response(
        recorded(_results(probs=[1.0])), ClassifyRequest(inputs=TEXT)
    ),
    "rerank": lambda: rerank.response(
        recorded({**FRAME, "results": [{"index": 0, "relevance_score": 1}]}),
        RerankRequest(documents=TEXT),
    ),
    "score": lambda: score.response(recorded(_results(score=1)), ScoreRequest(documents=TEXT)),
    "tokenize": lambda: tokenization.tokenize_response(recorded({"count": 1, "tokens": [1]})),
    "detokenize": lambda: tokenization.detokenize_response(recorded({"prompt": "a"})),
    "model": lambda: model.model(recorded({"id": "m"}), None),
    "transcription": lambda: transcript.response(
        recorded(
            {
                "text": "a",
                "segments": [{"start": 0, "end": 1, "text": "a"}],
                "words": [{"start": 0, "end": 1, "word": "a"}],
                "usage": {"type": "duration", "seconds": 1},
            }
        ),
        TranscriptionConfig(),
    ),
    "transcription stream": lambda: _stream(
        transcript.TranscriptDeltas().delta,
        recorded({"id": "x", "created": 1, "choices": [TRANSCRIBED]}),
        recorded({"choices": [], "usage": USAGE}),
    ),
    "live transcription": lambda: [
        live_transcription.reply(recorded(event), "m")
        for event in (
            {"type": "session.created", "id": "x", "created": 1},
            {"type": "transcription.delta", "delta": "a"},
            {"type": "transcription.done", "text": "a", "usage": USAGE},
            {"type": "error", "error": "a", "code": "b"},
        )
    ],
}


ALWAYS_THE_SAME: Mapping[str, str] = {
    "object": "the kind of object",
    "type": "the kind of object",
    "sequence_number": "events are numbered here",
}
"""Keys that need no field, with the reason."""

_CUT_OUT = {"start": "where the bytes were in the body", "end": "where the bytes were in the body"}
UNREAD: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("embedding", "response"): _CUT_OUT,
    ("pooling", "response"): _CUT_OUT,
    ("rerank", "_result"): {"document": "taken from the request"},
    ("transcript", "response"): {"task": "what was asked for"},
    ("transcript", "_take"): {
        "index": "there is one choice",
        "role": "there is one role",
    },
}
"""Other keys that need no field, with the reason, by place."""

PLACED: Mapping[tuple[str, str], frozenset[str]] = {
    ("native_answer", "message"): frozenset({"item", "item_id"})
}
"""Keys that are looked up only to find the place of an event and stay in `extra`, by place."""

EARLY = ("generation", "fill")
"""Keeps events before the answer; it knows the keys of the answer's events."""


_ENDED = "native_finish_reason stop_string stop_token_id"
_VECTORS = "float_vector multi_vector packed_multi_vector packed_vector"
WRITTEN_OTHERWISE: Mapping[str, str] = {
    "ChatChoice": _ENDED,
    "ChatChoiceDelta": _ENDED,
    "ChatDelta": "custom_role",
    "ChatMessage": "content custom_role reasoning refusal role tool_calls tools",
    "ClassifyResponse": "create_time results",
    "CompletionChoice": _ENDED,
    "CompletionChoiceDelta": _ENDED,
    "CreateChatCompletionResponse": "create_time",
    "CreateCompletionResponse": "create_time",
    "CreateEmbeddingsResponse": "create_time embeddings",
    "Delta": "text",
    "DetokenizeResponse": "text",
    "Embedding": _VECTORS,
    "GenerateChoice": _ENDED,
    "GenerateChoiceDelta": _ENDED,
    "GenerateResponse": "create_time placeholders",
    "Error": "message",
    "Model": "asleep capabilities create_time",
    "ModelResponse": "complete_time create_time incomplete_reason settings",
    "PoolResponse": "create_time plugin_data results",
    "PoolingResult": _VECTORS,
    "RequestMetrics": "generation_time mean_inter_token_latency queue_time time_to_first_token",
    "ResponseContentPart": "audio image other reasoning video",
    "ResponseItem": "choice_index function_call function_call_output message other reasoning",
    "ResponseUsage": "input_tokens input_tokens_details output_tokens output_tokens_details"
    " total_tokens",
    "ScoreResponse": "create_time results",
    "Segment": "end_offset start_offset token_ids",
    "Started": "create_time model",
    "StreamChatCompletionResponse": "create_time",
    "StreamCompletionResponse": "create_time",
    "StreamGenerateResponse": "create_time placeholders",
    "TokenizeResponse": "token_ids token_strings",
    "ToolCall": "other",
    "ToolCallDelta": "arguments name",
    "Transcription": "billed_duration language_code srt vtt",
    "TranscriptionDelta": "create_time text " + _ENDED,
    "Word": "end_offset start_offset",
}
"""Fields, except `extra`, that are not written from a key with their name, by message."""


@pytest.fixture(name="record")
def _record(monkeypatch: pytest.MonkeyPatch) -> Record:
    record = observe(monkeypatch)
    for read in ANSWERS.values():
        read()
    return record


def _kept() -> set[tuple[str, str]]:
    """Returns all functions of the conversions that keep unknown keys of answers."""
    found = set()
    for path in CONVERT.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef) and _keeps(function):
                found.add((path.stem, function.name))
    return {one for one in found if one[0] != "extra"}


def _keeps(function: ast.FunctionDef) -> bool:
    names = ("extra.keep", "extra.keep_under", "extra.unknown", "_merge")
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return any(
        ast.unparse(call.func) in names and ast.unparse(call.args[-1]) != "frozenset()"
        for call in calls
    )


def test_every_place_is_reached(record: Record) -> None:
    assert {place[:2] for place in record} == _kept()


def test_every_key_that_is_read_is_known(record: Record) -> None:
    for place, read in _read(record):
        unknown = read - place.known - PLACED.get(place[:2], frozenset())
        assert unknown == set(), f"{place.function} of {place.module} reads it without knowing it"


def test_every_known_key_is_read(record: Record) -> None:
    for place, read in _read(record):
        unread = place.known - read - ALWAYS_THE_SAME.keys()
        if place[:2] != EARLY:
            unread -= UNREAD.get(place[:2], {}).keys()
            assert unread == set(), f"{place.function} of {place.module} knows it and drops it"


def test_every_key_that_is_read_by_name_has_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a field, every value would be kept as unreadable."""
    fill, lost = extra.fill, set()

    def watched(target: Any, name: str, data: Any, read: Any) -> None:
        if name not in target.DESCRIPTOR.fields_by_name:
            lost.add((target.DESCRIPTOR.name, name))
        fill(target, name, data, read)

    monkeypatch.setattr(extra, "fill", watched)
    for answer in ANSWERS.values():
        answer()
    assert lost == set()


def test_every_field_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = extra.keep
    left: dict[str, set[str]] = {}

    def watched(target: Any, data: Any, known: frozenset[str]) -> None:
        message = target.DESCRIPTOR
        left.setdefault(message.name, set(message.fields_by_name) - {"extra"}).difference_update(
            known
        )
        keep(target, data, known)

    monkeypatch.setattr(extra, "keep", watched)
    for answer in ANSWERS.values():
        answer()
    # Its fields are the types of events, which have their own readers.
    del left["StreamResponseResponse"]
    written = {name: set(fields.split()) for name, fields in WRITTEN_OTHERWISE.items()}
    assert {name: fields for name, fields in left.items() if fields} == written


def test_only_unread_keys_have_a_reason(record: Record) -> None:
    for place, reasons in UNREAD.items():
        read = set().union(*(keys for found, keys in _read(record) if found[:2] == place))
        assert reasons.keys() & read == set(), place


def _read(record: Record) -> Iterator[tuple[Place, set[str]]]:
    for place, objects in record.items():
        yield place, set().union(*(one.read for one in objects))
