"""Writes the dashboards as JSON.

python -m deploy.grafana
"""

import json
from pathlib import Path

from deploy.grafana.callers import CALLERS
from deploy.grafana.operators import OPERATORS
from deploy.grafana.panels import Dashboard, dashboard_json

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (CALLERS, OPERATORS)


def path(dashboard: Dashboard) -> Path:
    """Returns the file of a dashboard."""
    return FOLDER / f"{dashboard.uid}.json"


def text(dashboard: Dashboard) -> str:
    """Returns the contents of the file of a dashboard."""
    return json.dumps(dashboard_json(dashboard), indent=2) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        path(each).write_text(text(each))
