"""The rules: promtool accepts them, they have values under load, and each alert fires when due."""

import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment.test_rules import ALERTS, RECORDED

from observability.alert_cases import CASES, Case
from observability.conftest import eventually
from observability.stack import SHIPPED, Prometheus, Stack

RULE_FILES = [str(file) for file in sorted((SHIPPED / "rules").glob("*.yaml"))]


def _passes(*command: str, given: bytes = b"") -> None:
    result = subprocess.run(command, input=given, capture_output=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr).decode()


def test_rules_are_valid(promtool: str) -> None:
    _passes(promtool, "check", "rules", *RULE_FILES)


def test_configuration_is_valid(promtool: str) -> None:
    _passes(promtool, "check", "config", str(SHIPPED / "prometheus.yml"))


def test_metrics_keep_the_conventions(promtool: str, stack: Stack) -> None:
    with urllib.request.urlopen(stack.metrics_url) as answer:
        _passes(promtool, "check", "metrics", given=answer.read())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name: str, prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.values(name))


@pytest.mark.parametrize("name", ALERTS)
def test_alert_compares_a_value(name: str, prometheus: Prometheus) -> None:
    compared, _, _ = ALERTS[name]["expr"].rpartition("\n")
    eventually(lambda: prometheus.values(compared))


def test_prometheus_evaluates_all(prometheus: Prometheus) -> None:
    def evaluated() -> bool:
        groups = prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) == len(RECORDED) + len(ALERTS)
        assert not [rule for rule in rules if rule["health"] == "err"]
        return all(rule["health"] == "ok" for rule in rules)

    eventually(evaluated)


def test_every_alert_has_a_case() -> None:
    assert list(CASES) == list(ALERTS)


@pytest.mark.parametrize("name", CASES)
def test_alert(name: str, promtool: str, tmp_path: Path) -> None:
    case = CASES[name]
    alert = ALERTS[name]
    expected = {
        "exp_labels": alert["labels"] | case.labels,
        "exp_annotations": {
            "summary": case.summary,
            "description": case.description,
            "runbook_url": alert["annotations"]["runbook_url"],
        },
    }
    tests = [
        _test(name, case.firing, case.minutes, [expected]),
        _test(name, case.quiet, case.minutes, []),
        # Not before its time.
        *([_test(name, case.firing, case.too_early, [])] if case.too_early else []),
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": RULE_FILES, "evaluation_interval": "1m", "tests": tests})
    )
    _passes(promtool, "test", "rules", str(file))


def _test(
    name: str, series: dict[str, str], minutes: int, expected: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": value} for key, value in series.items()],
        "alert_rule_test": [
            {"alertname": name, "eval_time": f"{minutes}m", "exp_alerts": expected}
        ],
    }


def test_a_case_that_does_not_fire_fails(promtool: str, tmp_path: Path) -> None:
    case = CASES["PenstockDown"]
    assert isinstance(case, Case)
    tests = [_test("PenstockDown", case.firing, case.minutes, [])]
    file = tmp_path / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": RULE_FILES, "evaluation_interval": "1m", "tests": tests})
    )
    with pytest.raises(AssertionError, match="PenstockDown"):
        _passes(promtool, "test", "rules", str(file))
