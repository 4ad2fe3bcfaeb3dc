"""The options of the service: this is the whole list."""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.configuration.identities import peer
from penstock_server.configuration.upstream_table import (
    NATIVE_RESPONSES,
    Entry,
    File,
    key_file,
    upstreams,
    window,
)
from penstock_server.fleet import Affinity, Policy
from penstock_server.options import (
    Unrequested,
    address,
    countable,
    http_path,
    interval,
    key,
    logged_calls,
    member_of,
    message_size,
    natural,
    one_of,
    option,
    page_url,
    positive,
    seconds,
    share,
    switch,
    text,
    texts_by_name,
    unless_off,
    worker_count,
)
from penstock_server.telemetry import log
from penstock_server.telemetry.metrics.names import CONVENTIONS, DEFAULT_METRICS_ADDRESS
from penstock_server.upstream import NativeResponses, UpstreamConfig

# Their defaults are the defaults of the options.
_POLICY = Policy()
_UPSTREAM = UpstreamConfig("")

_NO_UPSTREAM_NAMED: tuple[Entry, ...] = ("http://localhost:8000",)


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration of the service."""

    upstream: tuple[Entry, ...] = option(
        _NO_UPSTREAM_NAMED,
        "Base URL of a vLLM server, without /v1, or unix:///PATH; can be given more than "
        "once. In the file, also [[upstream]] tables.",
        upstreams,
        "URL",
        many=True,
        whole=True,
        live=True,
        heading="upstreams",
    )
    upstream_api_key: str = option(
        "",
        "Bearer key for the upstreams. As a flag, it is visible to everyone on the machine, "
        "through ps.",
        key,
        "KEY",
        flag="--api-key",
        secret=True,
        live=True,
    )
    upstream_api_key_file: File | None = option(
        None,
        "File that contains the bearer key for the upstreams, instead of upstream_api_key.",
        key_file,
        "FILE",
        flag="--api-key-file",
        live=True,
    )
    max_connections: int = option(
        _UPSTREAM.max_connections,
        "Most connections to one upstream.",
        positive,
        "NUMBER",
        live=True,
    )
    aliases: Mapping[str, str] = option(
        {},
        "Additional name for a model; can be given more than once. In the file, a table.",
        texts_by_name,
        "NAME=MODEL",
        flag="--alias",
        many=True,
        whole=True,
        live=True,
    )
    default_model: str = option(
        "",
        "Model for requests that name none, if it supports the operation.",
        text,
        "MODEL",
        live=True,
    )
    native_responses: NativeResponses = option(
        _UPSTREAM.native_responses,
        "Use the upstreams' own Responses API instead of chat completions; auto: where it is "
        "reliable.",
        NATIVE_RESPONSES,
        "never|always|auto",
        live=True,
    )
    wake_sleeping: bool = option(
        _UPSTREAM.wake_sleeping,
        "Let a call wake the engine of an upstream that sleeps at level 0 or 1, if no other "
        "upstream can serve it. Requires vLLM's development mode.",
        switch,
        "true|false",
        live=True,
    )
    health_path: str = option(
        _UPSTREAM.health_path,
        "Route of an upstream that reports its health; off to rely on its model list alone.",
        unless_off(http_path),
        "/PATH|off",
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
    listen: tuple[str, ...] | str = option(
        ("127.0.0.1:50051",),
        "Address to serve gRPC on, or unix:/PATH; port 0 selects a free port, and 0.0.0.0 all "
        "addresses of the machine, including IPv6. Can be given more than once.",
        address,
        "HOST:PORT",
        many=True,
        heading="listening and TLS",
    )
    admin_listen: str = option(
        Unrequested("127.0.0.1:50052"),
        "Address to serve AdminService on; off for none. 0.0.0.0 as in listen.",
        unless_off(address),
        "HOST:PORT",
    )
    metrics_listen: str = option(
        Unrequested(DEFAULT_METRICS_ADDRESS),
        "Address to serve metrics for Prometheus on, at /metrics over HTTP; off for none.",
        unless_off(address),
        "HOST:PORT",
    )
    health_listen: str = option(
        "",
        "Address to serve health alone on, in plaintext, for probes that have no client "
        "certificate; off for none.",
        unless_off(address),
        "HOST:PORT",
    )
    reflection: bool = option(
        True, "Serve reflection, for clients such as grpcurl.", switch, "true|false"
    )
    tls_cert: str = option(
        "",
        "Certificate in PEM, with those that lead to its CA, to serve TLS with; it is read again "
        "when it changes. admin_listen and metrics_listen use it where other machines can reach "
        "them.",
        text,
        "FILE",
    )
    tls_key: str = option("", "Private key of tls_cert, in PEM and not encrypted.", text, "FILE")
    tls_client_ca: str = option(
        "",
        "CA, in PEM, whose certificates callers must present; without it, callers need none.",
        text,
        "FILE",
    )
    insecure: bool = option(
        False,
        "Serve plaintext to other machines, such as where a mesh encrypts the connections.",
        switch,
        "true|false",
    )
    callers_file: str = option(
        "",
        "TOML file of callers, with their keys and certificates, permissions and limits; without "
        "it, every caller is accepted.",
        text,
        "FILE",
        heading="callers",
    )
    max_failed_logins: int = option(
        60,
        "Most calls per minute from one address with keys that are unknown; further keys from it "
        "are refused for some time. 0 for no limit.",
        natural,
        "NUMBER",
    )
    trusted_proxies: tuple[str, ...] = option(
        (),
        "Proxy whose x-forwarded-client-cert identifies callers, by its SPIFFE id, DNS name or "
        "network; unix for those at a Unix socket. Can be given more than once.",
        peer,
        "PEER",
        flag="--trusted-proxy",
        many=True,
        live=True,
    )
    admin_requires_caller: bool = option(
        False,
        "Accept only calls to AdminService from callers in callers_file that have the right admin.",
        switch,
        "true|false",
    )
    forward_authorization: bool = option(
        False,
        "Send the caller's authorization upstream, and never the upstream's own key with a call.",
        switch,
        "true|false",
    )
    connect_timeout: float = option(
        _UPSTREAM.timeouts.connect,
        "Longest wait for a connection to an upstream.",
        interval,
        "SECONDS",
        live=True,
        heading="time limits",
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
        0.0, "Deadline of calls that have none; 0 for none.", seconds, "SECONDS", live=True
    )
    max_deadline: float = option(
        0.0,
        "Longest duration of any call, whatever its deadline; 0 for no limit.",
        seconds,
        "SECONDS",
        live=True,
    )
    request_timeout: float = option(
        60.0,
        "Longest wait for each message of a caller's request; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_concurrent_calls: int = option(
        0,
        "Most concurrent calls; more are refused. 0 for no limit.",
        natural,
        "NUMBER",
        live=True,
        heading="limits of calls",
    )
    max_pending_calls: int = option(
        32768,
        "Most calls that have arrived but are not admitted yet; each takes about 20 KB plus "
        "what it has sent. 0 for no limit.",
        countable,
        "NUMBER",
    )
    max_watches: int = option(
        8192,
        "Most concurrent calls of health and reflection, at about 20 KB each; 0 for no limit.",
        natural,
        "NUMBER",
    )
    max_message_bytes: int = option(
        32 * 1024 * 1024, "Largest gRPC message, both ways.", message_size, "BYTES"
    )
    max_request_entries: int = option(
        100_000,
        "Most fields and list elements in one request message, counted before it is parsed; "
        "16 numbers of a list, or 16 values in JSON text, count as one.",
        positive,
        "NUMBER",
    )
    max_metadata_bytes: int = option(
        16 * 1024,
        "Largest metadata of a call; each entry counts its key, its value and 32 bytes.",
        message_size,
        "BYTES",
    )
    max_upload_bytes: int = option(
        _UPSTREAM.max_upload_bytes,
        "Largest audio file to forward; the default is vLLM's own limit.",
        positive,
        "BYTES",
        live=True,
    )
    merge_deltas_within: int = option(
        0,
        "Time within which pieces of a streamed text are merged into one message, unless the "
        "request sets its own; 0 for no merging.",
        window,
        "MS",
        live=True,
        heading="streams and batches",
    )
    batch_concurrency: int = option(
        256,
        "Most items of one batch that are answered at once; fewer are sent upstream while "
        "upstreams refuse some.",
        positive,
        "NUMBER",
        live=True,
    )
    batch_priority: int = option(
        100,
        "Priority of the items of batches that set none; lower values are served first, and other "
        "calls have 0. Only vLLM with priority scheduling obeys it. 0 to send none.",
        natural,
        "NUMBER",
        live=True,
    )
    batch_patience: float = option(
        600.0,
        "Longest time without an answer during which the items of a batch are sent again after "
        "refusals.",
        seconds,
        "SECONDS",
        live=True,
    )
    item_concurrency: int = option(
        256,
        "Most items of one call, such as StreamEmbeddings, that are answered at once.",
        positive,
        "NUMBER",
        live=True,
    )
    join_items_up_to: int = option(
        32,
        "Most inputs of such items in one request to an upstream, at most 512; 1 to send each item "
        "alone.",
        positive,
        "NUMBER",
        live=True,
    )
    join_items_within: int = option(
        5,
        "Longest time that such an item waits for others to be sent with.",
        window,
        "MS",
        live=True,
    )
    max_utterance: float = option(
        600.0,
        "Longest audio of one utterance of a live transcription, because an engine may fail at "
        "more than its model's context; 0 for no limit.",
        seconds,
        "SECONDS",
        live=True,
    )
    max_incoming_connections: int = option(
        4096,
        "Most connections of callers to each address, at 15 to 45 KB each, and at most half "
        "of the file descriptors; further connections are closed. 0 for only the latter "
        "limit.",
        countable,
        "NUMBER",
        heading="limits of callers' connections",
    )
    max_calls_per_connection: int = option(
        4096,
        "Most concurrent calls on one connection of a caller, at 20 to 30 KB each; 0 for no limit.",
        countable,
        "NUMBER",
    )
    max_watches_per_connection: int = option(
        100,
        "Most concurrent calls of health and reflection on one connection; 0 for no limit.",
        natural,
        "NUMBER",
    )
    handshake_timeout: float = option(
        10.0,
        "Longest time until a new connection of a caller starts HTTP/2.",
        interval,
        "SECONDS",
    )
    max_connection_idle: float = option(
        300.0,
        "Longest time that a caller's connection stays open without calls; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_connection_age: float = option(
        0.0,
        "Age, within 10 %, at which a connection accepts no more calls, so that its caller "
        "reconnects; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    max_connection_age_grace: float = option(
        0.0,
        "Longest time that the calls on such a connection have to finish; 0 for no limit.",
        seconds,
        "SECONDS",
    )
    affinity: Affinity = option(
        _POLICY.affinity,
        "Key that keeps calls on one replica, for its prefix cache: one that the caller chooses, "
        "or, without one, the start of the prompt.",
        member_of(Affinity),
        "none|session|prefix",
        heading="replicas and retries",
    )
    max_attempts: int = option(
        _POLICY.max_attempts,
        "Most requests for one call, if a retry is safe.",
        positive,
        "NUMBER",
    )
    retry_budget: float = option(
        _POLICY.retry_budget,
        "Most retries, as a share of the calls.",
        share,
        "SHARE",
    )
    hedge_after: float = option(
        _POLICY.hedge_after,
        "Time without a first byte after which a call that is safe to repeat is also sent to "
        "a second replica; 0 for never.",
        seconds,
        "SECONDS",
    )
    ejection_failures: int = option(
        _POLICY.ejection_failures,
        "Failures in a row after which a replica is ejected.",
        positive,
        "NUMBER",
    )
    ejection_time: float = option(
        _POLICY.ejection_time,
        "Duration of the first ejection of a replica; it doubles with each further one.",
        interval,
        "SECONDS",
    )
    slow_start: float = option(
        _POLICY.slow_start,
        "Time until a new or returning replica gets its full share of calls; 0 for at once.",
        seconds,
        "SECONDS",
    )
    workers: int = option(
        1,
        "Processes that share the work and the ports; auto for one per core. Limits apply "
        "to each process, except those of callers.",
        worker_count,
        "NUMBER|auto",
        heading="process",
    )
    drain_delay: float = option(
        5.0,
        "Time after SIGTERM to report NOT_SERVING while still accepting calls; after SIGINT, "
        "calls are refused at once.",
        seconds,
        "SECONDS",
        live=True,
    )
    drain_timeout: float = option(
        20.0,
        "Longest time that running calls have to finish after that.",
        seconds,
        "SECONDS",
        live=True,
    )
    reload_interval: float = option(
        2.0,
        "Time between two checks of the configuration files for changes; 0 to reload only at "
        "SIGHUP.",
        seconds,
        "SECONDS",
        live=True,
    )
    log_level: str = option(
        "info",
        "Lowest severity that is logged.",
        one_of(*log.LEVELS),
        "|".join(log.LEVELS),
        live=True,
        heading="log, metrics, errors",
    )
    log_format: str = option(
        "auto",
        "json, text, or auto: text on a terminal.",
        one_of(*log.FORMATS),
        "|".join(log.FORMATS),
    )
    log_calls: str = option(
        "all",
        "Calls that are logged: all; failed, those that do not end as OK; or sampled:N, the failed "
        "ones and one in N others.",
        logged_calls,
        "all|failed|sampled:N",
        live=True,
    )
    metrics_by_caller: bool = option(
        False,
        "Count calls and tokens also by the name of the caller.",
        switch,
        "true|false",
    )
    genai_conventions: str = option(
        CONVENTIONS[0],
        "OpenTelemetry's conventions for the names of gen_ai metrics: those that dashboards "
        "query, or the new ones of version 0.1.0.",
        one_of(*CONVENTIONS),
        "|".join(CONVENTIONS),
    )
    errors_url: str = option(
        "",
        "URL of a page with an anchor for each reason, such as errors.html of the documentation "
        "site; each error links to it, as google.rpc.Help.",
        page_url,
        "URL",
    )
    debug_info: bool = option(
        False,
        "Include the stack trace of an internal error in its status, as google.rpc.DebugInfo.",
        switch,
        "true|false",
    )

    @property
    def names_upstreams(self) -> bool:
        """Whether the configuration names an upstream; if not, the default applies."""
        # An identity check: the configuration may name the same URL.
        return self.upstream is not _NO_UPSTREAM_NAMED

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of `listen`, which may also be a single text."""
        return (self.listen,) if isinstance(self.listen, str) else self.listen
