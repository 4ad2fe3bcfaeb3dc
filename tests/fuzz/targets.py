"""Targets of coverage-guided fuzzing: functions of bytes that fail if a check fails.

The first byte of an input often selects one of several similar cases.
"""

import asyncio
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import orjson
from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message
from rpc.every_rpc import EVERY_RPC, Called

from penstock.v1.classification_pb2 import ClassifyRequest
from penstock.v1.embedding_pb2 import CreateEmbeddingsRequest
from penstock.v1.pooling_pb2 import PoolRequest
from penstock.v1.rerank_pb2 import RerankRequest, ScoreRequest
from penstock.v1.response_pb2 import CreateResponseRequest
from penstock.v1.transcription_pb2 import TranscriptionConfig
from penstock_server.convert import (
    chat,
    classification,
    completion,
    embedding,
    model,
    pooling,
    rerank,
    score,
    tokenization,
    transcript,
    transcription,
)
from penstock_server.convert.errors import InvalidRequest, MalformedAnswer, UnsupportedRequest
from penstock_server.convert.response import (
    chat_answer,
    chat_request,
    native_answer,
    native_request,
)
from penstock_server.rpc import status
from penstock_server.rpc.status import encoding
from penstock_server.upstream.answer import document
from penstock_server.upstream.call import Attempts
from penstock_server.upstream.completeness import ChoiceStream, ResponseEvents, TranscriptStream
from penstock_server.upstream.config import Timeouts
from penstock_server.upstream.failure import Stage, UpstreamFailure
from penstock_server.upstream.limits import Limit, Limits
from penstock_server.upstream.response import Response
from penstock_server.upstream.sse import EventDecoder
from penstock_server.upstream.stream import events

from . import caller_targets, http_targets, operator_targets
from .answers import captured, ordinary, paths_of
from .conversation import message_type
from .streams import complete, data_of, real_streams
from .upstream import strict_json

Json = Any


def _choice(data: bytes, among: Sequence[Any]) -> tuple[Any, bytes]:
    return among[data[0] % len(among)], data[1:]


# The SSE reader: the same events however the bytes are split, and the same as another reader's.


def decode(*blocks: bytes) -> tuple[list[bytes], list[int]]:
    """Returns the events of a stream and their offsets."""
    decoder = EventDecoder()
    found = [event for block in blocks for event in decoder.feed(block)]
    return found, list(decoder.offsets)


def sse(data: bytes) -> None:
    """Reads a stream; the first two bytes determine where it is split."""
    cut, body = int.from_bytes(data[:2], "big"), data[2:]
    found, offsets = decode(body)
    assert (found, offsets) == decode(body[:cut], body[cut:])
    assert (found, offsets) == decode(*(body[i : i + 1] for i in range(len(body))))
    assert found == data_of(body)
    assert len(offsets) == len(found)
    starts = (b"data:", b"{")
    assert all(body[at:].removeprefix(BOM_UTF8).startswith(starts) for at in offsets)


# A stream: complete, or a failure.

_CONTRACTS: Sequence[tuple[str, bool, Callable[[], Any]]] = (
    ("ChatCompletionService/StreamChatCompletion", False, lambda: ChoiceStream(1)),
    ("TranscriptionService/StreamTranscribe", False, TranscriptStream),
    ("ResponseService/StreamResponse", True, ResponseEvents),
)


class _Answer:
    def __init__(self, body: bytes, size: int) -> None:
        self._body, self._size = body, size
        self.attempts = Attempts()
        self.delimited, self.request_id = False, ""

    def wait_until(self, limit: Limit) -> None:
        """Does nothing, because all bytes are available."""

    async def block(self) -> bytes:
        block, self._body = self._body[: self._size], self._body[self._size :]
        return block

    async def skip(self) -> None:
        self._body = b""


