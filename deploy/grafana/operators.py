"""The dashboard for operators: upstreams, what the service adds, what limits it, its processes."""

from deploy.grafana.faults import FAULTS
from deploy.grafana.panels import Dashboard, Panel, Row, Variable
from deploy.grafana.queries import most, quantile, rate, share, total, values
from deploy.grafana.variables import INSTANCE, JOB
from deploy.grafana.vllm import JOB as VLLM_JOB
from deploy.grafana.vllm import VLLM
from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.names import Metric

_UPSTREAM = 'upstream=~"$upstream"'
_REPLICA = "upstream, address"
_REPLICA_LEGEND = "{{upstream}} {{address}}"
_READY = 'state=~"ready|slow_start"'
_RESIDENT = "process_resident_memory_bytes"
_CPU = "process_cpu_seconds_total"


def _replica_rate(counter: Metric) -> str:
    return rate(counter, _REPLICA, _UPSTREAM)


_OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "Instances",
            "Instances that Prometheus reaches.",
            "short",
            {"up": f"sum({values('up')})"},
            "stat",
            4,
            4,
        ),
        Panel(
            "Replicas ready",
            "Share of the upstreams' replicas that accept calls, as each instance and worker sees "
            "them.",
            "percentunit",
            {
                "ready": share(
                    total(names.UPSTREAM_STATE, "", _UPSTREAM, _READY),
                    total(names.UPSTREAM_STATE, "", _UPSTREAM),
                )
            },
            "stat",
            4,
            4,
        ),
        Panel(
            "Calls",
            "Calls that ended, per second.",
            "reqps",
            {"calls": rate(names.HANDLED, "")},
            "stat",
            4,
            4,
        ),
        Panel(
            "Faults",
            "Share of calls that failed through no fault of their callers; the dashboard for "
            "callers has their methods and codes.",
            "percentunit",
            {"faults": share(rate(names.HANDLED, "", FAULTS), rate(names.HANDLED, ""))},
            "stat",
            4,
            4,
            thresholds=(0.01, 0.05),
        ),
        Panel(
            "Calls in flight",
            "Calls that are running.",
            "short",
            {"calls": total(names.IN_FLIGHT, "")},
            "stat",
            4,
            4,
        ),
        Panel(
            "Overhead, p95",
            "Time that the service adds to calls, which 95 % of the answered calls do not exceed.",
            "s",
            {"p95": quantile(0.95, names.OVERHEAD_SECONDS, "")},
            "stat",
            4,
            4,
            thresholds=(0.02, 0.1),
        ),
    ),
)

_UPSTREAMS = Row(
    "Upstreams",
    (
        Panel(
            "Replicas by state",
            "Number of replicas in each state, as each instance and worker sees them.",
            "short",
            {
                "{{upstream}} {{state}}": total(names.UPSTREAM_STATE, "upstream, state", _UPSTREAM)
                + " > 0"
            },
            stacked=True,
        ),
        Panel(
            "Requests by replica",
            "Requests sent for calls, per second. Replicas with the same weight have about the "
            "same rate, unless affinity keeps calls on one.",
            "reqps",
            {_REPLICA_LEGEND: _replica_rate(names.UPSTREAM_REQUESTS)},
        ),
        Panel(
            "Errors by replica",
            "Share of the requests that failed through no fault of their callers.",
            "percentunit",
            {
                _REPLICA_LEGEND: share(
                    _replica_rate(names.UPSTREAM_ERRORS),
                    f"({_replica_rate(names.UPSTREAM_REQUESTS)} > 0)",
                )
            },
            most=1,
        ),
        Panel(
            "Time to headers by replica",
            "Moving average of the time until the headers of an answer. One slow replica of "
            "several is overloaded or ill.",
            "s",
            {_REPLICA_LEGEND: most(names.UPSTREAM_LATENCY, _REPLICA, _UPSTREAM)},
        ),
        Panel(
            "Outstanding requests by replica",
            "Requests that are running. vLLM queues what exceeds its max_num_seqs.",
            "short",
            {_REPLICA_LEGEND: total(names.UPSTREAM_OUTSTANDING, _REPLICA, _UPSTREAM)},
        ),
        Panel(
            "Connections by replica",
            "Connections in use, including those of probes. Calls wait for a connection once "
            "max_connections are in use.",
            "short",
            {_REPLICA_LEGEND: total(names.UPSTREAM_CONNECTIONS, _REPLICA, _UPSTREAM)},
        ),
    ),
)

