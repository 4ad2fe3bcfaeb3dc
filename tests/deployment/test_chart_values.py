"""The values of the chart: they are generated, and know every option of the service."""

import json
import re
import tomllib
from pathlib import Path

import yaml

from deploy.helm.__main__ import CHART, files
from deploy.helm.option_schemas import OPTIONS, SET_BY_THE_CHART
from deploy.helm.values import VALUES
from penstock_server.configuration import Settings
from penstock_server.options import options

ROOT = Path(__file__).parents[2]
TEMPLATES = "".join(path.read_text("utf-8") for path in (CHART / "templates").rglob("*.*"))


def test_files_equal_the_generated_ones() -> None:
    for path, text in files().items():
        assert path.read_text("utf-8") == text, "run: make generate"


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_every_option_can_be_set_in_one_place() -> None:
    known = options(Settings).keys()
    assert known >= SET_BY_THE_CHART
    assert OPTIONS["properties"].keys() == known - SET_BY_THE_CHART
    written = set(re.findall(r"^(\w+) = ", TEMPLATES, re.MULTILINE))
    # Upstreams are tables, and their key is in a file.
    assert SET_BY_THE_CHART - written == {"upstream", "upstream_api_key"}
    assert written <= SET_BY_THE_CHART


def test_every_value_is_used() -> None:
    tables = {"options", "upstreams"}
    used = set(re.findall(r"\.Values\.([\w.]+)", TEMPLATES))
    paths = {value.path for value in VALUES}
    unused = {path for path in paths if not any(f"{path}.".startswith(f"{u}.") for u in used)}
    assert unused == set()
    unknown = {u for u in used if not any(f"{p}.".startswith(f"{u}.") for p in paths)}
    assert {u for u in unknown if u.partition(".")[0] not in tables} == set()


def test_the_schema_refuses_unknown_values() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert schema["additionalProperties"] is False
    assert schema["properties"]["options"]["additionalProperties"] is False