def stream(data: bytes) -> None:
    """Reads a stream to its end; the second byte determines the size of its blocks."""
    (name, is_native, contract), rest = _choice(data, _CONTRACTS)
    [rpc] = [rpc for rpc in EVERY_RPC if rpc.name == name and bool(rpc.settings) is is_native]
    size, body = (rest or b"\0")[0] + 1, rest[1:]
    answer = cast(Response, _Answer(body, size))

    async def read() -> None:
        async for _ in events(answer, contract(), Limits(Timeouts())):
            pass

    failed: list[UpstreamFailure] = []
    try:
        asyncio.run(read())
    except UpstreamFailure as failure:
        failed.append(failure)
    assert failed or complete(rpc, body)
    assert all(0 <= (failure.offset or 0) <= len(body) for failure in failed)


# JSON to messages: a message that can be serialized and parsed, or a malformed answer.


def _each(make: Callable[[], Callable[[Any], Any]]) -> Callable[[Json], Iterator[Message]]:
    def run(data: Json) -> Iterator[Message]:
        convert = make()
        for event in data["events"]:
            made = convert(event)
            yield from made if isinstance(made, list) else [made] if made else []

    return run


def _one(convert: Callable[[Json], Message]) -> Callable[[Json], list[Message]]:
    return lambda data: [convert(data)]


_INPUTS: Any = [{"text": "x"}]
_RESPONSE = CreateResponseRequest(input_text="x")
_CONVERSIONS: Mapping[str, Sequence[Callable[[Json], Any]]] = {
    "CreateChatCompletion": (_one(chat.response),),
    "StreamChatCompletion": (_each(lambda: chat.ChatStream().message),),
    "CreateCompletion": (_one(completion.response),),
    "StreamCompletion": (_each(lambda: completion.CompletionStream().message),),
    "CreateResponse": (
        _one(lambda data: chat_answer.response(data, _RESPONSE)),
        _one(native_answer.response),
    ),
    "StreamResponse": (
        _each(lambda: chat_answer.ResponseStream(_RESPONSE).messages),
        _each(lambda: native_answer.NativeStream().message),
    ),
    "CreateEmbeddings": (
        _one(lambda data: embedding.response(data, CreateEmbeddingsRequest(inputs=_INPUTS))),
    ),
    "Pool": (_one(lambda data: pooling.response(data, PoolRequest(inputs=_INPUTS))),),
    "Classify": (
        _one(lambda data: classification.response(data, ClassifyRequest(inputs=_INPUTS))),
    ),
    "Rerank": (_one(lambda data: rerank.response(data, RerankRequest(documents=_INPUTS))),),
    "Score": (_one(lambda data: score.response(data, ScoreRequest(documents=_INPUTS))),),
    "ListModels": (_one(lambda data: model.model(data, None)),),
    "Tokenize": (_one(tokenization.tokenize_response),),
    "Detokenize": (_one(tokenization.detokenize_response),),
    "Transcribe": (_one(lambda data: transcript.response(data, TranscriptionConfig())),),
    "StreamTranscribe": (_each(lambda: transcript.TranscriptDeltas().delta),),
}
_ALL_CONVERSIONS = [convert for several in _CONVERSIONS.values() for convert in several]


def conversions(data: bytes) -> None:
    """Converts an answer."""
    convert, text = _choice(data, _ALL_CONVERSIONS)
    try:
        given = document(text, Stage.BODY)
    except UpstreamFailure:
        return
    if "events" in given and not _are_objects(given["events"]):
        return
    given.setdefault("events", [])
    try:
        for message in convert(given):
            type(message).FromString(message.SerializeToString())
    except MalformedAnswer:
        pass


def _are_objects(given: Json) -> bool:
    return isinstance(given, list) and all(isinstance(event, dict) for event in given)


# Messages to JSON: strict JSON, or a refusal.

_BODIES: Mapping[str, Sequence[Callable[[Any], Any]]] = {
    "CreateChatCompletion": (lambda request: chat.request_body(request, stream=True),),
    "CreateCompletion": (lambda request: completion.request_body(request, stream=True),),
    "CreateResponse": (
        lambda request: chat_request.chat_body(request, stream=True),
        lambda request: native_request.body(request, stream=True),
    ),
    "CreateEmbeddings": (embedding.request_body,),
    "Pool": (pooling.request_body,),
    "Classify": (classification.request_body,),
    "Rerank": (rerank.request_body,),
    "Score": (score.request_body,),
    "Tokenize": (tokenization.tokenize_body,),
    "Detokenize": (tokenization.detokenize_body,),
    "Transcribe": (lambda request: transcription.form_fields(request.config, stream=False),),
}