_FLEET = Row(
    "Fleet",
    (
        Panel(
            "Retries and hedges",
            "Requests per second that were sent because an earlier one to the upstream had failed "
            "(retries) or was late (hedges).",
            "reqps",
            {
                "{{upstream}} retries": rate(names.UPSTREAM_RETRIES, "upstream", _UPSTREAM),
                "{{upstream}} hedges": rate(names.UPSTREAM_HEDGES, "upstream", _UPSTREAM),
            },
        ),
        Panel(
            "Ejections by replica",
            "Ejections per second of replicas whose requests kept failing, or that were shutting "
            "down.",
            "short",
            {_REPLICA_LEGEND: _replica_rate(names.UPSTREAM_EJECTIONS)},
        ),
        Panel(
            "LoRA adapters loaded again",
            "LoRA adapters per second that replicas had lost, and that were loaded again or could "
            "not be.",
            "short",
            {
                "{{upstream}} {{address}} loaded": _replica_rate(names.UPSTREAM_ADAPTERS_RESTORED),
                "{{upstream}} {{address}} failed": _replica_rate(names.UPSTREAM_ADAPTERS_FAILED),
            },
        ),
        Panel(
            "Calls of operators",
            "Calls of AdminService per second, by method and status code.",
            "reqps",
            {
                "{{grpc_method}} {{grpc_code}}": rate(names.ADMIN_CALLS, "grpc_method, grpc_code")
                + " > 0"
            },
        ),
        Panel(
            "Failures by reason",
            "Calls per second that failed after a request was sent upstream, by the reason in "
            "their status details.",
            "reqps",
            {"{{upstream}} {{reason}}": rate(names.FAILED, "upstream, reason") + " > 0"},
        ),
        Panel(
            "Versions of the upstreams",
            "Versions that the replicas report. During an upgrade there are several.",
            "short",
            {"replicas": most(names.UPSTREAM_INFO, "upstream, address, version", _UPSTREAM)},
            "table",
            12,
            5,
        ),
        Panel(
            "States of the replicas",
            "State of each replica now; the value is the number of instances and workers that see "
            "it in the state.",
            "short",
            {"replicas": f"{total(names.UPSTREAM_STATE, f'{_REPLICA}, state', _UPSTREAM)} > 0"},
            "table",
            12,
            5,
        ),
    ),
)

_OVERHEAD = Row(
    "Overhead",
    (
        Panel(
            "Overhead",
            "Time that the service adds to calls that are answered: up to the answer, or to the "
            "first message of a stream, less the wait for upstreams.",
            "s",
            {
                f"p{round(100 * q)}": quantile(q, names.OVERHEAD_SECONDS, "")
                for q in (0.5, 0.95, 0.99)
            },
        ),
        Panel(
            "Overhead by method, p95",
            "Time that the service adds, which 95 % of the calls do not exceed. Large messages "
            "take longer to convert.",
            "s",
            {"{{grpc_method}}": quantile(0.95, names.OVERHEAD_SECONDS, "grpc_method") + " > 0"},
        ),
        Panel(
            "CPU by instance",
            "Cores in use, the sum of all worker processes. A process uses at most about one core: "
            "near that, add workers or instances.",
            "short",
            {"{{instance}}": rate(_CPU, "instance")},
        ),
    ),
)

