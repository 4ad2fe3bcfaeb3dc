"""Fuzz targets for callers' metadata and for costly messages."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import httpx
import orjson
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from rpc.every_rpc import EVERY_RPC
from rpc.test_entries import WITHOUT_END, walked

from penstock.v1.common_pb2 import EngineOptions
from penstock_server.convert import chat, completion, embedding, pooling, rerank, tokenization
from penstock_server.convert.errors import InvalidRequest, UnsupportedRequest
from penstock_server.convert.response import chat_request, native_request
from penstock_server.rpc.calls import Rpc, upstream_call
from penstock_server.rpc.calls.entries import count, plan
from penstock_server.rpc.middleware import forwarded_certificates
from penstock_server.upstream.headers import Headers
from penstock_server.upstream.http.messages import LazyRequest
from penstock_server.upstream.http.transport import head_of

from .conversation import message_type

_URL = httpx.URL("http://upstream:8000/v1/chat/completions")
_HEADERS = Headers("a-key", {"x-tenant": "t"}, "upstream:8000")


def metadata(data: bytes) -> None:
    """Forwards metadata: each line is a key and a value; engine options follow an empty line."""
    lines, _, serialized = data.partition(b"\n\n")
    given = [line.partition(b":")[::2] for line in lines.split(b"\n")]
    try:
        engine = EngineOptions.FromString(serialized)
    except DecodeError:
        engine = EngineOptions()
    # gRPC passes text on unchanged, and binary values under keys that end in -bin.
    texts = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in given)
    context = Mock(invocation_metadata=lambda: texts)
    rpc = Rpc("/penstock.v1.ModelService/ListModels", context, None)
    try:
        call = upstream_call(rpc, "", engine)
    except InvalidRequest as error:
        _check_fields(error)
        return
    headers = _HEADERS.build(call, "application/json")
    head = head_of(LazyRequest("POST", _URL, headers, httpx.ByteStream(b"{}"), {}))
    first, *sent = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    assert first == "POST /v1/chat/completions HTTP/1.1"
    named = [line.partition(": ")[0] for line in sent]
    assert sorted(named) == sorted(headers), "a header is not ours"
    assert all(len(line) < 1100 and line.isprintable() for line in sent)
    assert dict(rpc.trailing_metadata)["x-request-id"].isprintable()


def certificates(data: bytes) -> None:
    """Reads reports of proxies; no earlier report changes that of the nearest one."""
    given, nearest = data.decode("latin-1"), "spiffe://a/b"
    try:
        alone = forwarded_certificates.read(given)
    except ValueError:
        alone = ()
    try:
        *earlier, last = forwarded_certificates.read(f"{given},URI={nearest}")
    except ValueError:
        assert not alone
        return
    assert (tuple(earlier), last) == (alone, (nearest,))
    for one in (name for identities in alone for name in identities):
        assert one.startswith("spiffe://") or "/" not in one


def certificate_seeds() -> Iterator[bytes]:
    """Returns reports as Envoy writes them."""
    yield b"By=spiffe://a/c;Hash=4;URI=spiffe://a/d;DNS=a.b;DNS=c.d"
    yield b"URI=spiffe://a/c,By=;Hash=4;URI=spiffe://a/d,URI=https://a/?b=c"
    yield b'Subject=",URI=spiffe://a/c,";DNS=,'
    yield b'Subject="CN=\\"a\\",O=b\\\\";URI=, Hash=5;Cert="-----%20"'


def _check_fields(error: InvalidRequest) -> None:
    assert all(violation.field for violation in error.violations)


_BODIES: dict[str, Any] = {
    "CreateChatCompletion": chat.request_body,
    "CreateCompletion": completion.request_body,
    "CreateEmbeddings": lambda request, **_: embedding.request_body(request),
    "Pool": lambda request, **_: pooling.request_body(request),
    "Rerank": lambda request, **_: rerank.request_body(request),
    "Tokenize": lambda request, **_: tokenization.tokenize_body(request),
    "CreateResponse": chat_request.chat_body,
    "CreateResponse native": native_request.body,
}
_KINDS = [
    (message_type(rpc, "input"), _BODIES.get(rpc.name.partition("/")[2]))
    for rpc in EVERY_RPC
    if not rpc.uploads
]
_PLANS = {kind: plan(kind) for kind, _ in _KINDS}
_BYTES_PER_ENTRY = 128
_BYTES_PER_BYTE = 8


def cost(data: bytes) -> None:
    """Checks that the counted entries bound the size of a request's message and JSON."""
    (kind, body), serialized = _KINDS[data[0] % len(_KINDS)], data[1:]
    counted = count(serialized, _PLANS[kind], WITHOUT_END)
    assert counted <= len(serialized) + 1
    try:
        message = kind.FromString(serialized)
        assert walked(message) <= counted
        sent = orjson.dumps(body(message, stream=True)) if body else b""
    except (DecodeError, InvalidRequest, UnsupportedRequest):
        return
    assert len(sent) <= _BYTES_PER_ENTRY * (counted + 8) + _BYTES_PER_BYTE * len(serialized)


# Initial inputs


def metadata_seeds() -> Iterator[bytes]:
    """Returns usual and unusual metadata."""
    engine = text_format.Parse('session_id: "s" priority: 2', EngineOptions())
    yield b"x-request-id:r1\nx-session-id:s\n\n" + engine.SerializeToString()
    yield b"traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\ntracestate:a=1"
    yield b"x-vllm-priority:-7\nx-data-parallel-rank:1\nx-llm-model:m"
    yield b"x-session-id:s\r\nhost: other\nx-request-id:" + b"r" * 200
    yield b"x-session-id: s \n\n"


def cost_seeds() -> Iterator[bytes]:
    """Returns a usual request of each kind, and one with many small parts."""
    called = [rpc for rpc in EVERY_RPC if not rpc.uploads]
    for number, rpc in enumerate(called):
        message = text_format.Parse(rpc.requests[0], message_type(rpc, "input")())
        yield bytes([number]) + message.SerializeToString()
        yield bytes([number]) + b"\x12\x00" * 500
