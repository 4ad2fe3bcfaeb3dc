"""The table of all metrics: the one place that has their names, labels and buckets.

The `gen_ai_*` names follow OpenTelemetry's conventions for generative AI, which are being renamed.
"deployed" means the names up to `DEPLOYED_CONVENTIONS`, which other gateways export and dashboards
query; the new ones are those of `NEW_CONVENTIONS`, in a repository of their own.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEFAULT_METRICS_ADDRESS = "127.0.0.1:9464"

DEPLOYED_CONVENTIONS = "1.41"
NEW_CONVENTIONS = "0.1.0"
CONVENTIONS = ("deployed", NEW_CONVENTIONS)
"""The valid values of the option `genai_conventions`."""

OTHER = "other"
"""The label value of models that no upstream lists, and of methods that the API does not have."""

PROVIDER = "vllm"


class Kind(enum.StrEnum):
    """The type of a metric in Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Combine(enum.Enum):
    """The combination of the values of several worker processes."""

    SUM = enum.auto()
    LEAST = enum.auto()
    MOST = enum.auto()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: the name in queries; queries of a histogram add `_bucket`, `_sum` or `_count`.
        kind: its type.
        help: its description, one sentence.
        labels: the names of its labels.
        buckets: the upper bounds of its buckets, if it is a histogram.
        unit: the unit of its values; empty for a number of things.
        convention: the name that OpenTelemetry's conventions have for it; empty for none.
        combine: how the values of several worker processes become one.
        optional: the option without which the metric is not exported; empty for none.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    unit: str = ""
    convention: str = ""
    combine: Combine = Combine.SUM
    optional: str = ""


# As go-grpc-middleware's, and up to the length of a generation.
_CALL_SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(20.0, 60.0, 120.0, 300.0, 600.0),
)
# The edges of vllm:time_to_first_token_seconds, so that quantiles can be subtracted.
_FIRST_TOKEN_SECONDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
# The edges of vllm:inter_token_latency_seconds.
_NEXT_TOKEN_SECONDS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0),
)
_GENERATION_SECONDS = tuple(0.01 * 2**power for power in range(14))
_TOKENS = tuple(float(4**power) for power in range(14))
_OVERHEAD_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 10.0),
)

_METHOD = ("grpc_type", "grpc_service", "grpc_method")

# gRPC, as go-grpc-middleware names it.

STARTED = Metric(
    "grpc_server_started_total",
    Kind.COUNTER,
    "Calls that have started.",
    _METHOD,
)
HANDLED = Metric(
    "grpc_server_handled_total",
    Kind.COUNTER,
    "Calls that have ended, by status code as Go spells it, such as DeadlineExceeded.",
    (*_METHOD, "grpc_code"),
)
HANDLING_SECONDS = Metric(
    "grpc_server_handling_seconds",
    Kind.HISTOGRAM,
    "Durations of calls, from their arrival to their status.",
    _METHOD,
    _CALL_SECONDS,
    "seconds",
    "rpc.server.call.duration",
)
MESSAGES_RECEIVED = Metric(
    "grpc_server_msg_received_total", Kind.COUNTER, "Request messages received.", _METHOD
)
MESSAGES_SENT = Metric(
    "grpc_server_msg_sent_total", Kind.COUNTER, "Response messages sent.", _METHOD
)

# Generative AI. Times are those of a server, tokens those of a client, as Envoy AI Gateway has it.

_GEN_AI = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
)