def _rpc(method: str) -> Called:
    return next(rpc for rpc in EVERY_RPC if rpc.name.endswith(f"/{method}"))


_ALL_BODIES = [
    (message_type(_rpc(method), "input"), body)
    for method, bodies in _BODIES.items()
    for body in bodies
]


def requests(data: bytes) -> None:
    """Converts a request."""
    (kind, body), wire = _choice(data, _ALL_BODIES)
    with suppress(DecodeError, InvalidRequest, UnsupportedRequest):
        strict_json(orjson.dumps(body(kind.FromString(wire))))


# Errors to statuses: within their caps, and never without a reason.


def errors(data: bytes) -> None:
    """Reads an answer that is an error or invalid."""
    try:
        document(data, Stage.BODY)
    except UpstreamFailure as failure:
        ended = status.of_failure(failure, model="m")
        message, metadata = encoding.trailers(ended, "id")
        assert ended.row.reason
        assert len(message.encode()) <= encoding.MESSAGE_LIMIT
        details = dict(metadata)["grpc-status-details-bin"]
        assert len(details) <= encoding.DETAILS_LIMIT


# Initial inputs


def _stream_seeds() -> Iterator[bytes]:
    for number, (name, is_native, _) in enumerate(_CONTRACTS):
        for rpc in EVERY_RPC:
            if rpc.name == name and bool(rpc.settings) is is_native:
                yield from (bytes([number, 63]) + one.body for one in real_streams(rpc)[:4])


def _conversion_seeds() -> Iterator[bytes]:
    number = 0
    for method, several in _CONVERSIONS.items():
        rpcs = [rpc for rpc in EVERY_RPC if rpc.name.endswith(f"/{method}")]
        for rpc, _ in zip(rpcs, several, strict=True):
            for body in _documents(rpc):
                yield bytes([number]) + json.dumps(body).encode()
            number += 1


def _documents(rpc: Called) -> list[Json]:
    if rpc.streams:
        found = [one for one in captured(paths_of(rpc)) if "events" in one]
        return [{"events": one["events"]} for one in found][:6]
    bodies = [one.body for one in ordinary(rpc) if one.content_type == "application/json"]
    documents = [json.loads(body) for body in bodies][:12]
    return documents[0]["data"] if rpc.name.startswith("Model") else documents


def _request_seeds() -> Iterator[bytes]:
    for number, method in enumerate(m for m, bodies in _BODIES.items() for _ in bodies):
        rpc = _rpc(method)
        message = text_format.Parse(rpc.requests[0], message_type(rpc, "input")())
        yield bytes([number]) + message.SerializeToString()


def _error_seeds() -> Iterator[bytes]:
    for rpc in EVERY_RPC:
        for one in captured(paths_of(rpc)):
            if one["status"] >= 400 and "body" in one:
                yield json.dumps(one["body"]).encode()


TARGETS: Mapping[str, tuple[Callable[[bytes], None], Callable[[], Iterable[bytes]]]] = {
    "sse": (sse, lambda: (b"\0" + seed for seed in _stream_seeds())),
    "stream": (stream, _stream_seeds),
    "conversions": (conversions, _conversion_seeds),
    "requests": (requests, _request_seeds),
    "errors": (errors, _error_seeds),
    "answers in turn": (http_targets.answers_in_turn, http_targets.answer_seeds),
    "compressed": (http_targets.compressed, http_targets.compressed_seeds),
    "form": (http_targets.form, http_targets.form_seeds),
    "metadata": (caller_targets.metadata, caller_targets.metadata_seeds),
    "certificates": (caller_targets.certificates, caller_targets.certificate_seeds),
    "cost": (caller_targets.cost, caller_targets.cost_seeds),
    "configuration": (operator_targets.configuration, operator_targets.configuration_seeds),
    "callers": (operator_targets.callers, operator_targets.caller_seeds),
    "redaction": (operator_targets.redaction, operator_targets.redaction_seeds),
}
"""Each target with its initial inputs."""


def run(name: str, data: bytes) -> None:
    """Runs a target on an input."""
    if data:
        TARGETS[name][0](data)
