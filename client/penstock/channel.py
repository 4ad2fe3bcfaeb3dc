"""Channels to a Penstock service: the settings that every client of ours uses."""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from grpc import aio

DEFAULT_TARGET = "127.0.0.1:50051"

DEFAULT_ADMIN_TARGET = "127.0.0.1:50052"
"""Where a service answers those who run it."""

DEFAULT_RETRIES = 2

MOST_RETRIES = 4
"""gRPC itself makes five attempts at most."""

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""As large as the service sends by default; gRPC's own limit of 4 MiB is less."""

_RESENT_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""Requests that are kept to be sent again, with their metadata; gRPC's own limit is 256 KiB."""

_LOOPBACK = re.compile(
    r"(dns:(///)?|ipv4:|ipv6:)?(localhost|127(\.\d{1,3}){3}|\[::1\]|\[?::ffff:127[\d.]*\]?)(:\w+)?"
    r"|unix(-abstract)?:.*",
    re.IGNORECASE,
)

Options: TypeAlias = Sequence[tuple[str, Any]]
Pem: TypeAlias = bytes | str | os.PathLike[str]


def service_config(retries: int) -> dict[str, Any]:
    """Returns how calls are balanced and sent again.

    Only UNAVAILABLE is sent again, only before the first message of an answer, and only within
    the deadline; how long to wait, or not to, the service says itself.

    Raises:
        ValueError: more retries than gRPC makes, or less than none.
    """
    if not 0 <= retries <= MOST_RETRIES:
        raise ValueError(f"retries must be 0 to {MOST_RETRIES}, not {retries}")
    # No "timeout" here: gRPC's core would end calls a second early. Deadlines are given per call.
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if retries:
        config["retryThrottling"] = {"maxTokens": 10, "tokenRatio": 0.1}
        config["methodConfig"] = [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": retries + 1,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    return config


OPTIONS: Options = (
    ("grpc.service_config", json.dumps(service_config(DEFAULT_RETRIES))),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.per_rpc_retry_buffer_size", _RESENT_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC itself waits up to two minutes before it looks again for a service that went away.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.primary_user_agent", f"penstock-python/{version('penstock')}"),
)


@dataclass(frozen=True, slots=True)
class TLS:
    """How a connection is encrypted; PEM as bytes, or the path of a file.

        >>> with Client("penstock.internal:443", tls=TLS(ca="ca.pem")) as client:
        ...     pass

    Attributes:
        ca: certificates to trust in place of the system's.
        cert: the client's own certificate chain, for services that ask for one.
        key: the key of `cert`.
        server_name: name that the service's certificate must have, if not the target's.
    """

    ca: Pem | None = None
    cert: Pem | None = None
    key: Pem | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns gRPC's form of it.

        Raises:
            OSError: a file cannot be read.
            ValueError: a certificate came without its key, or a key without its certificate.
        """
        # gRPC's core would end the process.
        if bool(self.cert) != bool(self.key):
            raise ValueError("the client's certificate and its key need each other")
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.key), _pem(self.cert))


def open_channel(
    target: str = DEFAULT_TARGET,
    options: Options = (),
    *,
    tls: TLS | None = None,
    retries: int = DEFAULT_RETRIES,
) -> grpc.Channel:
    """Returns a channel; it connects with the first call.

        >>> from penstock.v1.model_pb2 import GetModelRequest
        >>> from penstock.v1.model_pb2_grpc import ModelServiceStub
        >>> with open_channel(target) as channel:
        ...     ModelServiceStub(channel).GetModel(GetModelRequest()).model.id
        'tiny-chat'

    Args:
        target: "host:port", or any name that gRPC resolves.
        options: channel options of gRPC; they win over our settings by name.
        tls: how to encrypt; None is clear text.
        retries: how often a call that found the service unavailable is sent again, 0 to 4.
    """
    merged = _merged(target, options, tls, retries)
    if tls is None:
        return grpc.insecure_channel(target, options=merged)
    return grpc.secure_channel(target, tls.credentials(), options=merged)


def open_async_channel(
    target: str = DEFAULT_TARGET,
    options: Options = (),
    *,
    tls: TLS | None = None,
    retries: int = DEFAULT_RETRIES,
) -> aio.Channel:
    """Returns an asyncio channel; otherwise as `open_channel`.

    >>> from penstock.v1.model_pb2 import GetModelRequest
    >>> from penstock.v1.model_pb2_grpc import ModelServiceStub
    >>> async def main():
    ...     async with open_async_channel(target) as channel:
    ...         return (await ModelServiceStub(channel).GetModel(GetModelRequest())).model.id
    >>> asyncio.run(main())
    'tiny-chat'
    """
    return async_opener(target, options, tls=tls, retries=retries)()


def async_opener(
    target: str, options: Options, *, tls: TLS | None, retries: int
) -> Callable[[], aio.Channel]:
    """Returns what opens an asyncio channel in the running event loop; takes and raises as that."""
    merged = _merged(target, options, tls, retries)
    if tls is None:
        return lambda: aio.insecure_channel(target, options=merged)
    credentials = tls.credentials()
    return lambda: aio.secure_channel(target, credentials, options=merged)


def _merged(target: str, options: Options, tls: TLS | None, retries: int) -> list[tuple[str, Any]]:
    settings = dict(OPTIONS)
    if _LOOPBACK.fullmatch(target):
        # gRPC would ask the proxy that `http_proxy` names for a service on this machine.
        settings["grpc.enable_http_proxy"] = 0
    if retries != DEFAULT_RETRIES:
        settings["grpc.service_config"] = json.dumps(service_config(retries))
    if tls and tls.server_name:
        settings["grpc.ssl_target_name_override"] = tls.server_name
    return list((settings | dict(options)).items())


def _pem(given: Pem | None) -> bytes | None:
    return given if given is None or isinstance(given, bytes) else Path(given).read_bytes()
