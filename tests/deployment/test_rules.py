"""The rules of Prometheus: metrics and labels exist, and each alert has its section in the docs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.faults import FAULTS
from deployment.promql import LABELS, groupings, selectors

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
GROUPS: list[Any] = [
    group
    for file in sorted((PROMETHEUS / "rules").glob("*.yaml"))
    for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
]
RECORDED = {
    rule["record"]: rule["expr"] for group in GROUPS for rule in group["rules"] if "record" in rule
}
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
EXPRESSIONS = RECORDED | {name: alert["expr"] for name, alert in ALERTS.items()}

every_alert = pytest.mark.parametrize("name", ALERTS)


def _labels(series: str) -> set[str]:
    """Returns the labels of a series that Penstock exports or a rule records."""
    if series in RECORDED:
        return groupings(RECORDED[series]) - {"le"}
    return {*LABELS[series], "job", "instance"}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_metrics_and_labels_exist(name: str) -> None:
    found = list(selectors(EXPRESSIONS[name]))
    assert found
    for selector in found:
        assert set(selector.matchers) <= _labels(selector.name)
    grouped = groupings(EXPRESSIONS[name]) - {"le"}
    assert grouped <= {label for selector in found for label in _labels(selector.name)}


@pytest.mark.parametrize("name", RECORDED)
def test_names_of_recorded_series(name: str) -> None:
    level, metric, operation = name.split(":")
    labels = groupings(RECORDED[name]) - {"le"}
    short = {label.removeprefix("grpc_").removeprefix("gen_ai_request_") for label in labels}
    assert set(level.split("_")) == short - {"service"}
    assert any(metric in selector.name for selector in selectors(RECORDED[name]))
    assert operation


@every_alert
def test_the_threshold_is_on_its_own_line(name: str) -> None:
    assert re.fullmatch(r"(==|>|<) [\d.]+", ALERTS[name]["expr"].splitlines()[-1])


@every_alert
def test_annotations(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    for text in (alert["annotations"]["summary"], alert["annotations"]["description"]):
        assert text.endswith(".")
        # A label that an expression drops would be empty.
        named = set(re.findall(r"\$labels\.(\w+)", text))
        left = {label for selector in selectors(alert["expr"]) for label in _labels(selector.name)}
        assert named <= (groupings(alert["expr"]) or left)


@every_alert
def test_section_of_the_docs(name: str) -> None:
    page, _, section = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert section == name.lower()
    content = (ROOT / page).read_text("utf-8")
    [text] = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", content, re.MULTILINE | re.DOTALL)
    assert len(text.split()) > 20


def test_sections_are_those_of_alerts() -> None:
    content = (ROOT / "docs/runbook.md").read_text("utf-8")
    assert re.findall(r"^## (Penstock\w+)$", content, re.MULTILINE) == list(ALERTS)


def test_dashboards_and_rules_agree_on_errors() -> None:
    [[by_code]] = [
        [
            f'grpc_code{selector.matchers["grpc_code"][0]}"{selector.matchers["grpc_code"][1]}"'
            for selector in selectors(expr)
            if selector.matchers
        ]
        for name, expr in RECORDED.items()
        if name.endswith("fault_ratio_rate5m")
    ]
    assert by_code == FAULTS


def test_scrape_configuration() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    assert [each["job_name"] for each in config["scrape_configs"]] == ["penstock", "vllm"]
    [pattern] = config["rule_files"]
    assert sorted(PROMETHEUS.glob(pattern)) == sorted((PROMETHEUS / "rules").iterdir())
