"""Sessions over a websocket: where they connect to, and with which certificates."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve, unix_serve

from penstock_server.upstream import (
    LIVE_TRANSCRIPTION,
    Call,
    Kind,
    Tls,
    UpstreamConfig,
    UpstreamFailure,
)
from penstock_server.upstream.client import Upstream

from .certificates import HOST, make

OPENING = {"type": "session.update", "model": "m"}


async def _greet(socket: ServerConnection) -> None:
    assert socket.request
    created = {"type": "session.created", "id": socket.request.headers["host"]}
    await socket.send(json.dumps(created))
    await socket.wait_closed()


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[int]:
    async with serve(_greet, "127.0.0.1", 0, **options) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def greeting(upstream: Upstream) -> Any:
    async with upstream.live(LIVE_TRANSCRIPTION, OPENING, Call("r")) as session:
        return await anext(session)


async def test_certificates_of_both_sides(tmp_path: Path) -> None:
    made = make(tmp_path)
    own = (made.file("client.pem"), made.file("client.key"))
    async with listening(ssl=made.server_context(asks_for_client=True)) as port:
        url = f"https://{HOST}:{port}"
        trusting = Upstream(UpstreamConfig(url, tls=Tls(made.ca, *own)), "127.0.0.1")
        assert await greeting(trusting) == {"type": "session.created", "id": f"{HOST}:{port}"}
        strange = Upstream(UpstreamConfig(url, tls=Tls("", *own)), "127.0.0.1")
        with pytest.raises(UpstreamFailure) as raised:
            await greeting(strange)
    assert raised.value.kind is Kind.CONNECT
    assert "certificate" in raised.value.message


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with unix_serve(_greet, path):
        event = await greeting(Upstream(UpstreamConfig(f"unix://{path}")))
    assert event["id"] == "localhost"


async def test_a_session_counts_as_a_connection() -> None:
    async with listening() as port:
        upstream = Upstream(UpstreamConfig(f"http://127.0.0.1:{port}"))
        async with upstream.live(LIVE_TRANSCRIPTION, OPENING, Call("r")):
            assert upstream.outstanding == 1
        assert upstream.outstanding == 0


async def test_short_messages_do_not_wait_for_each_other() -> None:
    async with listening() as port:
        upstream = Upstream(UpstreamConfig(f"http://127.0.0.1:{port}"))
        async with upstream.live(LIVE_TRANSCRIPTION, OPENING, Call("r")) as session:
            opened = session._socket.transport.get_extra_info("socket")
            assert opened.getsockopt(IPPROTO_TCP, TCP_NODELAY)


async def test_an_event_that_is_too_large() -> None:
    async with listening() as port:
        config = UpstreamConfig(f"http://127.0.0.1:{port}", max_answer_bytes=8)
        with pytest.raises(UpstreamFailure) as raised:
            await greeting(Upstream(config))
    assert raised.value.kind is Kind.MALFORMED
    assert "too large" in raised.value.message
