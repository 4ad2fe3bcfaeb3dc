"""JSON and server-sent events by Envoy's transcoding."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from conftest import FREE_PORT
from docs.comparison import same_output
from docs.markdown import transcripts
from examples.test_clients import shell
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from rpc.calls import BOUND_S

from mesh.conftest import StartMesh
from mesh.gateway import ROOT, Mesh
from penstock_server.simulator import SimulatorSettings

PAGE = ROOT / "docs" / "envoy.md"
CHAT = "/penstock.v1.ChatCompletionService/CreateChatCompletion"
EMBED = "/penstock.v1.EmbeddingService/CreateEmbeddings"
INPUTS = 9000
"""Whose vectors exceed Envoy's default of 1 MiB."""
ALL = SimulatorSettings(listen=FREE_PORT, kind="all", multimodal=True)


@pytest.fixture
async def mesh(start: StartMesh) -> Mesh:
    return await start(ALL, ALL)


@pytest.fixture
async def http(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks HTTP/1.1, as curl does."""
    url = f"http://{mesh.envoy.address}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=BOUND_S) as client:
        yield client


def asked(text: str = "Say hello.", fault: str = "") -> dict[str, Any]:
    said = f"{text} [[simulate: {fault}]]" if fault else text
    return {"messages": [{"role": "ROLE_USER", "content": [{"text": said}]}]}


async def streamed(http: httpx.AsyncClient, request: Any) -> tuple[httpx.Response, list[Any]]:
    path = "/penstock.v1.ChatCompletionService/StreamChatCompletion"
    async with http.stream("POST", path, json=request) as answer:
        lines = [line async for line in answer.aiter_lines()]
    assert all(line.startswith("data: ") for line in lines if line)
    return answer, [json.loads(line.removeprefix("data: ")) for line in lines if line]


@pytest.mark.parametrize(("command", "shown"), transcripts(PAGE.read_text("utf-8")))
async def test_a_command_of_the_page(mesh: Mesh, command: str, shown: str) -> None:
    printed = await shell(command.replace("localhost:8080", mesh.envoy.address), ROOT)
    assert same_output(shown.strip(), printed.strip()), printed


async def test_a_unary_call(http: httpx.AsyncClient) -> None:
    answer = await http.post(CHAT, json=asked())
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-type"] == "application/json"
    [choice] = answer.json()["choices"]
    assert choice["message"]["content"][0]["text"]
    assert choice["finish_reason"] == "FINISH_REASON_STOP"


async def test_a_complete_stream_ends_with_usage(http: httpx.AsyncClient) -> None:
    answer, events = await streamed(http, asked())
    assert answer.headers["content-type"] == "text/event-stream"
    assert "usage" in events[-1]
    assert not any("usage" in event for event in events[:-1])


async def test_a_stream_that_breaks_ends_without_usage(http: httpx.AsyncClient) -> None:
    answer, events = await streamed(http, asked(fault="cut after=3"))
    # HTTP/1.1 has no place for a late status.
    assert answer.status_code == httpx.codes.OK
    assert events
    assert "usage" not in events[-1]


@pytest.mark.parametrize("method", ["CreateChatCompletion", "StreamChatCompletion"])
async def test_an_error_is_an_http_status_with_its_details(
    http: httpx.AsyncClient, method: str
) -> None:
    wrong = asked() | {"sampling": {"temperature": -1}}
    answer = await http.post(f"/penstock.v1.ChatCompletionService/{method}", json=wrong)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    body = answer.json()
    [info] = (one for one in body["details"] if one["@type"].endswith("ErrorInfo"))
    assert (info["domain"], info["reason"]) == ("penstock", "UPSTREAM_REJECTED")


async def test_json_that_does_not_fit(http: httpx.AsyncClient) -> None:
    wrong = asked() | {"sampling": {"temperature": "warm"}}
    answer = await http.post(CHAT, json=wrong)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert "temperature" in answer.text


async def test_a_path_that_does_not_exist(mesh: Mesh, http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/chat/completions", json=asked())
    assert answer.status_code == httpx.codes.NOT_FOUND
    # Callers of gRPC reach what has no JSON.
    health = HealthStub(mesh.channel).Check(HealthCheckRequest())
    assert (await health).status == HealthCheckResponse.SERVING


async def test_a_large_answer(http: httpx.AsyncClient) -> None:
    inputs = [{"text": f"text {number}"} for number in range(INPUTS)]
    answer = await http.post(EMBED, json={"inputs": inputs})
    assert len(answer.json()["embeddings"]) == INPUTS


async def test_a_large_request(http: httpx.AsyncClient) -> None:
    request = asked("What is this?")
    picture = base64.b64encode(b"\x89PNG" + bytes(2**21)).decode()
    image = {"image": {"data": picture, "mime_type": "image/png"}}
    request["messages"][0]["content"].append(image)
    answer = await http.post(CHAT, json=request)
    assert answer.status_code == httpx.codes.OK, answer.text
