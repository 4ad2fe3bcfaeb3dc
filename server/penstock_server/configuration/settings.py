"""The options of the service: this is the whole list."""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.configuration.options import (
    address,
    countable,
    http_path,
    interval,
    key,
    member_of,
    message_size,
    natural,
    one_of,
    option,
    positive,
    seconds,
    share,
    switch,
    text,
    texts_by_name,
    unless_off,
    worker_count,
)
from penstock_server.configuration.upstream_table import (
    NATIVE_RESPONSES,
    Entry,
    File,
    key_file,
    upstreams,
)
from penstock_server.fleet import Affinity, Policy
from penstock_server.telemetry.log import FORMATS, LEVELS
from penstock_server.upstream import NativeResponses, UpstreamConfig

# What these have by default is the default of the options.
_POLICY = Policy()
_UPSTREAM = UpstreamConfig("")

_NO_UPSTREAM_NAMED: tuple[Entry, ...] = ("http://localhost:8000",)


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration of the service."""

    upstream: tuple[Entry, ...] = option(
        _NO_UPSTREAM_NAMED,
        "Base URL of a vLLM, without /v1, or unix:///PATH; may be given more than once. In the "
        "file also [[upstream]] tables.",
        upstreams,
        "URL",
        many=True,
        whole=True,
        live=True,
    )
    upstream_api_key: str = option(
        "",
        "Bearer key for the upstreams; as a flag, ps shows it to everybody on the machine.",
        key,
        "KEY",
        flag="--api-key",
        secret=True,
        live=True,
    )
    upstream_api_key_file: File | None = option(
        None,
        "File that holds the bearer key for the upstreams, instead.",
        key_file,
        "FILE",
        flag="--api-key-file",
        live=True,
    )
    aliases: Mapping[str, str] = option(
        {},
        "Another name for a model; may be given more than once. In the file a table.",
        texts_by_name,
        "NAME=MODEL",
        flag="--alias",
        many=True,
        whole=True,
        live=True,
    )
    default_model: str = option(
        "",
        "Model of requests that name none, where it fits the operation.",
        text,
        "MODEL",
        live=True,
    )
    native_responses: NativeResponses = option(
        _UPSTREAM.native_responses,
        "Ask upstreams for responses by their own Responses API, not by way of chats; auto: where "
        "there is one that can be trusted.",
        NATIVE_RESPONSES,
        "never|always|auto",
        live=True,
    )
    health_path: str = option(
        _UPSTREAM.health_path,
        "Route of an upstream that says whether it is well; off for its list of models alone.",
        unless_off(http_path),
        "/PATH|off",
        live=True,
    )
    listen: tuple[str, ...] | str = option(
        ("127.0.0.1:50051",),
        "Address to serve gRPC on, or unix:/PATH; port 0 takes a free one, and 0.0.0.0 means every "
        "address of the machine, of IPv6 too. May be given more than once.",
        address,
        "HOST:PORT",
        many=True,
    )
    admin_listen: str = option(
        "127.0.0.1:50052",
        "Address to serve AdminService on, which asks for no credentials; off for none. 0.0.0.0 as "
        "above.",
        unless_off(address),
        "HOST:PORT",
    )
    connect_timeout: float = option(
        _UPSTREAM.timeouts.connect,
        "Longest wait for a connection to an upstream.",
        interval,
        "SECONDS",
        live=True,
    )
    first_byte_timeout: float = option(
        _UPSTREAM.timeouts.first_byte,
        "Longest wait for a unary answer, or for the first event of a stream.",
        interval,
        "SECONDS",
        live=True,
    )
    idle_timeout: float = option(
        _UPSTREAM.timeouts.idle,
        "Longest wait between two events of a stream; comments and empty events do not count.",
        interval,
        "SECONDS",
        live=True,
    )
    total_timeout: float = option(
        0.0,
        "Longest wait for a complete answer of an upstream; 0 for no limit.",
        seconds,
        "SECONDS",
        live=True,
    )
    default_deadline: float = option(
        0.0, "Deadline of calls that come without one; 0 for none.", seconds, "SECONDS", live=True
    )
    max_deadline: float = option(
        0.0,
        "Longest that any call may take, whatever its deadline; 0 for no limit.",
        seconds,
        "SECONDS",
        live=True,
    )
    max_concurrent_calls: int = option(
        0, "Most calls at once; more are refused. 0 for no limit.", natural, "NUMBER", live=True
    )
    max_pending_calls: int = option(
        32768,
        "Most calls that have come and are not let in yet; each holds about 20 KB, and what it has "
        "sent. 0 for no limit.",
        countable,
        "NUMBER",
    )
    max_calls_per_connection: int = option(
        4096,
        "Most calls at once on one connection of a caller, at 20 to 30 KB each; 0 for no limit.",
        countable,
        "NUMBER",
    )
    max_incoming_connections: int = option(
        4096,
        "Most connections of callers to each address, at 15 to 45 KB each, and no more than half "
        "of the file descriptors; further ones are closed. 0 for no limit but that.",
        countable,
        "NUMBER",
    )
    request_timeout: float = option(
        60.0,
        "Longest wait for each message of a caller's request; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_watches: int = option(
        8192,
        "Most calls of health and reflection at once, at about 20 KB each; 0 for no limit.",
        natural,
        "NUMBER",
    )
    max_watches_per_connection: int = option(
        100,
        "Most calls of health and reflection at once on one connection; 0 for no limit.",
        natural,
        "NUMBER",
    )
    handshake_timeout: float = option(
        10.0,
        "Longest time until a caller's new connection speaks HTTP/2.",
        interval,
        "SECONDS",
    )
    max_connection_idle: float = option(
        300.0,
        "How long a caller's connection stays open without calls; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_connection_age: float = option(
        0.0,
        "Age, give or take 10 %, at which a connection takes no more calls, so that its caller "
        "connects anew; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_connection_age_grace: float = option(
        0.0,
        "How long the calls on such a connection may take to finish; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_connections: int = option(
        _UPSTREAM.max_connections,
        "Most connections to one upstream.",
        positive,
        "NUMBER",
        live=True,
    )
    max_message_bytes: int = option(
        32 * 1024 * 1024, "Largest gRPC message, both ways.", message_size, "BYTES"
    )
    max_request_entries: int = option(
        100_000,
        "Most fields and list elements in one message of a request, counted before it is parsed; "
        "16 numbers of a list, or values in JSON text, count as one.",
        positive,
        "NUMBER",
    )
    max_metadata_bytes: int = option(
        16 * 1024,
        "Largest metadata of a call; each entry counts 32 bytes more than its key and value.",
        message_size,
        "BYTES",
    )
    max_upload_bytes: int = option(
        _UPSTREAM.max_upload_bytes,
        "Largest audio file to pass on; the default is vLLM's own limit.",
        positive,
        "BYTES",
        live=True,
    )
    probe_interval: float = option(
        _POLICY.probe_interval,
        "Time between two health probes of an upstream.",
        interval,
        "SECONDS",
    )
    probe_timeout: float = option(
        _POLICY.probe_timeout,
        "Longest wait for an upstream's answer to a probe.",
        interval,
        "SECONDS",
    )
    affinity: Affinity = option(
        _POLICY.affinity,
        "What keeps calls on one replica for its prefix cache: the session id, or the beginning "
        "of the prompt.",
        member_of(Affinity),
        "none|session|prefix",
    )
    max_attempts: int = option(
        _POLICY.max_attempts,
        "Most requests for one call, where sending it again is safe.",
        positive,
        "NUMBER",
    )
    retry_budget: float = option(
        _POLICY.retry_budget, "Requests sent again, as a share of the calls.", share, "SHARE"
    )
    hedge_after: float = option(
        _POLICY.hedge_after,
        "Time without a first byte after which a call that may be repeated is sent to a second "
        "replica as well; 0 for never.",
        seconds,
        "SECONDS",
    )
    ejection_failures: int = option(
        _POLICY.ejection_failures,
        "As many failures in a row take a replica out.",
        positive,
        "NUMBER",
    )
    ejection_time: float = option(
        _POLICY.ejection_time,
        "How long a replica is out at first; twice as long each time it fails again.",
        interval,
        "SECONDS",
    )
    slow_start: float = option(
        _POLICY.slow_start,
        "Time until a replica that is new or came back has its full share; 0 for at once.",
        seconds,
        "SECONDS",
    )
    drain_delay: float = option(
        5.0,
        "After SIGTERM, how long to report NOT_SERVING while still accepting calls; after SIGINT, "
        "calls are refused at once.",
        seconds,
        "SECONDS",
        live=True,
    )
    drain_timeout: float = option(
        20.0, "How long running calls may take to finish after that.", seconds, "SECONDS", live=True
    )
    workers: int = option(
        1,
        "Processes that share the work and the ports; auto for one for each core. Limits and "
        "quotas count in each.",
        worker_count,
        "NUMBER|auto",
    )
    keys_file: str = option(
        "",
        "TOML file of the keys that callers must have one of; without it, none is asked for.",
        text,
        "FILE",
    )
    forward_authorization: bool = option(
        False,
        "Send the caller's authorization upstream, and never the upstream's own key with a call.",
        switch,
        "true|false",
    )
    debug_info: bool = option(
        False,
        "Tell callers the stack of a bug of the service, as google.rpc.DebugInfo.",
        switch,
        "true|false",
    )
    reflection: bool = option(
        True, "Serve reflection, for grpcurl and the like.", switch, "true|false"
    )
    reload_interval: float = option(
        2.0,
        "Time between two looks at the files of the configuration; 0 to reload at SIGHUP only.",
        seconds,
        "SECONDS",
        live=True,
    )
    log_level: str = option(
        "info", "Least severity that is logged.", one_of(*LEVELS), "LEVEL", live=True
    )
    log_format: str = option(
        "auto", "json, text, or auto: text on a terminal.", one_of(*FORMATS), "FORMAT"
    )

    @property
    def names_upstreams(self) -> bool:
        """Whether any upstream is named; else it is the default one."""
        # The same one may be named, too: that is another value.
        return self.upstream is not _NO_UPSTREAM_NAMED

    @property
    def addresses(self) -> tuple[str, ...]:
        """What `listen` says; it may be one address as it is."""
        return (self.listen,) if isinstance(self.listen, str) else self.listen
