"""Writes the chart's values with their comments, their schema and their table.

python -m deploy.helm
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.helm.option_schemas import LIVE
from deploy.helm.values import VALUES, Value

CHART = Path(__file__).parent / "penstock"
_WIDTH = 100
_HEAD = """\
# Penstock in Kubernetes

A Helm chart of [Penstock](../../../README.md). [Deployment](../../../docs/deployment.md#helm)
describes how to use it; [examples](../examples) contains values for some environments.

## Values

| value | default | |
| --- | --- | --- |
"""


def files() -> Mapping[Path, str]:
    """Returns the contents of each file that is generated."""
    return {
        CHART / "values.yaml": "".join(_commented()),
        CHART / "values.schema.json": json.dumps(_schema(), indent=2) + "\n",
        CHART / "README.md": _HEAD + "".join(map(_row, VALUES)),
        CHART / "templates" / "_live.tpl": _live(),
    }


def _commented() -> Iterator[str]:
    yield "# Generated from deploy/helm/values.py; run: make generate\n"
    above: list[str] = []
    for value in VALUES:
        *parents, last = value.path.split(".")
        shared = _shared(above, parents)
        for depth, parent in enumerate(parents[shared:], shared):
            yield f"{'  ' * depth}{parent}:\n"
        above = parents
        margin = "  " * len(parents)
        yield textwrap.fill(
            value.help, _WIDTH, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}# "
        )
        yield "\n" + textwrap.indent(_yaml({last: value.default}), margin)


def _shared(one: list[str], other: list[str]) -> int:
    """Returns the number of equal items that two lists start with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _schema() -> Mapping[str, Any]:
    root: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_table(),
    }
    for value in VALUES:
        *parents, last = value.path.split(".")
        table = root
        for parent in parents:
            table = table["properties"].setdefault(parent, _table())
        table["properties"][last] = {"description": value.help, **value.schema}
    # Set by Helm in charts that this one is a part of.
    root["properties"]["global"] = {"type": "object"}
    return root


def _table() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _row(value: Value) -> str:
    default = json.dumps(value.default, ensure_ascii=False).replace("|", "\\|")
    return f"| `{value.path}` | `{default}` | {value.help} |\n"


def _live() -> str:
    names = "".join(f"- {name}\n" for name in LIVE)
    return (
        "{{/* Generated; run: make generate. Options that pods apply without a restart. */}}\n"
        f'{{{{- define "penstock.live" -}}}}\n{names}{{{{- end }}}}\n'
    )


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
