"""Panels and variables in the JSON of Grafana's classic dashboards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_ROW_HEIGHT = 1


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: its title.
        description: what it shows and what to conclude from it.
        unit: the unit of its values, as Grafana abbreviates it.
        queries: its queries by the legends of their series, such as "{{grpc_code}}".
        type: Grafana's type of panel.
        width: its width in Grafana's 24 columns.
        height: its height in Grafana's rows.
        thresholds: values from which it is yellow and red.
        stacked: whether series are stacked.
        most: the largest value of its axis; None for the largest that is shown.
    """

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    type: str = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: Sequence[float] = ()
    stacked: bool = False
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that selects values of a label.

    Attributes:
        name: its name in queries.
        label: its name above the dashboard.
        query: the query for its values.
    """

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard.

    Attributes:
        uid: its identifier, and the name of its file.
        title: its title.
        description: who it is for.
        variables: its variables.
        rows: its panels.
    """

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row] = field(default=())


def dashboard_json(dashboard: Dashboard) -> Json:
    """Returns a dashboard in Grafana's classic schema."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["penstock"],
        "editable": False,
        "graphTooltip": 1,
        "links": [
            {
                "type": "dashboards",
                "tags": ["penstock"],
                "title": "Penstock",
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "refresh": "30s",
        "schemaVersion": 38,
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "panels": [panel | {"id": n} for n, panel in enumerate(_layout(dashboard.rows), 1)],
    }


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "refresh": 1,
    }


def _variable(variable: Variable) -> Json:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": variable.query,
        "definition": variable.query,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
    }


def _layout(rows: Sequence[Row]) -> Iterator[Json]:
    """Yields headings and panels in their places, from left to right and from top to bottom."""
    top = 0
    for row in rows:
        yield {
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": _ROW_HEIGHT},
        }
        top += _ROW_HEIGHT
        left = height = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield _panel(panel) | {"gridPos": place}
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _panel(panel: Panel) -> Json:
    now = panel.type in ("stat", "table")
    return {
        "type": panel.type,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.type],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": _DATASOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": now,
                "range": not now,
                "format": "table" if panel.type == "table" else "time_series",
            }
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _defaults(panel: Panel) -> Json:
    # Without thresholds, Grafana shows values above 80 in red.
    steps = zip(("green", "yellow", "red"), (None, *panel.thresholds), strict=False)
    defaults: Json = {
        "unit": panel.unit,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": color, "value": value} for color, value in steps],
        },
    }
    if panel.type == "timeseries":
        defaults |= {"min": 0, "custom": _drawn(panel)}
    if panel.most is not None:
        defaults["max"] = panel.most
    return defaults


def _drawn(panel: Panel) -> Json:
    return {
        "drawStyle": "line",
        "fillOpacity": 30 if panel.stacked else 5,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
    }


_OPTIONS: Mapping[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "table": {"showHeader": True},
}
