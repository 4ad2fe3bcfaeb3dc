"""gRPC-Web, binary and as text, as browsers send it."""

import base64
import struct
from collections.abc import AsyncIterator, Mapping

import grpc
import httpx
import pytest
from rpc.calls import BOUND_S, STORY, Ended, chat, read_details

from mesh.conftest import StartMesh
from mesh.gateway import ORIGIN, Mesh
from penstock.v1.chat_completion_pb2 import (
    CreateChatCompletionRequest,
    StreamChatCompletionResponse,
)

STREAM = "/penstock.v1.ChatCompletionService/StreamChatCompletion"
BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"
_TRAILERS = 0x80


@pytest.fixture
async def mesh(start: StartMesh) -> Mesh:
    return await start()


@pytest.fixture
async def http(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    """A page of the allowed origin."""
    url, headers = f"http://{mesh.envoy.address}", {"origin": ORIGIN}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, trust_env=False, timeout=BOUND_S
    ) as client:
        yield client


async def sent(
    http: httpx.AsyncClient, kind: str, request: CreateChatCompletionRequest
) -> httpx.Response:
    body = request.SerializeToString()
    framed = struct.pack(">BI", 0, len(body)) + body
    content = base64.b64encode(framed) if kind == TEXT else framed
    headers = {"content-type": kind, "accept": kind, "x-grpc-web": "1"}
    return await http.post(STREAM, content=content, headers=headers)


def received(answer: httpx.Response) -> tuple[list[StreamChatCompletionResponse], dict[str, str]]:
    """Returns the messages and the trailers of an answer."""
    body = answer.content
    if answer.headers["content-type"].startswith("application/grpc-web-text"):
        # Several encodings, each with its own padding.
        padded = body.replace(b"=", b"= ").replace(b"= =", b"==").split(b" ")
        body = b"".join(base64.b64decode(piece) for piece in padded)
    messages: list[StreamChatCompletionResponse] = []
    trailers: dict[str, str] = {}
    while body:
        kind, length = struct.unpack_from(">BI", body)
        data, body = body[5 : 5 + length], body[5 + length :]
        if kind == _TRAILERS:
            lines = data.decode().split("\r\n")
            trailers = dict(line.split(":", 1) for line in lines if line)
        else:
            messages.append(StreamChatCompletionResponse.FromString(data))
    return messages, trailers


def ended(trailers: Mapping[str, str]) -> Ended:
    [code] = (one for one in grpc.StatusCode if one.value[0] == int(trailers["grpc-status"]))
    encoded = trailers["grpc-status-details-bin"]
    rich = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return read_details(Ended(code, trailers["grpc-message"]), rich)


@pytest.mark.parametrize("kind", [BINARY, TEXT])
async def test_a_stream(http: httpx.AsyncClient, kind: str) -> None:
    answer = await sent(http, kind, chat(STORY))
    messages, trailers = received(answer)
    assert trailers["grpc-status"] == "0"
    assert messages[-1].HasField("usage")
    assert len(messages) > 3


@pytest.mark.parametrize("kind", [BINARY, TEXT])
async def test_a_stream_that_breaks_has_its_status(http: httpx.AsyncClient, kind: str) -> None:
    messages, trailers = received(await sent(http, kind, chat(STORY, "cut after=3")))
    result = ended({key: value.strip() for key, value in trailers.items()})
    assert messages
    assert (result.code, result.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")


async def test_a_page_may_read_the_status_of_a_call_without_messages(
    http: httpx.AsyncClient,
) -> None:
    answer = await sent(http, BINARY, chat(fault="status code=400"))
    result = ended(answer.headers)
    assert (result.code, result.domain) == (grpc.StatusCode.INVALID_ARGUMENT, "penstock")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = answer.headers["access-control-expose-headers"].split(",")
    assert {"grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id"} <= {*exposed}


async def test_a_browser_may_call_from_the_origin_in_the_file_alone(
    http: httpx.AsyncClient,
) -> None:
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,grpc-timeout,x-grpc-web,x-user-agent",
    }
    allowed = await http.options(STREAM, headers=asked)
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    for name in asked["access-control-request-headers"].split(","):
        assert name in allowed.headers["access-control-allow-headers"]
    other = await http.options(STREAM, headers=asked | {"origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers
