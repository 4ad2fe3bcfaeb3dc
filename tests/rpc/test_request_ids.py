"""Callers may use the same request id; each request upstream has a unique one."""

import asyncio
import json

import pytest
from grpc import StatusCode as Code

from .calls import Serve, plain_channel
from .every_rpc import EVERY_RPC, Called, Upstream, answer, names, running

BY_HEADER = tuple(
    rpc
    for rpc in EVERY_RPC
    if not rpc.name.startswith("ModelService") and "resp_1" not in rpc.requests[0]
)


class Strict(Upstream):
    """An upstream that refuses the id of a running request, as vLLM did before 0.14.

    Attributes:
        names: ids of the requests.
        both: set while two requests are running.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.both = asyncio.Event()

    async def _exchange(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name = head.partition(b"x-request-id: ")[2].partition(b"\r")[0].decode()
        taken = name in self.names
        self.names.append(name)
        await self._receive(head, reader)
        if len(self.names) == 2:
            self.both.set()
        await self.both.wait()
        message = f"Request id {name} already running" if taken else "the model is busy"
        body = json.dumps({"error": {"message": message, "code": 400 if taken else 429}})
        status = "400 Bad Request" if taken else "429 Too Many Requests"
        writer.write(answer(status, body.encode()))
        await writer.drain()


@pytest.mark.parametrize("called", BY_HEADER, ids=names(BY_HEADER))
async def test_two_simultaneous_calls_with_one_id(called: Called, serve: Serve) -> None:
    async with running(Strict()) as upstream:
        service = await serve(
            upstream=(upstream.url,), probe_interval=3600, max_attempts=1, **called.settings
        )
        async with plain_channel(service) as channel:
            metadata = (("x-request-id", "shared"),)
            results = await asyncio.gather(
                *(called.run(service, channel, metadata=metadata) for _ in range(2))
            )
        assert isinstance(upstream, Strict)
        assert [one.code for one in results] == [Code.RESOURCE_EXHAUSTED] * 2
        assert [one.request_id for one in results] == ["shared"] * 2
        assert all(name.startswith("shared-") for name in upstream.names)
