"""The parts of a query that the tests look at. Prometheus itself checks its grammar."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deploy.grafana import vllm
from penstock_server.telemetry.metrics import names
from penstock_server.telemetry.metrics.names import Kind, Metric

_STRING = re.compile(r'"[^"]*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_TERM = re.compile(r"(?<![\w:.$\[])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\[[^\]]*\])?(\s*\()?")
_MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_KEYWORDS = {"and", "or", "unless", "offset", "bool"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector of series in a query.

    Attributes:
        name: the name of the series.
        matchers: operator and value by label.
        range: the range in brackets; empty for none.
        function: the function whose argument it is; empty for none.
    """

    name: str
    matchers: Mapping[str, tuple[str, str]]
    range: str
    function: str


def selectors(query: str) -> Iterator[Selector]:
    """Yields the selectors of a query."""
    function = ""
    # Without strings, but everything else stays in its place.
    blank = _STRING.sub(lambda found: " " * len(found[0]), query)
    for grouping in _GROUPING.finditer(blank):
        blank = blank.replace(grouping[0], " " * len(grouping[0]))
    for found in _TERM.finditer(blank):
        name, braces, brackets, call = found.groups()
        if call:
            function = name
        elif name not in _KEYWORDS:
            matched = query[found.start(2) : found.end(2)] if braces else ""
            matchers = {label: (sign, value) for label, sign, value in _MATCHER.findall(matched)}
            yield Selector(name, matchers, (brackets or "").strip("[]"), function)
            function = ""


def groupings(query: str) -> set[str]:
    """Returns the labels by which a query groups or joins."""
    found = _GROUPING.findall(_STRING.sub('""', query))
    return {label.strip() for labels in found for label in labels.split(",") if label.strip()}


def is_balanced(query: str) -> bool:
    """Returns whether each bracket of a query that opens is closed, in the right order."""
    expected: list[str] = []
    for char in _STRING.sub("", query):
        if char in _CLOSING:
            expected.append(_CLOSING[char])
        elif char in _CLOSING.values() and (not expected or expected.pop() != char):
            return False
    return not expected


def series_of(metric: Metric) -> Sequence[str]:
    """Returns the names of the series of a metric."""
    if metric.kind is Kind.HISTOGRAM:
        return [metric.name + suffix for suffix in _SUFFIXES]
    return [metric.name]


LABELS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys((vllm.WAITING, vllm.RUNNING, vllm.CACHE), ("model_name", "engine")),
    vllm.FIRST_TOKEN: ("model_name", "engine", "le"),
    **dict.fromkeys(("up", *names.PROCESS), ()),
    **{
        name: (*metric.labels, *(("le",) if name.endswith("_bucket") else ()))
        for metric in names.BY_NAME.values()
        for name in series_of(metric)
    },
}
"""The labels of all series that Penstock exports and of vLLM's that the dashboards show, apart from
`job` and `instance`.
"""
