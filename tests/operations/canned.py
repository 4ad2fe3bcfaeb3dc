"""A service in front of an upstream that sends the same answer to every request."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from upstream.wire import http, served, stream

from penstock.channel import open_async_channel
from penstock_server.app import Service
from penstock_server.configuration import Settings

_CLOSE = "connection: close"


class Canned:
    """The upstream: healthy, with one model.

    Attributes:
        requests: path and body of every request.
        target: address of the service in front of it.
    """

    target = ""

    def __init__(self, answer: bytes, models: Any) -> None:
        self.requests: list[tuple[str, Any]] = []
        self._answer = answer
        self._listing = in_json({"data": models})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        except asyncio.IncompleteReadError:
            writer.close()  # A probe that was abandoned when the service stopped.
            return
        method, path, *_ = head.split(" ", 2)
        if method == "post":
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            self.requests.append((path, json.loads(await reader.readexactly(length) or "null")))
        writer.write(self._answer if method == "post" else self._listing)
        await writer.drain()
        writer.close()

    def bodies(self, path: str) -> Sequence[Mapping[str, Any]]:
        """Returns the bodies of the requests to a path."""
        return [body for asked, body in self.requests if asked == path]


@asynccontextmanager
async def canned(
    answer: bytes, *, models: Any = ({"id": "canned"},), **settings: Any
) -> AsyncIterator[tuple[aio.Channel, Canned]]:
    """Yields a channel to a service whose upstream sends these bytes, and the upstream."""
    upstream = Canned(answer, models)
    defaults: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "admin_listen": "",
        "metrics_listen": "",
        "probe_interval": 60.0,
        "probe_timeout": 60.0,  # on a busy machine, the only probe may take long
    }
    async with (
        served(upstream.serve) as url,
        Service(Settings(upstream=(url,), **(defaults | settings))) as service,
        open_async_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        await probed(channel)
        upstream.target = f"127.0.0.1:{service.port}"
        yield channel, upstream


def in_json(data: Any, status: str = "200 OK") -> bytes:
    """Returns an answer with a JSON body."""
    body = json.dumps(data, ensure_ascii=False).encode()
    return http(body, "content-type: application/json", _CLOSE, status=status)


def in_events(*events: Any) -> bytes:
    """Returns an event stream that ends with `[DONE]`."""
    return stream(
        *map(partial(json.dumps, ensure_ascii=False), events),
        "[DONE]",
        head="content-type: text/event-stream",
    )


def in_bytes(metadata: Any, body: bytes) -> bytes:
    """Returns an answer of vectors as bytes; `metadata` is the header with their positions."""
    head = [f"metadata: {json.dumps(metadata)}"] if metadata is not None else []
    return http(body, "content-type: application/octet-stream", *head, _CLOSE)


async def probed(channel: aio.Channel) -> None:
    """Waits until the service has probed the upstream, so that no further request is pending."""
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(60):
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
    watch.cancel()
