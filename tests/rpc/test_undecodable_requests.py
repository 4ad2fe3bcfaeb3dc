"""Requests that cannot be parsed, for every service of both servers."""

import asyncio
import logging
from typing import Any

import pytest
from grpc import StatusCode as Code
from grpc import aio
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .calls import BOUND_S, FREE_PORT, Ended, Serve, ended

REFLECTION = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    for version in ("v1", "v1alpha")
)
UNARY = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List")
STREAMS = ("/grpc.health.v1.Health/Watch", *REFLECTION)
ADMIN = ("/penstock.v1.AdminService/ListUpstreams",)
NOT_UTF8 = b"\x0a\x02\xff\xfe"  # in field 1, which is a string in each message that has fields
UNDECODABLE = {
    "not protobuf": b"\xff",
    "cut": b"\x0a\x05ab",
    "a name that is not UTF-8": NOT_UTF8,
    "a group that does not end": b"\x0b",
}
every_undecodable = pytest.mark.parametrize("data", UNDECODABLE.values(), ids=UNDECODABLE)


async def failed(channel: aio.Channel, path: str, data: bytes) -> Ended:
    """Makes a call of any kind that must fail."""
    call: Any = channel.stream_stream(path)()
    await call.write(data)
    if path not in REFLECTION:
        await call.done_writing()
    try:
        received = await call.read()
    except aio.AioRpcError as error:
        return ended(error)
    raise AssertionError(f"it did not fail: {received}")


async def require_refused(
    port: int, paths: tuple[str, ...], data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(BOUND_S):
        for path in paths:
            result = await failed(channel, path, data)
            assert (result.code, result.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST"), path
            assert "could not be decoded" in result.message
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


@every_undecodable
async def test_on_the_main_server(
    data: bytes, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    paths = (*UNARY, *STREAMS, "/penstock.v1.ModelService/GetModel")
    if data == NOT_UTF8:  # `List` has no field for it
        paths = tuple(path for path in paths if not path.endswith("/List"))
    await require_refused(service.port, paths, data, caplog)


@every_undecodable
async def test_on_the_admin_server(
    data: bytes, serve: Serve, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    service = await serve(upstream=(simulator.url,), admin_listen=FREE_PORT)
    paths = (*UNARY[:1], *STREAMS)
    if data != NOT_UTF8:
        paths = (*paths, *ADMIN)
    await require_refused(service.admin.port, paths, data, caplog)


@pytest.mark.parametrize("path", REFLECTION)
async def test_after_requests_that_were_answered(path: str, service: Service) -> None:
    async with aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        call: Any = channel.stream_stream(path)()
        async with asyncio.timeout(BOUND_S):
            await call.write(b"\x3a\x00")  # list_services
            assert b"penstock.v1" in await call.read()
            await call.write(UNDECODABLE["not protobuf"])
            assert await call.code() is Code.INVALID_ARGUMENT


NAMES = ("", ".", "..", "a.", ".a", "\0", "penstock.v1\0", "é", "penstock.v1.", "x" * 100_000)


@pytest.mark.parametrize(
    "field", ["file_by_filename", "file_containing_symbol", "all_extension_numbers_of_type"]
)
@pytest.mark.parametrize("name", NAMES, ids=[ascii(name[:12]) for name in NAMES])
async def test_odd_names_are_not_found(
    name: str, field: str, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    request = ServerReflectionRequest(**{field: name})
    async with aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        call: Any = channel.stream_stream(REFLECTION[0])(iter([request.SerializeToString()]))
        async with asyncio.timeout(BOUND_S):
            answer = ServerReflectionResponse.FromString(await call.read())
            assert answer.error_response.error_code == Code.NOT_FOUND.value[0]
            assert await call.code() is Code.OK
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]
