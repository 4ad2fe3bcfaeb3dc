"""Addresses of upstreams: behind TLS, at a pinned IP address, on a Unix socket."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock_server.upstream.base_url import address_of
from penstock_server.upstream.call import Call
from penstock_server.upstream.client import Upstream
from penstock_server.upstream.completeness import ChoiceStream
from penstock_server.upstream.config import Tls, UpstreamConfig
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.http import address
from penstock_server.upstream.multipart import File, Form
from penstock_server.upstream.operations import CHAT_COMPLETION, TRANSCRIPTION

from .certificates import HOST, Certificates
from .test_stream import DONE, WHOLE
from .wire import LOCAL, QUICK, End, http, served, stream, wire

CALL = Call("id-1")
NO_TLS = Tls()
OK = http(b'{"id": "x"}')


def named(url: str, host: str = HOST) -> str:
    """The URL of a local server, under another name."""
    return url.replace(LOCAL, host)


@asynccontextmanager
async def asking(url: str, tls: Tls = NO_TLS, pinned: str = "") -> AsyncIterator[Upstream]:
    upstream = Upstream(UpstreamConfig(url, timeouts=QUICK, tls=tls), pinned)
    try:
        yield upstream
    finally:
        upstream.close()


async def ask(url: str, tls: Tls = NO_TLS, pinned: str = LOCAL) -> None:
    async with asking(url, tls, pinned) as upstream:
        assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x"}


async def failure_of(url: str, tls: Tls = NO_TLS, pinned: str = LOCAL) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as raised:
        await ask(url, tls, pinned)
    return raised.value


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("http://vllm", "", "vllm"),
        ("http://vllm:8000/base", "", "vllm:8000"),
        ("unix:///run/vllm", "", "/run/vllm"),
        ("http://vllm", "10.0.0.1", "10.0.0.1:80"),
        ("https://vllm", "10.0.0.1", "10.0.0.1:443"),
        ("https://vllm:8000", "fd00::1", "[fd00::1]:8000"),
    ],
)
def test_place(url: str, address: str, shown: str) -> None:
    assert address_of(url, address) == shown


async def test_a_trusted_authority(certificates: Certificates) -> None:
    async with wire(OK, End.KEEP, tls=certificates.server_context()) as server:
        await ask(named(server.url), Tls(ca_file=certificates.ca))


UNTRUSTED = {
    "an authority of the system": (Tls(), HOST, "certificate"),
    "another authority": (Tls(ca_file="other.pem"), HOST, "certificate"),
    "another name": (Tls(ca_file="ca.pem"), "other.example", "other.example"),
    "an IP address": (Tls(ca_file="ca.pem"), LOCAL, "IP address mismatch"),
    "no file": (Tls(ca_file="missing.pem"), HOST, "No such file"),
    "no certificate in the file": (Tls(ca_file="ca.key"), HOST, "TLS"),
}


@pytest.mark.parametrize(("tls", "host", "words"), UNTRUSTED.values(), ids=UNTRUSTED)
async def test_an_untrusted_server(
    certificates: Certificates, tls: Tls, host: str, words: str
) -> None:
    files = Tls(ca_file=certificates.file(tls.ca_file) if tls.ca_file else "")
    async with wire(OK, End.KEEP, tls=certificates.server_context()) as server:
        failure = await failure_of(named(server.url, host), files)
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)
    assert words in failure.message
    assert server.requests == []


async def test_a_client_certificate(certificates: Certificates) -> None:
    ours = Tls(certificates.ca, certificates.file("client.pem"), certificates.file("client.key"))
    context = certificates.server_context(asks_for_client=True)
    async with wire(OK, End.KEEP, tls=context) as server:
        await ask(named(server.url), ours)


async def test_a_missing_client_certificate(certificates: Certificates) -> None:
    context = certificates.server_context(asks_for_client=True)

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with secured:
            with pytest.raises(ssl.SSLError):
                secured.do_handshake()
            while socket.socket.recv(secured, 1000):  # a close before it would be a reset
                pass

    # Not an asyncio server, which would close the connection silently.
    with socket.create_server((LOCAL, 0)) as listening:
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listening))
        url = f"https://{HOST}:{listening.getsockname()[1]}"
        failure = await failure_of(url, Tls(certificates.ca))
        await refusing
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)
    assert "CERTIFICATE_REQUIRED" in failure.message


async def test_a_server_without_tls(certificates: Certificates) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)
        writer.close()

    async with served(serve) as url:
        https = named(url).replace("http:", "https:")
        failure = await failure_of(https, Tls(certificates.ca))
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)
    assert "TLS" in failure.message


async def test_a_pinned_address_keeps_the_name(certificates: Certificates) -> None:
    greeted: list[str | None] = []
    context = certificates.server_context()
    context.sni_callback = lambda _, name, __: greeted.append(name)
    async with wire(OK, End.KEEP, tls=context) as server:
        url = named(server.url)
        await ask(url, Tls(certificates.ca), pinned=LOCAL)
    assert greeted == [HOST]
    assert url.replace("https://", "host: ").encode() in server.requests[0].lower()


async def test_a_pinned_address_without_tls() -> None:
    async with wire(OK, End.KEEP) as server:
        url = named(server.url)
        await ask(f"{url}/prefix", pinned=LOCAL)
    first, host, *_ = server.requests[0].lower().split(b"\r\n")
    assert first.startswith(b"post /prefix/v1/chat/completions ")
    assert host == url.replace("http://", "host: ").encode()


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "vllm.sock"
    async with wire(OK, End.KEEP, path=path) as server, asking(server.url) as upstream:
        for _ in range(2):
            assert await upstream.call(CHAT_COMPLETION, {}, CALL) == {"id": "x"}
        await upstream.require_health(CALL, timeout_s=60)
    assert upstream.name == str(path)
    assert server.connections == 2  # the probes have their own
    assert b"host: localhost\r\n" in server.requests[0].lower()


async def test_a_stream_on_a_unix_socket(tmp_path: Path) -> None:
    answer = stream(*WHOLE, DONE)
    contract = ChoiceStream(choices=1)
    async with (
        wire(answer, End.KEEP, path=tmp_path / "s") as server,
        asking(server.url) as upstream,
        upstream.stream(CHAT_COMPLETION, {}, CALL, contract) as events,
    ):
        assert len([event async for event in events]) == 3


async def test_no_unix_socket(tmp_path: Path) -> None:
    failure = await failure_of(f"unix://{tmp_path / 'gone'}", pinned="")
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)
    assert "No such file" in failure.message


async def _audio() -> AsyncGenerator[bytes, None]:
    for _ in range(5):
        yield bytes(100_000)


@pytest.mark.parametrize("secure", [False, True], ids=["unix socket", "TLS"])
async def test_uploads_over_tls_and_a_unix_socket(
    secure: bool, certificates: Certificates, tmp_path: Path
) -> None:
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received.extend(await reader.read(100_000))
        writer.write(http(b'{"text": "x"}'))
        await reader.read()
        writer.close()

    tls = certificates.server_context() if secure else None
    form = Form([("model", "m")], File(_audio(), "a.wav", "audio/wav"))
    async with (
        served(serve, tls=tls, path=None if secure else tmp_path / "s") as url,
        asking(named(url), Tls(certificates.ca), LOCAL) as upstream,
    ):
        assert await upstream.call(TRANSCRIPTION, form, CALL) == {"text": "x"}
    assert received.count(0) == 500_000


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str) -> list[str]:
        return {HOST: ["127.0.0.2", "::1", LOCAL]}[host]

    monkeypatch.setattr(address, "resolve", resolve)
    async with wire(OK, End.KEEP) as server:
        await ask(named(server.url), pinned="")
    failure = await failure_of(named(server.url), pinned="")
    assert (failure.kind, failure.stage) == (Kind.CONNECT, Stage.CONNECT)


async def _leave_while_looking_up() -> None:
    async with asking("http://penstock.invalid") as upstream:
        calls = [asyncio.create_task(upstream.call(CHAT_COMPLETION, {}, CALL)) for _ in range(10)]
        await asyncio.sleep(0)  # until they look it up
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


async def test_an_abandoned_lookup_is_forgotten() -> None:
    errors: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    await _leave_while_looking_up()
    for _ in range(3):
        with pytest.raises(OSError, match="not known"):
            await address.resolve("penstock.invalid")
    gc.collect()
    assert not errors