REQUEST_SECONDS = Metric(
    "gen_ai_server_request_duration_seconds",
    Kind.HISTOGRAM,
    "Durations of calls that generate or compute something, from their arrival to their end. "
    "error_type is the status code of a call that failed, and empty otherwise.",
    (*_GEN_AI, "error_type"),
    _GENERATION_SECONDS,
    "seconds",
    "gen_ai.server.request.duration",
)
FIRST_TOKEN_SECONDS = Metric(
    "gen_ai_server_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    "Times from the arrival of a streaming call to its first message.",
    _GEN_AI,
    _FIRST_TOKEN_SECONDS,
    "seconds",
    "gen_ai.server.time_to_first_token",
)
NEXT_TOKEN_SECONDS = Metric(
    "gen_ai_server_time_per_output_token_seconds",
    Kind.HISTOGRAM,
    "Times per generated token after the first, means over each streaming call.",
    _GEN_AI,
    _NEXT_TOKEN_SECONDS,
    "seconds",
    "gen_ai.server.time_per_output_token",
)
TOKEN_USAGE = Metric(
    "gen_ai_client_token_usage",
    Kind.HISTOGRAM,
    "Tokens per call that the upstreams report: gen_ai_token_type is input, output, cached_input "
    "(included in input) or reasoning (included in output).",
    (*_GEN_AI, "gen_ai_token_type"),
    _TOKENS,
    "tokens",
    "gen_ai.client.token.usage",
)
INPUT_TOKENS = Metric(
    "gen_ai_client_inference_usage_input_tokens_total",
    Kind.COUNTER,
    "Input tokens that the upstreams report.",
    _GEN_AI,
    unit="tokens",
    convention="gen_ai.client.inference.usage.input_tokens",
)
OUTPUT_TOKENS = Metric(
    "gen_ai_client_inference_usage_output_tokens_total",
    Kind.COUNTER,
    "Output tokens that the upstreams report.",
    _GEN_AI,
    unit="tokens",
    convention="gen_ai.client.inference.usage.output_tokens",
)
CACHED_INPUT_TOKENS = Metric(
    "gen_ai_client_inference_usage_cache_read_input_tokens_total",
    Kind.COUNTER,
    "Input tokens that the upstreams found in their prefix caches.",
    _GEN_AI,
    unit="tokens",
    convention="gen_ai.client.inference.usage.cache_read.input_tokens",
)
REASONING_TOKENS = Metric(
    "gen_ai_client_inference_usage_reasoning_output_tokens_total",
    Kind.COUNTER,
    "Output tokens that were reasoning.",
    _GEN_AI,
    unit="tokens",
    convention="gen_ai.client.inference.usage.reasoning.output_tokens",
)
OPERATION_INPUT_TOKENS = Metric(
    "gen_ai_client_inference_operation_input_tokens",
    Kind.HISTOGRAM,
    "Input tokens per call that the upstreams report.",
    _GEN_AI,
    _TOKENS,
    "tokens",
    "gen_ai.client.inference.operation.input_tokens",
)
OPERATION_OUTPUT_TOKENS = Metric(
    "gen_ai_client_inference_operation_output_tokens",
    Kind.HISTOGRAM,
    "Output tokens per call that the upstreams report.",
    _GEN_AI,
    _TOKENS,
    "tokens",
    "gen_ai.client.inference.operation.output_tokens",
)

# Calls.

OVERHEAD_SECONDS = Metric(
    "penstock_overhead_seconds",
    Kind.HISTOGRAM,
    "Times that this service adds to calls: up to the answer, or to the first message of a "
    "stream, less the time that it waited for upstreams. Only calls that were answered.",
    _METHOD,
    _OVERHEAD_SECONDS,
    "seconds",
)
IN_FLIGHT = Metric("penstock_calls_in_flight", Kind.GAUGE, "Calls that are running.")
REFUSED = Metric(
    "penstock_calls_refused_total",
    Kind.COUNTER,
    "Calls that failed before anything was sent upstream, by reason as in the status details, such "
    "as OVERLOADED, RATE_LIMITED or DRAINING; limit is the option with the limit, if there is one.",
    ("reason", "limit"),
)
FAILED = Metric(
    "penstock_calls_failed_total",
    Kind.COUNTER,
    "Calls that failed after something was sent upstream, by reason and by the upstream of the "
    "last request; without those that were cancelled or missed their deadline.",
    ("upstream", "reason"),
)
CANCELLED = Metric(
    "penstock_calls_cancelled_total",
    Kind.COUNTER,
    "Calls that their callers cancelled, by stage: request (nothing sent upstream), headers, "
    "body (waiting for the rest of an answer) or stream.",
    ("stage",),
)
DEADLINE_MISSED = Metric(
    "penstock_deadlines_missed_total",
    Kind.COUNTER,
    "Calls whose deadline passed, by stage as for cancelled calls.",
    ("stage",),
)
ITEMS = Metric(
    "penstock_items_total",
    Kind.COUNTER,
    "Items of calls that are streams of items, such as batches, by the call's method and the "
    "item's status code.",
    (*_METHOD, "grpc_code"),
)
RECEIVED_BYTES = Metric(
    "penstock_received_bytes_total",
    Kind.COUNTER,
    "Sizes of the request messages received.",
    _METHOD,
    unit="bytes",
)
SENT_BYTES = Metric(
    "penstock_sent_bytes_total",
    Kind.COUNTER,
    "Sizes of the response messages sent.",
    _METHOD,
    unit="bytes",
)
CALLER_CALLS = Metric(
    "penstock_caller_calls_total",
    Kind.COUNTER,
    "Calls by the name of the caller.",
    ("caller", "grpc_code"),
    optional="metrics_by_caller",
)
CALLER_TOKENS = Metric(
    "penstock_caller_tokens_total",
    Kind.COUNTER,
    "Tokens by the name of the caller; gen_ai_token_type is input or output.",
    ("caller", "gen_ai_token_type"),
    unit="tokens",
    optional="metrics_by_caller",
)

