"""vLLM's own metrics, as of 0.33: they have another job, and the model is `model_name`."""

from deploy.grafana.panels import Panel, Row, Variable
from deploy.grafana.queries import quantile
from penstock_server.telemetry.metrics import names

WAITING = "vllm:num_requests_waiting"
RUNNING = "vllm:num_requests_running"
CACHE = "vllm:kv_cache_usage_perc"
FIRST_TOKEN = "vllm:time_to_first_token_seconds_bucket"

JOB = Variable("vllm_job", "vLLM job", f"label_values({RUNNING}, job)")

_MODEL = "gen_ai_request_model"
_LEGEND = "{{instance}} {{model_name}}"


def _by_server(operation: str, gauge: str) -> str:
    return f"{operation} by (instance, model_name) ({_values(gauge)})"


def _values(name: str) -> str:
    return f'{name}{{job=~"$vllm_job"}}'


def _first_token_outside() -> str:
    """Returns the query for our quantile less vLLM's, by our name of the model."""
    rates = f"sum by (le, model_name) (rate({_values(FIRST_TOKEN)}[$__rate_interval]))"
    inside = f"histogram_quantile(0.95, {rates})"
    renamed = f'label_replace({inside}, "{_MODEL}", "$1", "model_name", "(.+)")'
    ours = quantile(0.95, names.FIRST_TOKEN_SECONDS, _MODEL)
    return f"{ours}\n- on ({_MODEL})\n{renamed}"


VLLM = Row(
    "vLLM (if Prometheus scrapes it)",
    (
        Panel(
            "Requests waiting in vLLM",
            "Requests that vLLM has queued. If they grow, add replicas.",
            "short",
            {_LEGEND: _by_server("sum", WAITING)},
            width=6,
        ),
        Panel(
            "Requests running in vLLM",
            "Requests in vLLM's batches. If other clients use the servers too, there are more than "
            "outstanding requests.",
            "short",
            {_LEGEND: _by_server("sum", RUNNING)},
            width=6,
        ),
        Panel(
            "KV cache in use",
            "Share of vLLM's cache. Near 1, vLLM preempts requests and computes them again.",
            "percentunit",
            {_LEGEND: _by_server("max", CACHE)},
            width=6,
            most=1,
        ),
        Panel(
            "Time to first token outside vLLM",
            "Our p95 of the time to the first token less vLLM's, by model: the network, vLLM's "
            "HTTP server and Penstock. Only for models with the same name in both.",
            "s",
            {"{{gen_ai_request_model}}": _first_token_outside()},
            width=6,
        ),
    ),
)
