"""Channels to a Penstock service, with the settings that both clients use."""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from grpc import aio

from penstock.version import __version__

DEFAULT_TARGET = "127.0.0.1:50051"

DEFAULT_ADMIN_TARGET = "127.0.0.1:50052"
"""Default admin address of a service."""

DEFAULT_RETRIES = 2

MOST_RETRIES = 4
"""gRPC limits a call to five attempts."""

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""The largest message that the service sends by default; gRPC's own limit is only 4 MiB."""

_RESENT_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""Largest request, metadata included, that is buffered for retries; gRPC's default: 256 KiB."""

_LOOPBACK = re.compile(
    r"(dns:(///)?|ipv4:|ipv6:)?(localhost|127(\.\d{1,3}){3}|\[::1\]|\[?::ffff:127[\d.]*\]?)(:\w+)?"
    r"|unix(-abstract)?:.*",
    re.IGNORECASE,
)

Options: TypeAlias = Sequence[tuple[str, Any]]
Pem: TypeAlias = bytes | str | os.PathLike[str]


def service_config(retries: int) -> dict[str, Any]:
    """Returns the service config, which defines load balancing and retries.

    A call is retried only on UNAVAILABLE, only before the first message of its answer, and only
    within its deadline. The service specifies the delay, or forbids the retry.

    Raises:
        ValueError: the number of retries is negative, or larger than gRPC allows.
    """
    if not 0 <= retries <= MOST_RETRIES:
        raise ValueError(f"retries must be 0 to {MOST_RETRIES}, not {retries}")
    # No "timeout" here: gRPC's core would end calls a second early. Each call sets its deadline.
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
    # By default, gRPC waits up to two minutes before it reconnects to a lost service.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # By default, channels to one target share a connection, and a new one cannot be used while an
    # older one, even one that was just closed, waits to connect again.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.primary_user_agent", f"penstock-python/{__version__}"),
)


@dataclass(frozen=True, slots=True)
class TLS:
    """Encryption of a connection. Each PEM value is bytes, or the path of a file.

        >>> with Client("penstock.internal:443", tls=TLS(ca="ca.pem")) as client:
        ...     pass

    Attributes:
        ca: certificates to trust instead of the system's.
        cert: the client's certificate chain, for services that require one.
        key: private key of `cert`.
        server_name: name that the service's certificate must have, if not that of the target.
    """

    ca: Pem | None = None
    cert: Pem | None = None
    key: Pem | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns the settings as gRPC channel credentials.

        Raises:
            OSError: a file cannot be read.
            ValueError: only one of `cert` and `key` is given.
        """
        # gRPC's core would abort the process.
        if bool(self.cert) != bool(self.key):
            raise ValueError("the client's certificate and key must be given together")
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.key), _pem(self.cert))


def open_channel(
    target: str = DEFAULT_TARGET,
    options: Options = (),
    *,
    tls: TLS | None = None,
    retries: int = DEFAULT_RETRIES,
) -> grpc.Channel:
    """Returns a channel, which connects on the first call.

        >>> from penstock.v1.model_pb2 import GetModelRequest
        >>> from penstock.v1.model_pb2_grpc import ModelServiceStub
        >>> with open_channel(target) as channel:
        ...     ModelServiceStub(channel).GetModel(GetModelRequest()).model.id
        'tiny-chat'

    Args:
        target: "host:port", or any name that gRPC resolves.
        options: gRPC channel options, which override settings of the same name.
        tls: encryption settings; None sends clear text.
        retries: maximum number of retries when the service is unavailable, 0 to 4.
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
    """Returns an asyncio channel; see `open_channel`.

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
    """Returns a function that opens an asyncio channel in the running event loop.

    Arguments and errors are those of `open_async_channel`.
    """
    merged = _merged(target, options, tls, retries)
    if tls is None:
        return lambda: aio.insecure_channel(target, options=merged)
    credentials = tls.credentials()
    return lambda: aio.secure_channel(target, credentials, options=merged)


def _merged(target: str, options: Options, tls: TLS | None, retries: int) -> list[tuple[str, Any]]:
    settings = dict(OPTIONS)
    if _LOOPBACK.fullmatch(target):
        # gRPC would use the proxy in `http_proxy` even for a service on this machine.
        settings["grpc.enable_http_proxy"] = 0
    if retries != DEFAULT_RETRIES:
        settings["grpc.service_config"] = json.dumps(service_config(retries))
    if tls and tls.server_name:
        settings["grpc.ssl_target_name_override"] = tls.server_name
    return list((settings | dict(options)).items())


def _pem(given: Pem | None) -> bytes | None:
    return given if given is None or isinstance(given, bytes) else Path(given).read_bytes()
