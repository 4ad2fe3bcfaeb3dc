"""Effects of the options of the client's commands: what they send, and where."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
from client.conftest import silence
from conftest import FREE_PORT, Serve
from grpc import aio

from penstock.v1 import model_pb2, model_pb2_grpc
from penstock_server.app import Service
from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.http.form import read_form
from penstock_server.simulator.http.requests import Request

from .process import Result, penstock

PEM = Path(__file__).parents[1] / "client" / "tls"
CERT, KEY = PEM / "cert.pem", PEM / "key.pem"
CA = ("--tls-ca", str(CERT), "--tls-server-name", "penstock.test")
SERVING = bytes([8, 1])
"""Status 1 in field 1."""
OWN = ("--tls-cert", str(CERT), "--tls-key", str(KEY))


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulator of all operations."""
    settings = SimulatorSettings(listen=FREE_PORT, kind="all", multimodal=True, matryoshka=True)
    async with Simulator(settings) as running:
        yield running


@pytest.fixture
async def service(simulator: Simulator, serve: Serve) -> Service:
    """A service that forwards credentials."""
    return await serve(upstream=(simulator.url,), forward_authorization=True)


def asked(simulator: Simulator) -> Request:
    """Returns the last request to the model."""
    return [one for one in simulator.requests if one.method == "POST"][-1]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("chat", "Hi", "--seed", "7"), {"seed": 7}),
        (("chat", "Hi", "--temperature", "0.5"), {"temperature": 0.5}),
        (("chat", "Hi", "--max-tokens", "3"), {"max_completion_tokens": 3}),
        (("chat", "Hi", "--model", "tiny-chat-alias"), {"model": "tiny-chat-alias"}),
        (("embed", "Hi", "--dimensions", "16"), {"dimensions": 16}),
        (("embed", "Hi", "--model", "tiny-chat-alias"), {"model": "tiny-chat-alias"}),
        (("rerank", "Hi", "a", "b", "--top-n", "1"), {"top_n": 1}),
        (("rerank", "Hi", "a", "--model", "tiny-chat-alias"), {"model": "tiny-chat-alias"}),
        (("tokenize", "Hi", "--model", "tiny-chat-alias"), {"model": "tiny-chat-alias"}),
    ],
)
async def test_fields_of_the_request(
    arguments: tuple[str, ...], sent: Mapping[str, Any], service: Service, simulator: Simulator
) -> None:
    result = await penstock(*arguments, "--target", f"127.0.0.1:{service.port}")
    assert result.code == 0, result.err
    given = asked(simulator).json
    assert {name: given.get(name) for name in sent} == sent


