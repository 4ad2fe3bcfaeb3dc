"""The configuration of an upstream."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

LONGEST_WINDOW_S = 60
"""The longest time within which deltas of a stream may be merged."""

_SHORTEST_SECRET = 8
"""Shorter values of headers are not secrets, and may be parts of ordinary words."""


class NativeResponses(StrEnum):
    """Whether responses are requested from an upstream's own Responses API."""

    NEVER = "never"
    ALWAYS = "always"
    AUTO = "auto"
    """If it has one."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one exchange, in seconds. The caller's deadline bounds them all.

    Attributes:
        connect: until the connection is open.
        first_byte: from the request until the answer's headers, and for a unary answer until
            its body is complete.
        idle: between two events of a stream; comments and events that carry nothing do not count.
            vLLM sends nothing else while a tool parser holds the arguments of a call back.
        total: from the request until the answer is complete.
    """

    connect: float = 5.0
    first_byte: float = 600.0
    idle: float = 300.0
    total: float = math.inf


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificates of connections to an https upstream, on both sides.

    Attributes:
        ca_file: certificates to trust, in PEM; empty for the system's.
        certificate_file: our certificate, in PEM; empty for none.
        key_file: its private key, in PEM; empty if that is in the same file.
        digest: a digest of the contents of the files, so that two configurations differ if they do.
    """

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """One configured upstream: a vLLM server, or a host name behind which there are several.

    Attributes:
        url: the base URL, without `/v1`: http, https, or `unix:///path` for a socket.
        name: its name in reports; if empty, host and port of the URL, or the socket's path.
        api_key: sent as bearer; empty for none.
        callers_credentials: whether calls are sent with their callers' own credentials instead.
        headers: sent with every request; they never replace the service's own.
        models: the only models to use, each public name with the upstream's name; empty for all
            of its models under their own names.
        weight: its share of the calls, relative to the other upstreams of a model.
        health_path: the route of its health check; empty for none.
        max_attempts: maximum number of requests of one call; 0 for the limit of all upstreams.
        native_responses: whether responses are requested from its own Responses API.
        wake_sleeping: whether a call may wake its engine.
        timeouts: limits of an exchange.
        tls: for https.
        merge_within_s: seconds within which deltas of a stream are merged; 0 for none.
        max_connections: maximum number of connections to each replica.
        max_upload_bytes: largest file to pass on.
        max_answer_bytes: largest body of an answer; a stream may be longer.
    """

    url: str
    name: str = ""
    api_key: str = field(default="", repr=False)
    callers_credentials: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    models: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    health_path: str = "/health"
    max_attempts: int = 0
    native_responses: NativeResponses = NativeResponses.NEVER
    wake_sleeping: bool = False
    timeouts: Timeouts = Timeouts()
    tls: Tls = Tls()
    merge_within_s: float = 0.0
    max_connections: int = 1000
    max_upload_bytes: int = 25 * 1024 * 1024
    max_answer_bytes: int = 128 * 1024 * 1024

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key and the values of headers that may be secrets."""
        long = (value for value in self.headers.values() if len(value) >= _SHORTEST_SECRET)
        return (*filter(None, (self.api_key,)), *long)

    def same_place(self, other: "UpstreamConfig") -> bool:
        """Returns whether another configuration is for the same server."""
        return (self.url, self.tls) == (other.url, other.tls)
