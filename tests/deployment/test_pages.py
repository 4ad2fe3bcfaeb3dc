"""The pages about dashboards and alerts name panels, metrics, events and alerts that exist."""

import json
import re
from pathlib import Path

from deploy.grafana.__main__ import FOLDER
from deployment.linter import panels
from deployment.promql import LABELS
from deployment.test_rules import ALERTS
from penstock_server.telemetry.events import EVENTS
from penstock_server.telemetry.metrics import names

DOCS = Path(__file__).parents[2] / "docs"
TITLES = {
    panel["title"]
    for file in FOLDER.glob("*.json")
    for panel in panels(json.loads(file.read_text("utf-8")))
}
OBSERVABILITY = (DOCS / "observability.md").read_text("utf-8")
_, _, _TABLE = OBSERVABILITY.partition("\n### Where to look\n")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in _TABLE.partition("\n#")[0].splitlines()
    if line.startswith("|")
][2:]


def test_panels_in_the_pages() -> None:
    assert len(ROWS) > 20
    for symptom, shown, metrics, events, _ in ROWS:
        assert symptom
        # A title may contain a comma.
        assert re.sub("|".join(sorted(TITLES, key=len, reverse=True)), "", shown).strip(", ") == ""
        named = re.sub(r"\(.*?\)", "", metrics)
        assert set(re.findall(r"`([\w:]+)`", named)) <= {*LABELS, *names.BY_NAME}
        outside = re.sub(r"\(.*?\)", "", events)
        assert set(re.findall(r"`([^`]+)`", outside)) <= set(EVENTS)
        for field in re.findall(r"\(`(\w+)`\)", events):
            assert field in EVENTS["rpc"].fields


def test_every_alert_has_a_symptom() -> None:
    cells = "".join(alerts for *_, alerts in ROWS)
    found = re.findall(r"\[(\w+)\]\(runbook\.md#(\w+)\)", cells)
    assert all(section == alert.lower() for alert, section in found)
    assert {alert for alert, _ in found} == set(ALERTS)


def test_panels_of_the_runbook() -> None:
    text = " ".join((DOCS / "runbook.md").read_text("utf-8").split())
    quoted = re.findall(r'"([^"]+)"', text)
    assert quoted
    assert set(quoted) <= TITLES


def test_events_of_the_runbook() -> None:
    text = " ".join((DOCS / "runbook.md").read_text("utf-8").split())
    named = re.findall(r"`((?!penstock )[a-z]+(?: [a-z]+)+)`", text)
    assert named
    assert set(named) <= set(EVENTS)
