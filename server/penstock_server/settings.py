"""The options of the service: this is the whole list."""

from dataclasses import dataclass

from penstock_server.options import (
    address,
    interval,
    key,
    natural,
    one_of,
    option,
    positive,
    seconds,
    switch,
    url,
)
from penstock_server.telemetry.log import FORMATS, LEVELS


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration of the service."""

    upstream: tuple[str, ...] = option(
        ("http://localhost:8000",),
        "Base URL of a vLLM, without /v1; may be given more than once.",
        url,
        "URL",
        many=True,
    )
    upstream_api_key: str = option(
        "", "Bearer key for the upstreams.", key, "KEY", flag="--api-key", secret=True
    )
    native_responses: str = option(
        "never",
        "Ask upstreams for responses by their own Responses API, not by way of chats; auto: where "
        "there is one.",
        one_of("never", "always", "auto"),
        "never|always|auto",
    )
    listen: str = option(
        "127.0.0.1:50051",
        "Address to serve gRPC on; port 0 takes a free one.",
        address,
        "HOST:PORT",
    )
    connect_timeout: float = option(
        5.0, "Longest wait for a connection to an upstream.", interval, "SECONDS"
    )
    first_byte_timeout: float = option(
        600.0,
        "Longest wait for a unary answer, or for the first event of a stream.",
        interval,
        "SECONDS",
    )
    idle_timeout: float = option(
        60.0, "Longest wait between two events of a stream.", interval, "SECONDS"
    )
    total_timeout: float = option(
        0.0,
        "Longest wait for a complete answer of an upstream; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    default_deadline: float = option(
        0.0, "Deadline of calls that come without one; 0 for none.", seconds, "SECONDS"
    )
    max_deadline: float = option(
        0.0,
        "Longest that any call may take, whatever its deadline; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_concurrent_calls: int = option(
        0, "Most calls at once; more are refused. 0 for no limit.", natural, "NUMBER"
    )
    max_connections: int = option(1000, "Most connections to one upstream.", positive, "NUMBER")
    max_message_bytes: int = option(
        32 * 1024 * 1024, "Largest gRPC message, both ways.", positive, "BYTES"
    )
    max_upload_bytes: int = option(
        25 * 1024 * 1024,
        "Largest audio file to pass on; the default is vLLM's own limit.",
        positive,
        "BYTES",
    )
    probe_interval: float = option(
        2.0, "Time between two health probes of an upstream.", interval, "SECONDS"
    )
    probe_timeout: float = option(
        5.0, "Longest wait for an upstream's answer to a probe.", interval, "SECONDS"
    )
    drain_delay: float = option(
        0.0,
        "After the stop signal, how long to say NOT_SERVING while still accepting calls.",
        seconds,
        "SECONDS",
    )
    drain_timeout: float = option(
        30.0, "How long running calls may take to finish after that.", seconds, "SECONDS"
    )
    reflection: bool = option(
        True, "Serve reflection, for grpcurl and the like.", switch, "true|false"
    )
    log_level: str = option("info", "Least severity that is logged.", one_of(*LEVELS), "LEVEL")
    log_format: str = option(
        "auto", "json, text, or auto: text on a terminal.", one_of(*FORMATS), "FORMAT"
    )
