"""The dashboards: they are generated, they keep the linter's rules, and they show every metric."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import DASHBOARDS, FOLDER, path, text
from deploy.grafana.vllm import VLLM
from deployment import linter
from deployment.linter import Dashboard, Rule, panels, queries
from deployment.promql import selectors, series_of
from penstock_server.telemetry.metrics import names

FILES = sorted(FOLDER.glob("*.json"))
PROVISIONING = FOLDER.parent / "provisioning"

every_file = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
every_rule = pytest.mark.parametrize("rule", linter.RULES, ids=lambda rule: rule.__name__)


def test_files_equal_the_generated_ones() -> None:
    assert sorted(path(each) for each in DASHBOARDS) == FILES
    for each in DASHBOARDS:
        assert path(each).read_text("utf-8") == text(each), "run: make generate"


@every_rule
@every_file
def test_rule(file: Any, rule: Rule) -> None:
    assert list(rule(json.loads(file.read_text("utf-8")))) == []


@every_file
def test_values_without_thresholds_are_green(file: Any) -> None:
    for panel in panels(json.loads(file.read_text("utf-8"))):
        first, *others = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first == {"color": "green", "value": None}
        assert len(others) in (0, 2)
        assert [step["value"] for step in others] == sorted(step["value"] for step in others)


def test_every_metric_is_shown() -> None:
    shown = {
        selector.name
        for file in FILES
        for query in queries(json.loads(file.read_text("utf-8")))
        for selector in selectors(query)
    }
    unseen = {name for name, metric in names.BY_NAME.items() if not shown & {*series_of(metric)}}
    assert unseen == set()


def test_exclusions_are_the_panels_of_vllm() -> None:
    excluded = yaml.safe_load((FOLDER / ".lint").read_text("utf-8"))["exclusions"]
    titles = [panel.title for panel in VLLM.panels]
    assert {linter.PUBLISHED[rule] for rule in excluded} == {
        linter.target_job,
        linter.target_instance,
    }
    for exclusion in excluded.values():
        assert [entry["panel"] for entry in exclusion["entries"]] == titles


def test_provisioning() -> None:
    [datasource] = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    [provider] = yaml.safe_load((PROVISIONING / "dashboards/penstock.yaml").read_text())[
        "providers"
    ]
    assert (datasource["type"], provider["type"]) == ("prometheus", "file")
    assert not provider["allowUiUpdates"]


Change = Callable[[Dashboard], None]


def _variable(which: str, **changed: Any) -> Change:
    def change(dashboard: Dashboard) -> None:
        [found] = [each for each in dashboard["templating"]["list"] if each["name"] == which]
        found |= changed

    return change


def _panel(**changed: Any) -> Change:
    return lambda dashboard: panels(dashboard)[0].update(changed)


def _unit(unit: str) -> Change:
    return lambda dashboard: panels(dashboard)[0]["fieldConfig"]["defaults"].update(unit=unit)


def _target(**changed: Any) -> Change:
    return lambda dashboard: panels(dashboard)[0]["targets"][0].update(changed)


def _query(old: str, new: str) -> Change:
    def change(dashboard: Dashboard) -> None:
        [target, *_] = panels(dashboard)[0]["targets"]
        assert old in target["expr"]
        target["expr"] = target["expr"].replace(old, new)

    return change


BROKEN: dict[str, tuple[Rule, Change]] = {
    "no variable for data sources": (
        linter.template_datasource,
        lambda dashboard: dashboard["templating"]["list"].pop(0),
    ),
    "another name of it": (linter.template_datasource, _variable("datasource", name="prom")),
    "one job only": (linter.template_job, _variable("job", multi=False)),
    "no variable for jobs": (linter.template_job, _variable("job", name="cluster")),
    "instances that may be empty": (linter.template_instance, _variable("instance", allValue="")),
    "a variable of an unknown label": (
        linter.template_label_promql,
        _variable("job", query="label_values(penstock_build_info, color)"),
    ),
    "a variable of an unknown metric": (
        linter.template_label_promql,
        _variable("job", query="label_values(penstock_info, job)"),
    ),
    "a variable that is read once": (
        linter.template_on_time_change_reload,
        _variable("job", refresh=1),
    ),
    "a panel of a data source": (linter.panel_datasource, _panel(datasource="Prometheus")),
    "a target of a data source": (linter.panel_datasource, _target(datasource="Prometheus")),
    "no title": (linter.panel_title_description, _panel(title="")),
    "a title twice": (linter.panel_title_description, _panel(title="Faults")),
    "no description": (linter.panel_title_description, _panel(description="")),
    "no unit": (linter.panel_units, _unit("")),
    "an unknown unit": (linter.panel_units, _unit("calls")),
    "no query": (linter.panel_no_targets, _panel(targets=[])),
    "an empty query": (linter.target_promql, _target(expr="")),
    "a bracket that is not closed": (linter.target_promql, _query("]))", "])")),
    "brackets that overlap": (linter.target_promql, _query("}[", "[}")),
    "a variable that does not exist": (linter.target_promql, _query("$instance", "$pod")),
    "editable": (linter.uneditable, lambda dashboard: dashboard.update(editable=True)),
    "any job": (linter.target_job, _query('job=~"$job", ', "")),
    "one job": (linter.target_job, _query("$job", "penstock")),
    "a metric of vLLM in our job": (
        linter.target_job,
        _target(expr='vllm:num_requests_waiting{job=~"$job"}'),
    ),
    "any instance": (linter.target_instance, _query(', instance=~"$instance"', "")),
    "a range of its own": (linter.target_rate_interval, _query("$__rate_interval", "5m")),
    "a counter as it is": (linter.target_counter_agg, _query("[$__rate_interval]", "")),
    "a counter without rate": (linter.target_counter_agg, _query("rate(", "last_over_time(")),
    "an unknown metric": (linter.metrics_exist, _query("handled", "ended")),
    "an unknown label": (linter.metrics_exist, _query("instance=", "pod=")),
    "an unknown group": (linter.metrics_exist, _query("sum(", "sum by (pod) (")),
    "a legend of no label": (linter.legends_exist, _target(legendFormat="{{grpc_code}}")),
    "panels over each other": (linter.layout, _panel(gridPos={"x": 6, "y": 1, "w": 6, "h": 4})),
    "a panel beyond the edge": (linter.layout, _panel(gridPos={"x": 20, "y": 90, "w": 6, "h": 4})),
}


@pytest.mark.parametrize(("rule", "change"), BROKEN.values(), ids=BROKEN)
def test_broken(rule: Rule, change: Change) -> None:
    dashboard = copy.deepcopy(json.loads(text(DASHBOARDS[0])))
    change(dashboard)
    assert list(rule(dashboard)) != []


def test_every_rule_has_a_failing_case() -> None:
    assert {rule for rule, _ in BROKEN.values()} == set(linter.RULES)