# Operators.

ADMIN_CALLS = Metric(
    "penstock_admin_calls_total",
    Kind.COUNTER,
    "Calls of AdminService, by method and by status code as Go spells it.",
    ("grpc_method", "grpc_code"),
)

# Upstreams.

_REPLICA = ("upstream", "address")

UPSTREAM_REQUESTS = Metric(
    "penstock_upstream_requests_total",
    Kind.COUNTER,
    "Requests sent to upstreams for calls, also called attempts; probes do not count.",
    _REPLICA,
)
UPSTREAM_ERRORS = Metric(
    "penstock_upstream_errors_total",
    Kind.COUNTER,
    "Requests that failed through no fault of their callers.",
    _REPLICA,
)
UPSTREAM_RETRIES = Metric(
    "penstock_upstream_retries_total",
    Kind.COUNTER,
    "Requests that were sent because an earlier one to this upstream had failed.",
    ("upstream",),
)
UPSTREAM_HEDGES = Metric(
    "penstock_upstream_hedges_total",
    Kind.COUNTER,
    "Requests that were sent because an earlier one to this upstream was late.",
    ("upstream",),
)
UPSTREAM_EJECTIONS = Metric(
    "penstock_upstream_ejections_total",
    Kind.COUNTER,
    "Ejections of upstreams whose requests kept failing, or that were shutting down.",
    _REPLICA,
)
UPSTREAM_ADAPTERS_RESTORED = Metric(
    "penstock_upstream_adapters_restored_total",
    Kind.COUNTER,
    "LoRA adapters that were loaded again on upstreams that had come back without them.",
    _REPLICA,
)
UPSTREAM_ADAPTERS_FAILED = Metric(
    "penstock_upstream_adapters_failed_total",
    Kind.COUNTER,
    "Attempts to load a LoRA adapter again that failed.",
    _REPLICA,
)
UPSTREAM_STATE = Metric(
    "penstock_upstream_state",
    Kind.GAUGE,
    "1 for the state that an upstream is in, 0 for the others: probing, ready, slow_start, down, "
    "sleeping, ejected or draining. With several workers, the number of workers that see it in the "
    "state.",
    (*_REPLICA, "state"),
)
UPSTREAM_OUTSTANDING = Metric(
    "penstock_upstream_outstanding",
    Kind.GAUGE,
    "Requests to upstreams that are running.",
    _REPLICA,
)
UPSTREAM_CONNECTIONS = Metric(
    "penstock_upstream_connections",
    Kind.GAUGE,
    "Connections to upstreams in use, including those of probes.",
    _REPLICA,
)
UPSTREAM_LATENCY = Metric(
    "penstock_upstream_latency_seconds",
    Kind.GAUGE,
    "Time until the headers of an upstream's answer, a moving average; absent before the first.",
    _REPLICA,
    unit="seconds",
    combine=Combine.MOST,
)
UPSTREAM_INFO = Metric(
    "penstock_upstream_info",
    Kind.GAUGE,
    "Always 1; version is the version that the upstream reports.",
    (*_REPLICA, "version"),
    combine=Combine.MOST,
)

# The service.

CONFIGURATION_GENERATION = Metric(
    "penstock_configuration_generation",
    Kind.GAUGE,
    "Number of the configuration in force; 1 at the start, one more after each reload that "
    "changes something. With several workers, the lowest.",
    combine=Combine.LEAST,
)
RELOADS_REFUSED = Metric(
    "penstock_configuration_reloads_refused_total",
    Kind.COUNTER,
    "Reloads that were refused because the configuration cannot be used.",
)
LOG_LINES_DROPPED = Metric(
    "penstock_log_lines_dropped_total",
    Kind.COUNTER,
    "Log lines that were dropped because the reader of the log was too slow.",
)
WORKERS = Metric(
    "penstock_workers",
    Kind.GAUGE,
    "Worker processes that answered this scrape; absent without --workers.",
)
CERTIFICATE_EXPIRY = Metric(
    "penstock_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    "When the certificate that callers see expires, in Unix time; absent without TLS.",
    unit="seconds",
    combine=Combine.LEAST,
)
CERTIFICATE_REFUSED = Metric(
    "penstock_certificate_refused",
    Kind.GAUGE,
    "1 while the files of the certificate cannot be used, so that an older one is in use, else 0; "
    "absent without TLS.",
    combine=Combine.MOST,
)
BUILD_INFO = Metric(
    "penstock_build_info",
    Kind.GAUGE,
    "Always 1; the labels are the versions of the service and of Python.",
    ("version", "python_version"),
    combine=Combine.MOST,
)

