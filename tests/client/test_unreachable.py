"""Errors of connections that cannot be made, in words that say what to do."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from closed_port import closed_url

from penstock import AsyncClient, Client, UnavailableError
from penstock._base.unreachable import explained

from .terminal import penstock

TLS_FILES = Path(__file__).with_name("tls")
HTTP = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def answering(answer: bytes, encryption: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Runs a server that answers each connection and closes it."""

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answer_one, "127.0.0.1", 0, ssl=encryption)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def certified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS_FILES / "cert.pem", TLS_FILES / "key.pem")
    context.set_alpn_protocols(["h2"])
    return context


async def errors(target: str, *, tls: bool = False) -> list[str]:
    """Returns the errors of both clients, which must be the same."""

    def call() -> None:
        with Client(target, tls=tls, timeout=60, retries=0) as client:
            client.chat.create("Say hello.")

    with pytest.raises(UnavailableError) as blocking:
        await asyncio.to_thread(call)
    async with AsyncClient(target, tls=tls, timeout=60, retries=0) as client:
        with pytest.raises(UnavailableError) as awaited:
            await client.chat.create("Say hello.")
        stream = client.chat.stream("Say hello.")
        with pytest.raises(UnavailableError) as streamed:
            await stream.final()
    return [str(one.value) for one in (blocking, awaited, streamed)]


@pytest.fixture
def closed() -> Iterator[str]:
    """A target at which nothing listens."""
    with closed_url() as url:
        yield url.removeprefix("http://")


async def test_nothing_listens(closed: str) -> None:
    reason = f"cannot reach {closed}: nothing listens there; is penstock serve running?"
    assert await errors(closed) == [f"UNAVAILABLE: {reason}"] * 3


async def test_no_such_socket(tmp_path: Path) -> None:
    expected = f"cannot reach unix:{tmp_path}/none: there is no such socket; is penstock serve"
    assert all(expected in error for error in await errors(f"unix:{tmp_path}/none"))


async def test_an_http_server() -> None:
    async with answering(HTTP) as target:
        found = await errors(target)
    assert all(f"cannot reach {target}: that is an HTTP server" in error for error in found)
    assert all("vLLM itself?" in error for error in found)


async def test_a_server_without_tls() -> None:
    async with answering(HTTP) as target:
        found = await errors(target, tls=True)
    assert all("the server there does not use TLS" in error for error in found)


async def test_a_certificate_that_is_not_trusted() -> None:
    async with answering(b"", certified()) as target:
        found = await errors(target, tls=True)
    assert all("its certificate is not trusted; name the" in error for error in found)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            "errors resolving a.invalid:5: [field:hostname lookup error:address lookup failed]",
            "cannot reach a.invalid:5: the name cannot be resolved",
        ),
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B::1%5D:443: Odd",
            "cannot reach [::1]:443: Odd",
        ),
        (
            "connections to all backends failing; last error: UNAVAILABLE: ipv4:1.1.1.1:1: "
            "recvmsg:Connection reset by peer (104)",
            "cannot reach 1.1.1.1:1: the server there closes connections; does it require TLS?",
        ),
        ("Socket closed", ""),
        ("the upstream is down: Connection refused", ""),
    ],
)
def test_details(details: str, expected: str) -> None:
    assert explained(details) == expected


def test_a_command_names_no_request_that_reached_no_service(closed: str) -> None:
    result = penstock("chat", "Say hello.", "--target", closed)
    reason = f"cannot reach {closed}: nothing listens there; is penstock serve running?"
    assert result.stderr.decode() == f"penstock: UNAVAILABLE: {reason}\n"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost", "the target 'localhost' has no port; use host:port, such as localhost:50051"),
        ("http://a:1/", "the target 'http://a:1/' is a URL; use host:port, such as 'a:1'"),
        ("https://a:1", "such as 'a:1', and TLS (tls=True, --tls or PENSTOCK_TLS=1)"),
    ],
)
def test_targets_that_cannot_work(target: str, expected: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(ValueError, match=re.escape(expected)):
            client(target)


def test_with_tls_the_port_has_a_default() -> None:
    Client("penstock.internal", tls=True).close()
