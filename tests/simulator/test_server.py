"""The server itself: connections, callers that disconnect, health, latency, routes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings

from .calls import PATH, chat, client, stream, user

ENDLESS = user("Hi", ignore_eos=True)


@asynccontextmanager
async def running(**fields: Any) -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    """Starts a simulator with other settings, and a client for it."""
    async with (
        Simulator(SimulatorSettings(listen="127.0.0.1:0", **fields)) as simulator,
        client(simulator.url) as http,
    ):
        yield simulator, http


async def ask(simulator: Simulator, *requests: bytes) -> bytes:
    """Sends bytes and reads until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    for request in requests:
        writer.write(request)
    received = await reader.read()
    writer.close()
    return received


# Callers that disconnect


@pytest.mark.parametrize("streamed", [True, False])
async def test_disconnecting_ends_the_generation(streamed: bool) -> None:
    async with running(time_to_first_token=60) as (simulator, http):
        call = asyncio.create_task((stream if streamed else chat)(http, ENDLESS))
        await simulator.wait_active(1)
        call.cancel()
        await simulator.wait_aborted(1)
        await simulator.wait_connections(0)
        assert simulator.active == 0


async def test_disconnecting_from_a_running_stream(
    simulator: Simulator, http: httpx.AsyncClient
) -> None:
    body = {**ENDLESS, "stream": True}
    async with http.stream("POST", PATH, json=body) as response:
        await anext(response.aiter_bytes())
    await simulator.wait_aborted(1)
    await simulator.wait_active(0)


async def test_complete_answers_are_not_aborted(
    simulator: Simulator, http: httpx.AsyncClient
) -> None:
    for _ in range(20):
        async with client(simulator.url) as leaving:
            assert (await stream(leaving, user("Hi"))).done
            assert (await chat(leaving, user("Hi"))).status_code == 200
    await simulator.wait_connections(0)
    assert (simulator.active, simulator.aborted) == (0, 0)


async def test_disconnecting_without_reading() -> None:
    async with running(max_model_len=200_000) as (simulator, _):
        _, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1)
        writer.write(_post(json.dumps({**ENDLESS, "stream": True}).encode()))
        await simulator.wait_active(1)
        writer.transport.abort()
        await simulator.wait_aborted(1)


async def test_stop_ends_running_requests() -> None:
    simulator = Simulator(SimulatorSettings(listen="127.0.0.1:0", time_to_first_token=60))
    await simulator.start()
    async with client(simulator.url) as http:
        call = asyncio.create_task(chat(http, user("Hi")))
        await simulator.wait_active(1)
        await simulator.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            await call
    assert simulator.active == 0


# Connections


async def test_connection_is_kept(simulator: Simulator, http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await chat(http, user("Hi"))
        assert (await stream(http, user("Hi"))).done
    assert simulator.open_connections == 1


async def test_idle_connection_is_closed() -> None:
    async with running(keep_alive_timeout=0.01) as (simulator, _):
        assert await ask(simulator) == b""


async def test_requests_in_one_packet_are_answered_in_order(simulator: Simulator) -> None:
    get = b"GET %s HTTP/1.1\r\nhost: x\r\n%s\r\n"
    both = get % (b"/version", b"") + get % (b"/nothing", b"connection: close\r\n")
    received = await ask(simulator, both)
    assert received.index(b"0.32.0") < received.index(b"Not Found")


async def test_expected_continue(simulator: Simulator) -> None:
    body = json.dumps(user("Hi")).encode()
    received = await ask(simulator, _post(body, b"expect: 100-continue\r\nconnection: close\r\n"))
    assert received.startswith(b"HTTP/1.1 100 ")
    assert b"Hi there!" in received


async def test_invalid_http(simulator: Simulator) -> None:
    received = await ask(simulator, b"EHLO example\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.endswith(b"Invalid HTTP request received.")


async def test_each_event_is_one_chunk(simulator: Simulator) -> None:
    body = json.dumps({**user("Hi"), "stream": True}).encode()
    received = await ask(simulator, _post(body, b"connection: close\r\n"))
    chunks = received.partition(b"\r\n\r\n")[2].split(b"\n\n\r\n")
    assert len(chunks) == 7
    assert chunks[-2].endswith(b"e\r\ndata: [DONE]")
    assert chunks[-1] == b"0\r\n\r\n"


def _post(body: bytes, headers: bytes = b"") -> bytes:
    return (
        b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n%s\r\n%s" % (PATH.encode(), len(body), headers, body)
    )


# Health, latency, inspection


async def test_health_can_be_turned_off(simulator: Simulator, http: httpx.AsyncClient) -> None:
    simulator.healthy = False
    response = await http.get("/health")
    assert (response.status_code, response.content) == (503, b"")
    simulator.healthy = True
    assert (await http.get("/health")).status_code == 200


async def test_unhealthy_while_starting() -> None:
    async with running(startup_duration=60) as (_, http):
        assert (await http.get("/health")).status_code == 503


@pytest.mark.parametrize("streamed", [True, False])
async def test_latency(streamed: bool) -> None:
    async with running(time_to_first_token=0.05, inter_token_latency=0.01) as (_, http):
        started = time.perf_counter()
        await (stream if streamed else chat)(http, user("Hi"))
        assert time.perf_counter() - started >= 0.08


async def test_load_counts_generations(simulator: Simulator, http: httpx.AsyncClient) -> None:
    async with http.stream(
        "POST", PATH, json={**ENDLESS, "stream": True}, headers={"x-simulate": "stall"}
    ):
        await simulator.wait_active(1)
        assert (await http.get("/load")).json() == {"server_load": 1}


async def test_requests_are_recorded(simulator: Simulator, http: httpx.AsyncClient) -> None:
    await http.post(f"{PATH}?a=b", json=user("Hi"), headers={"X-Request-Id": "seen"})
    seen = simulator.requests[-1]
    assert (seen.method, seen.path, seen.query) == ("POST", PATH, "a=b")
    assert seen.headers["x-request-id"] == "seen"
    assert seen.json == user("Hi")
    assert simulator.request_count == 1


async def test_openapi_lists_the_served_routes(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert "post" in paths[PATH]
    assert {"/v1/models", "/health", "/version", "/ping", "/load"} <= set(paths)


async def test_same_run_same_ids() -> None:
    seen = []
    for _ in range(2):
        async with running() as (_, http):
            seen.append((await chat(http, user("Hi"))).json()["id"])
    assert seen[0] == seen[1]


async def test_taken_port_is_an_error(simulator: Simulator) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await Simulator(SimulatorSettings(listen=f"127.0.0.1:{simulator.port}")).start()