# The process, from prometheus-client; without their types, which it decides.

START_TIME = "process_start_time_seconds"
PROCESS: Mapping[str, Combine] = {
    "process_virtual_memory_bytes": Combine.SUM,
    "process_resident_memory_bytes": Combine.SUM,
    START_TIME: Combine.LEAST,
    "process_cpu_seconds_total": Combine.SUM,
    "process_open_fds": Combine.SUM,
    "process_max_fds": Combine.LEAST,
}
"""The metrics of a process that prometheus-client exports, and how those of workers combine."""

GRPC: Sequence[Metric] = (
    STARTED,
    HANDLED,
    HANDLING_SECONDS,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
)
GEN_AI_TIMES: Sequence[Metric] = (REQUEST_SECONDS, FIRST_TOKEN_SECONDS, NEXT_TOKEN_SECONDS)
GEN_AI_DEPLOYED: Sequence[Metric] = (*GEN_AI_TIMES, TOKEN_USAGE)
GEN_AI_NEW: Sequence[Metric] = (
    *GEN_AI_TIMES,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    CACHED_INPUT_TOKENS,
    REASONING_TOKENS,
    OPERATION_INPUT_TOKENS,
    OPERATION_OUTPUT_TOKENS,
)
CALLS: Sequence[Metric] = (
    OVERHEAD_SECONDS,
    IN_FLIGHT,
    REFUSED,
    FAILED,
    CANCELLED,
    DEADLINE_MISSED,
    ITEMS,
    RECEIVED_BYTES,
    SENT_BYTES,
    CALLER_CALLS,
    CALLER_TOKENS,
)
UPSTREAMS: Sequence[Metric] = (
    UPSTREAM_REQUESTS,
    UPSTREAM_ERRORS,
    UPSTREAM_RETRIES,
    UPSTREAM_HEDGES,
    UPSTREAM_EJECTIONS,
    UPSTREAM_ADAPTERS_RESTORED,
    UPSTREAM_ADAPTERS_FAILED,
    UPSTREAM_STATE,
    UPSTREAM_OUTSTANDING,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_LATENCY,
    UPSTREAM_INFO,
)
SERVICE: Sequence[Metric] = (
    ADMIN_CALLS,
    CONFIGURATION_GENERATION,
    RELOADS_REFUSED,
    LOG_LINES_DROPPED,
    WORKERS,
    CERTIFICATE_EXPIRY,
    CERTIFICATE_REFUSED,
    BUILD_INFO,
)

METRICS: Mapping[str, Sequence[Metric]] = {
    "gRPC": GRPC,
    "Generative AI": GEN_AI_DEPLOYED,
    "Calls": CALLS,
    "Upstreams": UPSTREAMS,
    "Service": SERVICE,
}
"""Every metric of the default conventions, by subject."""

BY_NAME: Mapping[str, Metric] = {
    metric.name: metric
    for group in (GRPC, GEN_AI_DEPLOYED, GEN_AI_NEW, CALLS, UPSTREAMS, SERVICE)
    for metric in group
}
"""Every metric of all conventions."""

OPERATIONS: Mapping[str, str] = {
    "ChatCompletionService/CreateChatCompletion": "chat",
    "ChatCompletionService/StreamChatCompletion": "chat",
    "CompletionService/CreateCompletion": "text_completion",
    "CompletionService/StreamCompletion": "text_completion",
    "ResponseService/CreateResponse": "responses",
    "ResponseService/StreamResponse": "responses",
    "EmbeddingService/CreateEmbeddings": "embeddings",
    "PoolingService/Pool": "pooling",
    "ClassificationService/Classify": "classify",
    "RerankService/Rerank": "rerank",
    "RerankService/Score": "score",
    "TranscriptionService/Transcribe": "transcription",
    "TranscriptionService/StreamTranscribe": "transcription",
    "TranscriptionService/UploadTranscribe": "transcription",
    "TranscriptionService/UploadStreamTranscribe": "transcription",
}
"""`gen_ai.operation.name` of the RPCs that have one.

The conventions name chats, text completions and embeddings; the others are named as by other
gateways, or after vLLM's route.
"""
