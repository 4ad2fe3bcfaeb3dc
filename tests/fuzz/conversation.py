"""A service in front of an upstream, and calls whose end is checked thoroughly."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from rpc.calls import Ended, Serve, ended
from rpc.every_rpc import Called

from penstock_server.telemetry import events

from .upstream import Upstream, listening

_DEADLINE_S = 20
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
)


# What these report is the upstream's fault.
_OF_UPSTREAMS = frozenset((events.CALL.name, events.UPSTREAM_DOWN.name))


class _Errors(logging.Handler):
    """Collects the errors of our own, of grpc or asyncio that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() not in _OF_UPSTREAMS:
            trace = logging.Formatter().format(record)
            self.lines.append(f"{record.name}: {trace}")


@dataclass
class Conversation:
    """A running service with its upstream.

    Attributes:
        upstream: its answers are set by the test.
        received: messages of the last call, as bytes.
    """

    upstream: Upstream
    _channel: aio.Channel
    _blocking: grpc.Channel
    _errors: _Errors
    received: list[bytes] = field(default_factory=list)

    async def call(
        self, rpc: Called, requests: Sequence[bytes], metadata: Sequence[tuple[str, str]] = ()
    ) -> Ended:
        """Makes a call and checks the conditions that apply to every end."""
        self.received = []
        try:
            if rpc.uploads:
                await asyncio.to_thread(self._upload, rpc, requests, metadata)
            else:
                await self._call(rpc, requests[0], metadata)
            result = Ended(grpc.StatusCode.OK, "")
        except grpc.RpcError as error:
            failed: Any = error
            result = ended(failed)
        self._check(result)
        for message in self.received:
            message_type(rpc, "output").FromString(message)
        return result

    async def _call(self, rpc: Called, request: bytes, metadata: Any) -> None:
        path = f"/penstock.v1.{rpc.name}"
        if not rpc.streams:
            unary: Any = self._channel.unary_unary(path)
            self.received.append(await unary(request, timeout=_DEADLINE_S, metadata=metadata))
            return
        stream: Any = self._channel.unary_stream(path)
        async for message in stream(request, timeout=_DEADLINE_S, metadata=metadata):
            self.received.append(message)

    def _upload(self, rpc: Called, requests: Sequence[bytes], metadata: Any) -> None:
        # The asynchronous client may report INTERNAL if the server ends a call that it is
        # still writing into.
        path = f"/penstock.v1.{rpc.name}"
        channel: Any = self._blocking
        start = channel.stream_stream(path) if rpc.streams else channel.stream_unary(path)
        answer = start(iter(requests), timeout=_DEADLINE_S, metadata=metadata)
        self.received.extend(answer if rpc.streams else [answer])

    def _check(self, result: Ended) -> None:
        lines, faults = self._errors.lines[:], self.upstream.faults[:]
        self._errors.lines.clear()
        self.upstream.faults.clear()
        assert not lines, "\n".join(lines)
        assert not faults, faults
        if result.code is grpc.StatusCode.OK:
            return
        assert (result.domain, bool(result.reason)) == ("penstock", True), result
        unknown = result.code is grpc.StatusCode.UNKNOWN
        assert not unknown or result.reason == "UPSTREAM_UNEXPECTED_STATUS", result
        assert result.request_id == result.trailers["x-request-id"]
        assert len(result.message.encode()) <= 1024
        assert result.details_size <= 4096
        assert int(result.metadata.get("messagesSent", 0)) == len(self.received), result


def message_type(rpc: Called, side: str) -> Any:
    """Returns the message type of an RPC's input or output."""
    service, _, method = rpc.name.partition("/")
    found: Any = descriptor_pool.Default().FindServiceByName(f"penstock.v1.{service}")
    return GetMessageClass(getattr(found.methods_by_name[method], f"{side}_type"))


@asynccontextmanager
async def conversing(serve: Serve, **settings: Any) -> AsyncIterator[Conversation]:
    """Starts a service in front of an upstream whose answers are set by the test."""
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    try:
        async with listening() as upstream:
            service = await serve(upstream=(upstream.url,), probe_interval=3600, **settings)
            target = f"127.0.0.1:{service.port}"
            async with aio.insecure_channel(target, options=_OPTIONS) as channel:
                with grpc.insecure_channel(target, _OPTIONS) as blocking:
                    yield Conversation(upstream, channel, blocking, errors)
    finally:
        logging.getLogger().removeHandler(errors)
