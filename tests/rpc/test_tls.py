"""TLS between callers and the service: certificates, their replacement, and plaintext refused."""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from authority import Authority, write
from grpc import StatusCode as Code
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from operations.transcriptions import CHUNK, WHISPER, endless, failed_while_sending

from penstock.v1.admin_pb2 import ListUpstreamsRequest
from penstock.v1.admin_pb2_grpc import AdminServiceStub
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.options import SettingsError
from penstock_server.simulator import Simulator

from .calls import BOUND_S, FREE_PORT, Serve, chat, create, ended, plain_channel, until
from .keyed import KEYS, SECRET, bearer
from .test_admin import admin_channel, listed

SOON = 0.05
EXPIRY = "penstock_certificate_expiry_timestamp_seconds"


class Files:
    """The files of a server's certificate, which tests replace."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self._folder = folder
        self.replace(*self.authority.issue())

    def replace(self, certificate: bytes, key: bytes) -> None:
        self.certificate = write(self._folder / "cert.pem", certificate)
        self.key = write(self._folder / "key.pem", key)

    def remove(self) -> None:
        Path(self.certificate).unlink()
        Path(self.key).unlink()

    def client_ca(self, root: bytes) -> str:
        return write(self._folder / "client-ca.pem", root)

    def own(self, certificate: bytes, key: bytes) -> tuple[str, str]:
        """Writes the certificate of a caller."""
        folder = self._folder
        return write(folder / "client.pem", certificate), write(folder / "client-key.pem", key)

    @property
    def settings(self) -> dict[str, Any]:
        return {"tls_cert": self.certificate, "tls_key": self.key, "reload_interval": SOON}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@asynccontextmanager
async def trusting(
    port: int, root: bytes, pair: tuple[bytes, bytes] | None = None
) -> AsyncIterator[aio.Channel]:
    """Opens a connection of its own, perhaps with a client certificate."""
    certificate, key = pair or (None, None)
    credentials = grpc.ssl_channel_credentials(root, key, certificate)
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    async with aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield channel


async def works(port: int, root: bytes, pair: tuple[bytes, bytes] | None = None) -> bool:
    """Returns whether a new connection can make a call."""
    async with trusting(port, root, pair) as channel:
        stub = ChatCompletionServiceStub(channel)
        call = stub.CreateChatCompletion(chat(), timeout=BOUND_S)
        code = await call.code()
        assert code in (Code.OK, Code.UNAVAILABLE)
        return code is Code.OK


async def test_calls_are_encrypted(simulator: Simulator, serve: Serve, files: Files) -> None:
    service = await serve(upstream=(simulator.url,), **files.settings)
    assert await works(service.port, files.authority.root)
    assert not await works(service.port, Authority("another").root)
    async with plain_channel(service) as channel:
        assert (await create(channel, chat())).code is Code.UNAVAILABLE


@pytest.mark.parametrize("method", ["UploadTranscribe", "UploadStreamTranscribe"])
@pytest.mark.parametrize(
    ("key", "code"), [(SECRET, Code.RESOURCE_EXHAUSTED), ("unknown", Code.UNAUTHENTICATED)]
)
async def test_the_refusal_of_an_upload_arrives_while_the_caller_sends(
    method: str, key: str, code: Code, serve: Serve, files: Files, tmp_path: Path
) -> None:
    callers = write(tmp_path / "callers.toml", KEYS.encode())
    async with Simulator(WHISPER) as simulator, asyncio.timeout(BOUND_S):
        service = await serve(
            upstream=(simulator.url,),
            max_upload_bytes=3 * CHUNK,
            callers_file=callers,
            **files.settings,
        )
        end = await failed_while_sending(
            f"127.0.0.1:{service.port}",
            method,
            endless(),
            files.authority.root,
            metadata=bearer(key),
        )
    assert end.code is code


async def test_a_new_certificate_is_used_without_ending_a_call(
    simulator: Simulator, serve: Serve, files: Files
) -> None:
    service = await serve(upstream=(simulator.url,), **files.settings)
    old = files.authority
    async with trusting(service.port, old.root) as channel:
        request = chat(fault="stall after=1")
        running = ChatCompletionServiceStub(channel).StreamChatCompletion(request)
        await running.read()
        for _ in range(2):
            new = Authority("new")
            files.replace(*new.issue())
            assert await works(service.port, new.root)
            assert not await works(service.port, old.root)
        assert not running.done()
        assert await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
        running.cancel()


BAD = {
    "not PEM": (lambda ca: (b"x", b"x"), "cert.pem does not contain a certificate in PEM"),
    "empty": (lambda ca: (b"", b""), "cert.pem does not contain a certificate in PEM"),
    "cut certificate": (
        lambda ca: (ca.issue()[0][:200], ca.issue()[1]),
        "cert.pem does not contain a certificate in PEM",
    ),
    "key is not PEM": (
        lambda ca: (ca.issue()[0], b"x"),
        "key.pem does not contain a private key in PEM",
    ),
    "encrypted key": (lambda ca: ca.issue(password=b"x"), "key.pem is encrypted"),
    "another key": (lambda ca: (ca.issue()[0], ca.issue()[1]), "is not the key of"),
    "expired": (lambda ca: ca.issue(days=(-9, -1)), "cert.pem expired at 20"),
    "not valid yet": (lambda ca: ca.issue(days=(1, 9)), "cert.pem is not valid before 20"),
}
bad = pytest.mark.parametrize(("pair", "reason"), BAD.values(), ids=BAD)


@bad
async def test_a_bad_certificate_changes_nothing(
    pair: Any,
    reason: str,
    simulator: Simulator,
    serve: Serve,
    files: Files,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT, **files.settings)
    with caplog.at_level(logging.INFO, "penstock.tls"):
        async with admin_channel(service) as admin:
            before = await listed(admin)
            files.replace(*pair(files.authority))
            await until(lambda: "certificate refused" in caplog.messages)
            after = await listed(admin)
        assert await works(service.port, files.authority.root)
        new = Authority("new")
        files.replace(*new.issue())
        await until(lambda: "certificate replaced" in caplog.messages)
        assert await works(service.port, new.root)
    assert service._certificate
    assert not service._certificate.problem
    (refused,) = (r for r in caplog.records if r.message == "certificate refused")
    assert reason in refused.__dict__["fields"]["reason"]
    assert not before.certificate_problem
    assert reason in after.certificate_problem
    assert after.certificate_expire_time == before.certificate_expire_time
    assert before.certificate_expire_time.ToSeconds() > time.time()


async def test_removed_files_change_nothing(
    simulator: Simulator, serve: Serve, files: Files
) -> None:
    service = await serve(upstream=(simulator.url,), **files.settings)
    files.remove()
    assert await works(service.port, files.authority.root)


@bad
async def test_a_bad_certificate_at_the_start(pair: Any, reason: str, files: Files) -> None:
    files.replace(*pair(files.authority))
    with pytest.raises(SettingsError, match=reason):
        Service(Settings(listen=FREE_PORT, admin_listen="", **files.settings))


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({"tls_cert": "cert.pem"}, "require each other"),
        ({"tls_key": "key.pem"}, "require each other"),
        ({"tls_client_ca": "ca.pem"}, "tls_client_ca requires tls_cert"),
        ({"tls_cert": "none.pem", "tls_key": "none.pem"}, "cannot read none.pem: No such file"),
    ],
)
async def test_incomplete_options(named: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Service(Settings(listen=FREE_PORT, admin_listen="", **named))


async def test_callers_must_present_a_certificate(
    simulator: Simulator, serve: Serve, files: Files
) -> None:
    callers, others = Authority("callers"), Authority("others")
    client_ca = files.client_ca(callers.root)
    service = await serve(upstream=(simulator.url,), tls_client_ca=client_ca, **files.settings)
    port, root = service.port, files.authority.root
    assert await works(port, root, callers.issue())
    assert not await works(port, root)
    assert not await works(port, root, others.issue())
    files.client_ca(others.root)
    assert await works(port, root, others.issue())
    assert not await works(port, root, callers.issue())


async def test_health_without_a_certificate(
    simulator: Simulator, serve: Serve, files: Files
) -> None:
    service = await serve(
        upstream=(simulator.url,),
        tls_client_ca=files.client_ca(files.authority.root),
        health_listen=FREE_PORT,
        **files.settings,
    )
    async with aio.insecure_channel(service.health.address) as channel:
        health = HealthStub(channel).Watch(HealthCheckRequest())
        while (await health.read()).status != HealthCheckResponse.SERVING:
            pass
        health.cancel()
        with pytest.raises(aio.AioRpcError) as raised:
            await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
        assert ended(raised.value).code is Code.UNIMPLEMENTED


PUBLIC = ["0.0.0.0:0", "[::]:0"]


@pytest.mark.parametrize("address", PUBLIC)
async def test_plaintext_for_other_machines_is_refused(address: str) -> None:
    for option in ("listen", "admin_listen", "metrics_listen"):
        named: dict[str, Any] = {"listen": FREE_PORT, "admin_listen": "", "metrics_listen": ""}
        named[option] = address
        with pytest.raises(SettingsError) as raised:
            Service(Settings(**named))
        assert str(raised.value) == (
            f"{option} {address} would serve plaintext to other machines: set tls_cert and "
            "tls_key, or set insecure if a mesh or a proxy encrypts the connections"
        )


async def test_plaintext_for_other_machines_is_allowed(
    simulator: Simulator, serve: Serve, tmp_path: Path
) -> None:
    service = await serve(upstream=(simulator.url,), listen="0.0.0.0:0", insecure=True)
    async with plain_channel(service) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
    local = (f"unix:{tmp_path}/socket", "localhost:0", "[::1]:0")
    await serve(upstream=(simulator.url,), listen=local)


async def test_admin_for_other_machines_is_encrypted(
    simulator: Simulator, serve: Serve, files: Files
) -> None:
    settings = files.settings | {"admin_listen": "0.0.0.0:0"}
    service = await serve(upstream=(simulator.url,), **settings)
    async with trusting(service.admin.port, files.authority.root) as channel:
        await AdminServiceStub(channel).ListUpstreams(ListUpstreamsRequest())
    local = await serve(upstream=(simulator.url,), **files.settings | {"admin_listen": FREE_PORT})
    async with aio.insecure_channel(f"127.0.0.1:{local.admin.port}") as channel:
        await AdminServiceStub(channel).ListUpstreams(ListUpstreamsRequest())


async def test_metrics_for_other_machines_are_encrypted(
    simulator: Simulator, serve: Serve, files: Files
) -> None:
    callers = Authority("callers")
    service = await serve(
        upstream=(simulator.url,),
        metrics_listen="0.0.0.0:0",
        tls_client_ca=files.client_ca(callers.root),
        **files.settings,
    )
    url = f"https://127.0.0.1:{service.metrics.address.rpartition(':')[2]}/metrics"
    pair = files.own(*callers.issue())
    assert "\npenstock_certificate_refused 0.0" in await fetched(url, files.authority.root, pair)
    with pytest.raises(httpx.TransportError):
        await fetched(url, files.authority.root)
    new = Authority("new")
    files.replace(*new.issue())
    before = await fetched(url, new.root, pair)
    files.replace(b"", b"")
    after = await fetched(url, new.root, pair)
    assert "\npenstock_certificate_refused 1.0" in after
    (expiry,) = (line for line in after.splitlines() if line.startswith(EXPIRY))
    assert expiry in before
    assert 8 * 86400 < float(expiry.split()[1]) - time.time() < 9 * 86400
    with pytest.raises(httpx.TransportError):
        await fetched(url, files.authority.root, pair)


async def fetched(url: str, root: bytes, pair: tuple[str, str] | None = None) -> str:
    context = ssl.create_default_context(cadata=root.decode())
    if pair:
        context.load_cert_chain(*pair)
    async with httpx.AsyncClient(verify=context) as client:
        return (await client.get(url)).text
