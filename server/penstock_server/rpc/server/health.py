"""The health service grpc.health.v1: Check, List, and Watch for any number of watchers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from penstock_server.rpc.server.health_list import HealthListResponse

LIVENESS = "liveness"
"""The name that reports only that the process runs; for probes that restart it."""

_Status = health_pb2.HealthCheckResponse
_SERVING, _NOT_SERVING = _Status.SERVING, _Status.NOT_SERVING


class HealthServicer:
    """Reports which services are available; all are NOT_SERVING until `update`.

    grpcio's own servicer for asyncio starts as SERVING, forgets watchers when another one
    leaves, and has no List.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        """Reports on services of these names; the empty name stands for the whole server."""
        self._serving = dict.fromkeys(("", *services), False) | {LIVENESS: True}
        self._changed = asyncio.Event()
        self._closed = False

    def update(self, serving: Mapping[str, bool]) -> None:
        """Sets which services are available; has no effect after `close`."""
        if self._closed or serving.items() <= self._serving.items():
            return
        self._serving |= serving
        self._wake()

    def close(self) -> None:
        """Reports NOT_SERVING for all services from now on."""
        self._serving = dict.fromkeys(self._serving, False) | {LIVENESS: True}
        self._closed = True
        self._wake()

    async def Check(self, request: Any, context: Any) -> Any:
        """Reports the state of one service; NOT_FOUND for an unknown name."""
        if request.service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self._response(request.service)

    async def List(self, request: Any, context: Any) -> Any:
        """Reports the state of every service."""
        statuses = {name: self._response(name) for name in self._serving}
        return HealthListResponse(statuses=statuses)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Reports the state of one service now and at every change."""
        reported = None
        while True:
            changed = self._changed
            state = self._response(request.service)
            if state != reported:
                yield state
                reported = state
            await changed.wait()

    def _response(self, service: str) -> Any:
        serving = self._serving.get(service)
        if serving is None:
            return _Status(status=_Status.SERVICE_UNKNOWN)
        return _Status(status=_SERVING if serving else _NOT_SERVING)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
