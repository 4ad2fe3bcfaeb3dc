"""The dashboard for callers: what they called, how it ended, how long it took, tokens."""

from deploy.grafana.faults import FAULTS
from deploy.grafana.panels import Dashboard, Panel, Row, Variable
from deploy.grafana.queries import either, quantile, rate, share
from deploy.grafana.variables import INSTANCE, JOB
from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.names import Metric

_MODEL = 'gen_ai_request_model=~"$model"'
_BY_MODEL = "gen_ai_request_model"
_MODEL_LEGEND = "{{gen_ai_request_model}}"


def _tokens(kind: str, new: Metric, by: str) -> str:
    """Returns the query for tokens per second, by the deployed name or the new one."""
    deployed = rate(f"{names.TOKEN_USAGE.name}_sum", by, _MODEL, f'gen_ai_token_type="{kind}"')
    return either(deployed, rate(new, by, _MODEL))


def _tokens_per_call(kind: str, new: Metric) -> str:
    deployed = quantile(0.95, names.TOKEN_USAGE, "", _MODEL, f'gen_ai_token_type="{kind}"')
    return either(deployed, quantile(0.95, new, "", _MODEL))


_OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "Calls",
            "Calls that ended, per second.",
            "reqps",
            {"calls": rate(names.HANDLED, "")},
            "stat",
            6,
            4,
        ),
        Panel(
            "Faults",
            "Share of calls that failed through no fault of their callers: Unknown, Internal, "
            "Unavailable (which includes calls refused as OVERLOADED) and DataLoss. Cancelled "
            "calls and missed deadlines have panels of their own.",
            "percentunit",
            {"faults": share(rate(names.HANDLED, "", FAULTS), rate(names.HANDLED, ""))},
            "stat",
            6,
            4,
            thresholds=(0.01, 0.05),
        ),
        Panel(
            "Time to first token, p95",
            "Time from the arrival of a streaming call to its first message, which 95 % of the "
            "calls do not exceed.",
            "s",
            {"p95": quantile(0.95, names.FIRST_TOKEN_SECONDS, "", _MODEL)},
            "stat",
            6,
            4,
        ),
        Panel(
            "Output tokens",
            "Tokens generated per second, for the selected models.",
            "short",
            {"tokens": _tokens("output", names.OUTPUT_TOKENS, "")},
            "stat",
            6,
            4,
        ),
    ),
)

_CALLS = Row(
    "Calls",
    (
        Panel(
            "Calls by method",
            "Calls that started, per second. Calls of methods that the API does not have are "
            "shown as other.",
            "reqps",
            {"{{grpc_method}}": f"{rate(names.STARTED, 'grpc_method')} > 0"},
        ),
        Panel(
            "Calls by code",
            "Calls that ended, per second, by status code.",
            "reqps",
            {"{{grpc_code}}": f"{rate(names.HANDLED, 'grpc_code')} > 0"},
            stacked=True,
        ),
        Panel(
            "Failures by method",
            "Calls that ended with another code than OK, per second.",
            "reqps",
            {
                "{{grpc_method}} {{grpc_code}}": rate(
                    names.HANDLED, "grpc_method, grpc_code", 'grpc_code!="OK"'
                )
                + " > 0"
            },
        ),
        Panel(
            "Faults by method",
            "Share of the calls of a method that failed through no fault of their callers.",
            "percentunit",
            {
                "{{grpc_method}}": share(
                    rate(names.HANDLED, "grpc_method", FAULTS),
                    f"({rate(names.HANDLED, 'grpc_method')} > 0)",
                )
            },
            most=1,
        ),
        Panel(
            "Cancelled by callers",
            "Calls that their callers cancelled, per second, by stage: before a request was sent "
            "upstream (request), while waiting for the answer (headers), for the rest of an "
            "answer (body) or during a stream (stream).",
            "reqps",
            {"{{stage}}": rate(names.CANCELLED, "stage")},
        ),
        Panel(
            "Deadlines missed",
            "Calls whose deadline passed, per second, by the same stages. Misses at request mean "
            "that calls wait to be admitted, at headers that upstreams queue, at body and stream "
            "that deadlines are too short for the answers.",
            "reqps",
            {"{{stage}}": rate(names.DEADLINE_MISSED, "stage")},
        ),
        Panel(
            "Items by code",
            "Items of batches and of other streams of items that ended, per second, by the status "
            "code of the item.",
            "reqps",
            {"{{grpc_method}} {{grpc_code}}": rate(names.ITEMS, "grpc_method, grpc_code")},
        ),
    ),
)

