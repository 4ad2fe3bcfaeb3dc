"""The events of the log: this is the whole list.

Names and fields are stable: operators search for them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BY_OUTCOME = "by outcome"


@dataclass(frozen=True, slots=True)
class Event:
    """An event.

    Attributes:
        name: its name.
        level: its severity, or `BY_OUTCOME`.
        part: the part of the service that logs it, and the logger below `penstock`.
        fields: the names of its fields; those without a value are left out of a line.
        meaning: what has happened, in a sentence.
        others: describes further fields, whose names are not fixed; empty for none.
    """

    name: str
    level: str
    part: str
    fields: tuple[str, ...]
    meaning: str
    others: str = ""

    def log(self, exception: BaseException | None = None, /, **fields: Any) -> None:
        """Writes the event to the log, with the stack of an exception if there is one."""
        logger = logging.getLogger(f"penstock.{self.part}")
        number = logging.getLevelNamesMapping()[self.level.upper()]
        logger.log(number, self.name, exc_info=exception, extra={"fields": fields})


_ADDRESSED = ("upstream", "address")

# The process

SERVING = Event("serving", "info", "app", ("address",), "The service accepts calls at an address.")
SERVING_ADMIN = Event(
    "serving admin", "info", "admin", ("address",), "The admin services are available."
)
SERVING_METRICS = Event(
    "serving metrics", "info", "metrics", ("address",), "Metrics are available at an address."
)
SERVING_HEALTH = Event(
    "serving health", "info", "health", ("address",), "Health is available at an address."
)
CANNOT_LISTEN = Event(
    "cannot listen",
    "warning",
    "app",
    ("option", "address", "reason"),
    "The default of an address for operators is taken; the service runs without it.",
)
METRICS_FAILED = Event(
    "metrics cannot be exported",
    "error",
    "metrics",
    ("exception",),
    "A bug ended a scrape.",
)
CONFIGURATION = Event(
    "configuration",
    "info",
    "app",
    (),
    "The configuration at the start, without secrets.",
    others="each option",
)
EXPOSED = Event(
    "every user can read a file with secrets",
    "warning",
    "app",
    ("file",),
    "The permissions of a file should be restricted.",
)
DRAINING = Event("draining", "info", "app", (), "The service has begun to shut down.")
STOPPED = Event("stopped", "info", "app", (), "The service has shut down.")
WATCH_ENDED = Event(
    "watch over the upstreams ended",
    "error",
    "app",
    ("exception",),
    "A bug; the process drains and ends, to be restarted.",
)
GRPC_STOPPED = Event(
    "gRPC stopped serving",
    "error",
    "app",
    ("exception",),
    "A bug; the process ends, to be restarted.",
)
WORKER_SERVES = Event(
    "worker serves", "info", "supervisor", ("worker", "pid"), "A worker process accepts calls."
)
WORKER_DIED = Event(
    "worker died",
    "error",
    "supervisor",
    ("worker", "pid", "code"),
    "A worker process ended unexpectedly; another one replaces it.",
)
WORKER_NOT_STARTED = Event(
    "worker cannot be started",
    "error",
    "supervisor",
    ("worker", "reason"),
    "The system refused a new process; the supervisor tries again.",
)
DESCRIPTORS_SHORT = Event(
    "file descriptors run short",
    "warning",
    "descriptors",
    ("limit",),
    "New connections will fail soon; raise the limit (`ulimit -n`).",
)
CONNECTIONS_FULL = Event(
    "the limit of connections is reached",
    "warning",
    "descriptors",
    ("connections", "limit"),
    "Further connections of callers are closed.",
)
NO_TRACES = Event(
    "traces are not exported",
    "warning",
    "app",
    ("reason",),
    "The `OTEL_*` variables request traces that cannot be exported.",
)
LINES_DROPPED = Event(
    "log lines dropped",
    "warning",
    "log",
    ("lines",),
    "The reader of the log was too slow for this many lines.",
)

# The configuration

RELOADED = Event(
    "reloaded",
    "info",
    "reload",
    ("added", "removed", "changed", "options", "callers"),
    "A new configuration is in force; the fields name the upstreams and options that differ.",
)
RELOAD_REFUSED = Event(
    "reload refused",
    "error",
    "reload",
    ("reason",),
    "A new configuration is not valid; the old one stays in force.",
)
RELOAD_FAILED = Event(
    "reload failed",
    "error",
    "reload",
    ("exception",),
    "A bug; the old configuration stays in force.",
)
NEEDS_RESTART = Event(
    "needs a restart",
    "warning",
    "reload",
    ("options",),
    "A new configuration changes options that take effect at the next start.",
)

CERTIFICATE_REPLACED = Event(
    "certificate replaced",
    "info",
    "tls",
    ("file", "expires"),
    "New connections of callers use a new certificate.",
)
CERTIFICATE_REFUSED = Event(
    "certificate refused",
    "error",
    "tls",
    ("reason",),
    "A changed certificate or key cannot be used; the old one stays in use.",
)

# Upstreams

UPSTREAM_READY = Event(
    "upstream ready",
    "info",
    "fleet",
    (*_ADDRESSED, "before", "version", "models"),
    "A server answers probes and gets calls; `before` is its earlier state.",
)
UPSTREAM_DOWN = Event(
    "upstream down",
    "error",
    "fleet",
    (*_ADDRESSED, "before", "reason"),
    "A server cannot be reached, or its probes fail; it gets no calls.",
)
UPSTREAM_EJECTED = Event(
    "upstream ejected",
    "warning",
    "fleet",
    (*_ADDRESSED, "before", "reason", "seconds"),
    "The requests to a server kept failing; it gets no calls for some seconds.",
)
UPSTREAM_DRAINING = Event(
    "upstream draining",
    "info",
    "fleet",
    (*_ADDRESSED, "before", "reason"),
    "A server refuses requests because it shuts down; it gets no calls.",
)
UPSTREAM_SLEEPING = Event(
    "upstream sleeping",
    "info",
    "fleet",
    (*_ADDRESSED, "before"),
    "The engine of a server is asleep or paused; it gets no calls.",
)
UPSTREAM_WAKING = Event(
    "waking upstream",
    "info",
    "fleet",
    _ADDRESSED,
    "A call requires an engine that is asleep; `upstream ready` follows once it is awake.",
)
UPSTREAM_NOT_WOKEN = Event(
    "cannot wake upstream",
    "warning",
    "fleet",
    (*_ADDRESSED, "reason"),
    "A call required an engine that is asleep, and could not wake it; logged again only for "
    "another reason.",
)
ADAPTER_RESTORED = Event(
    "adapter loaded again",
    "info",
    "fleet",
    (*_ADDRESSED, "model", "adapter"),
    "A server has come back without a LoRA adapter that an operator had loaded, and has loaded it.",
)
ADAPTER_NOT_RESTORED = Event(
    "cannot load adapter again",
    "warning",
    "fleet",
    (*_ADDRESSED, "model", "adapter", "reason"),
    "A server has come back without a LoRA adapter that an operator had loaded, and cannot load "
    "it; tried again every 30 s, and logged again only for another reason.",
)
UPSTREAM_FOUND = Event(
    "upstream found",
    "info",
    "fleet",
    _ADDRESSED,
    "The host name of an upstream has an additional address.",
)
UPSTREAM_GONE = Event(
    "upstream gone",
    "info",
    "fleet",
    _ADDRESSED,
    "The host name of an upstream no longer has an address.",
)
PROBE_FAILED = Event(
    "probe failed",
    "warning",
    "fleet",
    (*_ADDRESSED, "reason"),
    "A probe of a server failed, or failed for another reason than the one before.",
)
PROBE_BROKE_OFF = Event(
    "probe broke off",
    "error",
    "fleet",
    ("upstream", "exception"),
    "A bug that an unusual answer of a server revealed; it counts as a failed probe.",
)
MODELS_CHANGED = Event(
    "models changed",
    "info",
    "fleet",
    (*_ADDRESSED, "appeared", "gone"),
    "A server that is up lists other models than before.",
)
ODD_MODELS = Event(
    "odd model list",
    "warning",
    "fleet",
    (*_ADDRESSED, "reason"),
    "A model list has entries that cannot be used.",
)
UPSTREAM_LIMITED = Event(
    "upstream rate limited",
    "warning",
    "fleet",
    (*_ADDRESSED, "reason", "retry_after_s"),
    "A server has begun to refuse requests with HTTP 429.",
)
UPSTREAM_UNLIMITED = Event(
    "upstream rate limit over",
    "info",
    "fleet",
    (*_ADDRESSED, "refused", "seconds"),
    "A server has refused no request with HTTP 429 for 10 s.",
)

# Calls

CALL = Event(
    "rpc",
    BY_OUTCOME,
    "rpc",
    (
        "method",
        "code",
        "reason",
        "ms",
        "first_message_ms",
        "request_id",
        "messages",
        "items",
        "failed_items",
        "caller",
        "model",
        "input_tokens",
        "output_tokens",
        "upstream",
        "attempts",
        "trace_id",
    ),
    "A call has ended.",
)
CALLS_NOT_LOGGED = Event(
    "refused calls not logged",
    "warning",
    "rpc",
    (),
    "The number of calls, refused before they were admitted, whose lines were left out.",
    others="each reason",
)
LOGINS_LIMITED = Event(
    "failed logins limited",
    "warning",
    "rpc",
    ("address",),
    "An address has sent unknown keys too often; at most six lines a minute.",
)
REFUSING = Event(
    "refusing calls",
    "warning",
    "rpc",
    ("limit",),
    "The server has begun to refuse calls as OVERLOADED.",
)
NOT_REFUSING = Event(
    "refusing calls is over",
    "info",
    "rpc",
    ("refused", "seconds"),
    "The server has refused no call as OVERLOADED for 10 s.",
)
MALFORMED = Event(
    "malformed answer",
    "warning",
    "rpc",
    ("request_id", "upstream", "cause", "at"),
    "An answer of an upstream could not be read.",
)
BUG = Event("bug", "error", "rpc", ("request_id", "exception"), "A bug ended a call.")
MODEL_SKIPPED = Event(
    "model skipped",
    "warning",
    "rpc",
    ("request_id", "model", "reason"),
    "An entry of a model list could not be read.",
)
PATH_NOT_UTF8 = Event(
    "dropped a call: its path is not UTF-8",
    "warning",
    "rpc",
    (),
    "A call with an invalid path was dropped; at most six lines a minute.",
)

EVENTS: Mapping[str, Event] = {
    event.name: event for event in tuple(globals().values()) if isinstance(event, Event)
}
"""Every event, by its name."""