@pytest.mark.parametrize(
    ("options", "path", "sent"),
    [
        ((), "/v1/audio/transcriptions", {"language": "", "prompt": ""}),
        (("--translate",), "/v1/audio/translations", {}),
        (("--language", "fr"), "/v1/audio/transcriptions", {"language": "fr"}),
        (("--prompt", "Bonjour"), "/v1/audio/transcriptions", {"prompt": "Bonjour"}),
        (("--model", "tiny-chat-alias"), "/v1/audio/transcriptions", {"model": "tiny-chat-alias"}),
    ],
)
async def test_fields_of_a_transcription(
    options: tuple[str, ...],
    path: str,
    sent: Mapping[str, str],
    service: Service,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    speech = tmp_path / "speech.wav"
    speech.write_bytes(silence(1))
    target = ("--target", f"127.0.0.1:{service.port}")
    result = await penstock("transcribe", str(speech), *options, *target)
    assert result.code == 0, result.err
    request = asked(simulator)
    form = read_form(request)
    assert request.path == path
    assert {name: form.text(name) for name in sent} == sent


async def test_metadata(service: Service, simulator: Simulator) -> None:
    target = ("--target", f"127.0.0.1:{service.port}")
    for options, environment, key in (
        ((), {}, None),
        (("--api-key", "sk-a"), {"PENSTOCK_API_KEY": "sk-b"}, "Bearer sk-a"),
        ((), {"PENSTOCK_API_KEY": "sk-b\n"}, "Bearer sk-b"),
    ):
        named = ("--metadata", "X-Request-Id=mine", "--metadata", "traceparent=a=b")
        result = await penstock("chat", "Hi", *named, *options, *target, env=environment)
        assert result.code == 0, result.err
        headers = asked(simulator).headers
        assert headers.get("authorization") == key
        assert headers["x-request-id"].startswith("mine-")


async def test_the_error_contains_the_request_id(service: Service) -> None:
    target = ("--target", f"127.0.0.1:{service.port}")
    named = ("--metadata", "x-request-id=mine")
    result = await penstock("chat", "Hi", "--model", "nobody", *named, *target)
    assert result.err.endswith(" (request mine)\n")
    result = await penstock("models", "--target", "127.0.0.1:1")
    assert " (request " not in result.err  # no service has it in its log


class Models(model_pb2_grpc.ModelServiceServicer):
    """A service with one model."""

    async def ListModels(self, request: Any, context: Any) -> model_pb2.ListModelsResponse:
        return model_pb2.ListModelsResponse(models=[model_pb2.Model(id="m")])

    async def GetModel(self, request: Any, context: Any) -> NoReturn:
        raise NotImplementedError


@asynccontextmanager
async def encrypted(*, mutual: bool) -> AsyncIterator[str]:
    server = aio.server()
    model_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    pair, ca = [(KEY.read_bytes(), CERT.read_bytes())], CERT.read_bytes() if mutual else None
    port = server.add_secure_port(FREE_PORT, grpc.ssl_server_credentials(pair, ca, mutual))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@pytest.mark.parametrize(
    ("mutual", "options", "environment", "fits"),
    [
        (False, CA, {}, True),
        (False, CA[:2], {}, False),
        (False, ("--tls", *CA[2:]), {}, False),
        (False, CA[2:], {"PENSTOCK_TLS_CA": str(CERT)}, True),
        (False, CA, {"PENSTOCK_TLS": "0"}, True),
        (False, (), {}, False),
        (True, CA, {}, False),
        (True, (*CA, *OWN), {}, True),
        (True, CA, {"PENSTOCK_TLS_CERT": str(CERT), "PENSTOCK_TLS_KEY": str(KEY)}, True),
        (True, (*CA, *OWN[:2]), {"PENSTOCK_TLS_KEY": str(KEY)}, True),
    ],
)
async def test_tls(
    mutual: bool, options: tuple[str, ...], environment: Mapping[str, str], fits: bool
) -> None:
    async with encrypted(mutual=mutual) as target:
        result = await penstock("models", "--target", target, *options, env=environment)
    assert result == Result(0, "m\t-\n", "") if fits else result.code == 1


async def test_a_certificate_without_its_key() -> None:
    result = await penstock("models", *OWN[:2])
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "the client's certificate and key must be given together" in result.err


class Health:
    """A health service that records the timeouts of its callers."""

    remaining: float | None = None

    async def check(self, request: bytes, context: Any) -> bytes:
        self.remaining = context.time_remaining()
        return SERVING


@pytest.mark.parametrize(
    ("options", "environment", "seconds"),
    [
        ((), {}, 5),
        (("--timeout", "30"), {"PENSTOCK_TIMEOUT": "60"}, 30),
        ((), {"PENSTOCK_TIMEOUT": "60"}, 60),
        ((), {"PENSTOCK_TIMEOUT": "0"}, None),
        (("--timeout", "0"), {"PENSTOCK_TIMEOUT": "60"}, None),
    ],
)
async def test_timeouts(
    options: tuple[str, ...], environment: Mapping[str, str], seconds: float | None
) -> None:
    server, health = aio.server(), Health()
    check: Any = grpc.unary_unary_rpc_method_handler(health.check)
    service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port(FREE_PORT)
    await server.start()
    target = ("--target", f"127.0.0.1:{port}")
    result = await penstock("health", *options, *target, env=environment)
    await server.stop(0)
    assert result == Result(0, "SERVING\n", "")
    if seconds is None:
        assert health.remaining is None
    else:
        assert health.remaining == pytest.approx(seconds, abs=4.9)