_LATENCY = Row(
    "Latency",
    (
        Panel(
            "Duration of unary calls",
            "Time from the arrival of a call to its status.",
            "s",
            {
                f"p{round(100 * q)}": quantile(q, names.HANDLING_SECONDS, "", 'grpc_type="unary"')
                for q in (0.5, 0.95, 0.99)
            },
        ),
        Panel(
            "Duration by method, p95",
            "Time from the arrival of a call to its status, which 95 % of the calls do not exceed. "
            "Streams last as long as their generation.",
            "s",
            {"{{grpc_method}}": quantile(0.95, names.HANDLING_SECONDS, "grpc_method") + " > 0"},
        ),
        Panel(
            "Duration by operation, p95",
            "Time from the arrival of a call to its end, for the selected models.",
            "s",
            {
                "{{gen_ai_operation_name}}": quantile(
                    0.95, names.REQUEST_SECONDS, "gen_ai_operation_name", _MODEL
                )
            },
        ),
        Panel(
            "Time to first token",
            "Time from the arrival of a streaming call to its first message. The buckets are those "
            "of vllm:time_to_first_token_seconds, so its quantiles can be subtracted.",
            "s",
            {
                f"p{round(100 * q)}": quantile(q, names.FIRST_TOKEN_SECONDS, "", _MODEL)
                for q in (0.5, 0.95, 0.99)
            },
        ),
        Panel(
            "Time to first token by model, p95",
            "Time to the first message, which 95 % of the calls do not exceed. If one model is "
            "slow, its upstreams queue; if all are, look at the dashboard for operators.",
            "s",
            {_MODEL_LEGEND: quantile(0.95, names.FIRST_TOKEN_SECONDS, _BY_MODEL, _MODEL)},
        ),
        Panel(
            "Time per output token by model, p95",
            "Mean time between two tokens of a streaming call, which 95 % of the calls do not "
            "exceed.",
            "s",
            {_MODEL_LEGEND: quantile(0.95, names.NEXT_TOKEN_SECONDS, _BY_MODEL, _MODEL)},
        ),
    ),
)

_TOKENS = Row(
    "Tokens",
    (
        Panel(
            "Input tokens by model",
            "Tokens of prompts per second, as the upstreams report them.",
            "short",
            {_MODEL_LEGEND: _tokens("input", names.INPUT_TOKENS, _BY_MODEL)},
            stacked=True,
        ),
        Panel(
            "Output tokens by model",
            "Tokens generated per second, as the upstreams report them.",
            "short",
            {_MODEL_LEGEND: _tokens("output", names.OUTPUT_TOKENS, _BY_MODEL)},
            stacked=True,
        ),
        Panel(
            "Reasoning tokens by model",
            "Generated tokens per second that were reasoning; they are part of the output tokens. "
            "Empty if no upstream reports them.",
            "short",
            {_MODEL_LEGEND: _tokens("reasoning", names.REASONING_TOKENS, _BY_MODEL)},
        ),
        Panel(
            "Input tokens from the cache",
            "Share of the input tokens that upstreams found in their prefix caches. If it falls "
            "with several replicas, consider affinity. Empty if no upstream reports it.",
            "percentunit",
            {
                _MODEL_LEGEND: share(
                    f"({_tokens('cached_input', names.CACHED_INPUT_TOKENS, _BY_MODEL)})",
                    f"({_tokens('input', names.INPUT_TOKENS, _BY_MODEL)})",
                )
            },
            most=1,
        ),
        Panel(
            "Tokens per call, p95",
            "Tokens that 95 % of the calls do not exceed.",
            "short",
            {
                "input": _tokens_per_call("input", names.OPERATION_INPUT_TOKENS),
                "output": _tokens_per_call("output", names.OPERATION_OUTPUT_TOKENS),
            },
        ),
        Panel(
            "Calls by operation",
            "Calls that generate or compute something, per second, for the selected models.",
            "reqps",
            {
                "{{gen_ai_operation_name}}": rate(
                    f"{names.REQUEST_SECONDS.name}_count", "gen_ai_operation_name", _MODEL
                )
            },
        ),
    ),
)

_KEYS = Row(
    "Callers' keys (only with metrics_by_caller)",
    (
        Panel(
            "Calls by key",
            "Calls that ended, per second, by the name of the caller.",
            "reqps",
            {"{{caller}}": rate(names.CALLER_CALLS, "caller")},
            width=12,
        ),
        Panel(
            "Tokens by key",
            "Input and output tokens per second, by the name of the caller.",
            "short",
            {
                "{{caller}} {{gen_ai_token_type}}": rate(
                    names.CALLER_TOKENS, "caller, gen_ai_token_type"
                )
            },
            width=12,
        ),
    ),
)

CALLERS = Dashboard(
    "penstock-callers",
    "Penstock / Callers",
    "Rates, codes, latencies and tokens of the calls, as callers see them.",
    (
        JOB,
        INSTANCE,
        Variable(
            "model",
            "Model",
            f'label_values({names.REQUEST_SECONDS.name}_count{{job=~"$job"}}, {_BY_MODEL})',
        ),
    ),
    (_OVERVIEW, _CALLS, _LATENCY, _TOKENS, _KEYS),
)
