"""Pictures of the dashboards: every panel, its values and legends; missing values are shown."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import pytest

from deploy.grafana.__main__ import DASHBOARDS, text
from deploy.grafana.picture import Series, number, svg
from deployment.linter import panels

SVG = "{http://www.w3.org/2000/svg}"
LABELS = {"grpc_method": "<Create>", "version": "0.33.0"}


def words(picture: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(picture).iter(f"{SVG}text")]


def answered(_: str) -> Sequence[Series]:
    return [Series(LABELS, [(0.0, 1.0), (5.0, 2.0)])]


@pytest.mark.parametrize("index", range(len(DASHBOARDS)))
def test_every_panel_is_drawn(index: int) -> None:
    dashboard = json.loads(text(DASHBOARDS[index]))
    picture = svg(dashboard, answered)
    found = words(picture)
    assert {panel["title"] for panel in dashboard["panels"]} <= set(found)
    curves = list(ET.fromstring(picture).iter(f"{SVG}polyline"))
    wanted = [panel for panel in panels(dashboard) if panel["type"] == "timeseries"]
    assert len(curves) == sum(len(panel["targets"]) for panel in wanted)


def test_legends_and_values() -> None:
    found = words(svg(json.loads(text(DASHBOARDS[0])), answered))
    assert "<Create>" in found
    assert "2 /s" in found
    assert "200 %" in found


def test_tables() -> None:
    assert "<Create>   0.33.0   2" in words(svg(json.loads(text(DASHBOARDS[1])), answered))


def test_tables_show_the_end() -> None:
    def gone_meanwhile(_: str) -> Sequence[Series]:
        return [Series({"state": "ejected"}, [(0.0, 1.0)]), *answered("")]

    found = words(svg(json.loads(text(DASHBOARDS[1])), gone_meanwhile))
    assert "<Create>   0.33.0   2" in found
    assert "ejected   1" not in found


def test_without_values() -> None:
    dashboard = json.loads(text(DASHBOARDS[0]))
    found = words(svg(dashboard, lambda _: []))
    stats: list[Any] = [panel for panel in panels(dashboard) if panel["type"] == "stat"]
    assert found.count("no data") == len(stats)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0, "s", "0 s"),
        (0.0375, "s", "37.5 ms"),
        (2.5, "s", "2.5 s"),
        (36500 * 86400.0, "s", "36,500 d"),
        (0.328, "percentunit", "32.8 %"),
        (24.3, "reqps", "24.3 /s"),
        (71000.0, "Bps", "71 kB/s"),
        (166e6, "bytes", "166 MB"),
        (12.0, "short", "12"),
        (1500.0, "short", "1.5 k"),
    ],
)
def test_numbers(value: float, unit: str, shown: str) -> None:
    assert number(value, unit) == shown
