"""The chart, rendered by Helm."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy.helm.__main__ import CHART
from deployment.manifests.programs import output, run

EXAMPLES = {path.stem: path for path in sorted(CHART.parent.glob("examples/*.yaml"))}
_RELEASE = ("--namespace", "models", "release", str(CHART))


def rendered(*arguments: str | Path) -> list[Any]:
    """Returns the manifests for values, given as options of Helm."""
    return [one for one in yaml.safe_load_all(output("bin/helm", *_command(*arguments))) if one]


def refused(*arguments: str) -> str:
    """Returns the error that Helm reports for values."""
    ended: subprocess.CompletedProcess[str] = run("bin/helm", *_command(*arguments))
    assert ended.returncode != 0
    return ended.stderr


def _command(*arguments: str | Path) -> tuple[str | Path, ...]:
    return ("template", *_RELEASE, *arguments)


def only(manifests: list[Any], kind: str, suffix: str = "") -> Any:
    """Returns the one manifest of a kind, whose name ends with a text."""
    [found] = (
        one
        for one in manifests
        if one["kind"] == kind and str(one["metadata"]["name"]).endswith(suffix)
    )
    return found