_SATURATION = Row(
    "Saturation",
    (
        Panel(
            "Calls in flight by instance",
            "Calls that are running. At max_concurrent_calls, further calls are refused.",
            "short",
            {"{{instance}}": total(names.IN_FLIGHT, "instance")},
        ),
        Panel(
            "Calls refused by reason",
            "Calls per second that failed before a request was sent upstream, with the option that "
            "limits them: OVERLOADED (too many calls), RATE_LIMITED (a caller's quota), DRAINING "
            "and others.",
            "reqps",
            {"{{reason}} {{limit}}": rate(names.REFUSED, "reason, limit")},
        ),
        Panel(
            "Messages",
            "Messages per second, received (requests) and sent (responses).",
            "short",
            {
                "received": rate(names.MESSAGES_RECEIVED, ""),
                "sent": rate(names.MESSAGES_SENT, ""),
            },
        ),
        Panel(
            "Bytes",
            "Sizes of the messages per second, received and sent.",
            "Bps",
            {
                "received": rate(names.RECEIVED_BYTES, ""),
                "sent": rate(names.SENT_BYTES, ""),
            },
        ),
        Panel(
            "Memory by instance",
            "Resident memory, the sum of all worker processes.",
            "bytes",
            {"{{instance}}": f"sum by (instance) ({values(_RESIDENT)})"},
        ),
        Panel(
            "File descriptors by instance",
            "Open file descriptors as a share of the limit. Each connection needs one.",
            "percentunit",
            {
                "{{instance}}": share(
                    f"sum by (instance) ({values('process_open_fds')})",
                    f"sum by (instance) ({values('process_max_fds')})",
                )
            },
            most=1,
        ),
    ),
)

_PROCESSES = Row(
    "Processes and configuration",
    (
        Panel(
            "Workers by instance",
            "Worker processes that answer; empty without --workers.",
            "short",
            {"{{instance}}": total(names.WORKERS, "instance")},
            width=6,
        ),
        Panel(
            "Configuration in force",
            "Number of the configuration, which grows with each reload that changes something.",
            "short",
            {"{{instance}}": f"min by (instance) ({values(names.CONFIGURATION_GENERATION)})"},
            width=6,
        ),
        Panel(
            "Reloads refused",
            "Reloads per second that were refused because the configuration cannot be used. The "
            "log has the reason.",
            "short",
            {"{{instance}}": rate(names.RELOADS_REFUSED, "instance")},
            width=6,
        ),
        Panel(
            "Log lines dropped",
            "Log lines per second that were dropped because the reader of the log was too slow.",
            "short",
            {"{{instance}}": rate(names.LOG_LINES_DROPPED, "instance")},
            width=6,
        ),
        Panel(
            "Certificate expires in",
            "Time until the certificate that callers see expires; empty without TLS.",
            "s",
            {"{{instance}}": f"min by (instance) ({values(names.CERTIFICATE_EXPIRY)}) - time()"},
        ),
        Panel(
            "Certificate refused",
            "1 while the files of the certificate cannot be used, so that an older one is in use.",
            "short",
            {"{{instance}}": most(names.CERTIFICATE_REFUSED, "instance")},
        ),
        Panel(
            "Uptime by instance",
            "Time since the start; of the oldest process, if there are several.",
            "s",
            {
                "{{instance}}": "time() - min by (instance) "
                f"({values('process_start_time_seconds')})"
            },
        ),
        Panel(
            "Versions",
            "Versions of the service and of Python by instance.",
            "short",
            {"versions": most(names.BUILD_INFO, "instance, version, python_version")},
            "table",
            24,
            4,
        ),
    ),
)

OPERATORS = Dashboard(
    "penstock-operators",
    "Penstock / Operators",
    "State of the upstreams, what the service adds to calls, and what limits it.",
    (
        JOB,
        INSTANCE,
        Variable(
            "upstream",
            "Upstream",
            f'label_values({names.UPSTREAM_STATE.name}{{job=~"$job"}}, upstream)',
        ),
        VLLM_JOB,
    ),
    (_OVERVIEW, _UPSTREAMS, _FLEET, _OVERHEAD, _SATURATION, _PROCESSES, VLLM),
)
