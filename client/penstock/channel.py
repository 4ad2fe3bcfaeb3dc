"""Channels to a Penstock service: the settings that every client of ours uses."""

import json
from collections.abc import Sequence
from typing import Any

import grpc
from grpc import aio

DEFAULT_TARGET = "127.0.0.1:50051"

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""As large as the service sends by default; gRPC's own limit of 4 MiB is less."""

# No "timeout" here: gRPC's core would end calls a second early. Deadlines are given per call.
SERVICE_CONFIG: dict[str, Any] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}

OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


def open_channel(
    target: str = DEFAULT_TARGET, options: Sequence[tuple[str, Any]] = ()
) -> grpc.Channel:
    """Returns a channel in clear text; the given options win over the settings by name.

    Args:
        target: "host:port", or any name that gRPC resolves.
        options: channel options of gRPC.
    """
    return grpc.insecure_channel(target, options=_merged(options))


def open_async_channel(
    target: str = DEFAULT_TARGET, options: Sequence[tuple[str, Any]] = ()
) -> aio.Channel:
    """Returns an asyncio channel; otherwise as `open_channel`."""
    return aio.insecure_channel(target, options=_merged(options))


def _merged(options: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return list((dict(OPTIONS) | dict(options)).items())
