"""The page about meshes names services, values and times that exist."""

import re
from pathlib import Path
from typing import Any

import yaml
from docs.markdown import blocks

from deploy.helm.values import VALUES
from penstock_server.rpc.services import SERVICES

PAGE = (Path(__file__).parents[2] / "docs" / "service-mesh.md").read_text("utf-8")
VALUE_PATHS = {value.path for value in VALUES}


def documents() -> list[Any]:
    """Returns all documents of the page in YAML."""
    return [one for block in blocks(PAGE, "yaml") for one in yaml.safe_load_all(block)]


def manifests() -> list[Any]:
    """Returns the manifests of the page."""
    return [one for one in documents() if "kind" in one]


def test_paths_are_those_of_services() -> None:
    named = set(re.findall(r"/([\w.]+\.[A-Z]\w+)/", PAGE))
    assert len(named) > 3
    assert named <= {*SERVICES, "grpc.health.v1.Health"}


def test_values_are_those_of_the_chart() -> None:
    [values] = (one for one in documents() if "kind" not in one)
    for key, below in values.items():
        assert key in VALUE_PATHS or {f"{key}.{name}" for name in below} <= VALUE_PATHS


def test_times_are_those_of_the_chart() -> None:
    options = next(value.default for value in VALUES if value.path == "options")
    drain = options["drain_delay"] + options["drain_timeout"]
    assert f"`drain_timeout`, {drain} s in the chart" in PAGE
    assert f"`max_connection_age`, {options['max_connection_age']} s in the chart" in PAGE
    given = re.findall(r"(?:terminationDrainDuration\": \"|shutdown-grace-period: )(\d+)s", PAGE)
    assert len(given) == 2
    assert all(int(seconds) >= drain + 20 for seconds in given)


def test_policies_select_the_pods_of_the_chart() -> None:
    specs = [manifest["spec"] for manifest in manifests()]
    selected = [spec["selector"]["matchLabels"] for spec in specs if "selector" in spec]
    assert selected
    assert all(one == {"app.kubernetes.io/name": "penstock"} for one in selected)
