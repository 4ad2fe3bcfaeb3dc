"""Every query of the dashboards returns values from a service under load."""

import json
import re
from collections.abc import Mapping

import pytest
from deployment.linter import Dashboard, panels

from deploy.grafana.__main__ import FOLDER
from observability.conftest import eventually
from observability.stack import JOB, Prometheus, Stack

DASHBOARDS: Mapping[str, Dashboard] = {
    file.stem: json.loads(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.json"))
}
QUERIES = {
    f"{name}-{panel['title']}-{target['legendFormat']}": target["expr"]
    for name, dashboard in DASHBOARDS.items()
    for panel in panels(dashboard)
    for target in panel["targets"]
}
VARIABLES = {
    f"{name}-{variable['name']}": variable["query"]
    for name, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
}
_SELECTED = {"job": JOB, "__rate_interval": "1m"}


def filled(query: str) -> str:
    """Returns a query with values of the variables."""
    return re.sub(r"\$([a-z_]+)", lambda found: _SELECTED.get(found[1], ".+"), query)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_panel(query: str, prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.values(filled(query)))


@pytest.mark.parametrize("query", VARIABLES.values(), ids=VARIABLES)
def test_variable(query: str, prometheus: Prometheus) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert found
    selected = {"match[]": filled(found[1])}
    eventually(lambda: prometheus.get(f"label/{found[2]}/values", **selected))


# What the load causes, as a query and the least value of it.
EVENTS = {
    "retries": "sum(penstock_upstream_retries_total)",
    "hedges": "sum(penstock_upstream_hedges_total)",
    "ejections": "sum(penstock_upstream_ejections_total)",
    "errors": "sum(penstock_upstream_errors_total)",
    "replicas down": 'sum(penstock_upstream_state{state="down"})',
    "overloads": 'sum(penstock_calls_refused_total{reason="OVERLOADED"})',
    "quotas": 'sum(penstock_calls_refused_total{reason="RATE_LIMITED"})',
    "unknown keys": 'sum(penstock_calls_refused_total{reason="INVALID_CREDENTIALS"})',
    "failures": 'sum(penstock_calls_failed_total{reason="UPSTREAM_INTERNAL"})',
    "left at headers": 'sum(penstock_calls_cancelled_total{stage="headers"})',
    "left in streams": 'sum(penstock_calls_cancelled_total{stage="stream"})',
    "late at headers": 'sum(penstock_deadlines_missed_total{stage="headers"})',
    "reasoning": 'sum(gen_ai_client_token_usage_sum{gen_ai_token_type="reasoning"})',
    "cached": 'sum(gen_ai_client_token_usage_sum{gen_ai_token_type="cached_input"})',
}


@pytest.mark.parametrize("query", EVENTS.values(), ids=EVENTS)
def test_event_is_counted(query: str, prometheus: Prometheus) -> None:
    eventually(lambda: max(prometheus.values(query), default=0) > 0)


def test_every_operation_is_recorded(stack: Stack) -> None:
    query = "count(sum by (gen_ai_operation_name) (gen_ai_server_request_duration_seconds_count))"
    eventually(lambda: max(stack.prometheus.values(query), default=0) >= 9)
