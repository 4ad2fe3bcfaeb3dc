"""Draws the dashboards from what a Prometheus has scraped of a service under load.

make pictures
"""

import json
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from deploy.grafana.__main__ import FOLDER
from deploy.grafana.picture import Series, svg
from observability.conftest import eventually
from observability.load import Load
from observability.stack import JOB, ROOT, Prometheus, running
from observability.test_panels import filled

SCRAPES = 36
STEP_S = 5


def series(prometheus: Prometheus, end: float, query: str) -> Sequence[Series]:
    """Returns the result of a query over the time of the scrapes."""
    start = end - STEP_S * (SCRAPES - 6)
    result = prometheus.get(
        "query_range", query=filled(query), start=str(start), end=str(end), step=str(STEP_S)
    )["result"]
    found = (
        Series(
            each["metric"],
            [(float(t), float(v)) for t, v in each["values"] if not math.isnan(float(v))],
        )
        for each in result
    )
    return [each for each in found if each.points]


def main() -> None:
    """Writes a picture of each dashboard to the docs."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as stack,
        Load(stack),
    ):
        prometheus = stack.prometheus
        scrapes = f'count_over_time(up{{job="{JOB}"}}[1h])'
        eventually(lambda: max(prometheus.values(scrapes), default=0) > SCRAPES, 900)
        now = float(prometheus.get("query", query="time()")["result"][0])
        for file in sorted(FOLDER.glob("*.json")):
            dashboard = json.loads(file.read_text("utf-8"))
            picture = svg(dashboard, partial(series, prometheus, now))
            (ROOT / "docs" / f"{file.stem}.svg").write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
