"""The rules of Grafana's dashboard linter, and ours: metrics and labels exist, one place has them.

Grafana's linter is a Go program; `PUBLISHED` lists its rules by their names there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deployment.promql import LABELS, Selector, groupings, is_balanced, selectors

Dashboard = dict[str, Any]
Rule = Callable[[Dashboard], Iterator[str]]

UNITS = {"none", "short", "percent", "percentunit", "s", "ms", "bytes", "Bps", "reqps", "ops"}
"""The units in use, all of Grafana's list."""

_VARIABLE = re.compile(r'label_values\(([\w:]+)(?:\{job=~"\$job"\})?, (\w+)\)')
_REFERENCE = re.compile(r"\$\{?([a-zA-Z_]\w*)")
_GRAFANA_VARIABLES = {"__rate_interval"}
_RATES = ("rate", "irate", "increase")
_OWN_LABELS = {"job", "instance", "le"}


def template_datasource(dashboard: Dashboard) -> Iterator[str]:
    """There is one variable for the data source."""
    found = [each for each in _variables(dashboard) if each["type"] == "datasource"]
    named = [(each["name"], each["label"], each["query"]) for each in found]
    if named != [("datasource", "Data source", "prometheus")]:
        yield f"variables of data sources: {named}"


def template_job(dashboard: Dashboard) -> Iterator[str]:
    """There is a variable for the job."""
    yield from _selecting(dashboard, "job")


def template_instance(dashboard: Dashboard) -> Iterator[str]:
    """There is a variable for the instance."""
    yield from _selecting(dashboard, "instance")


def template_label_promql(dashboard: Dashboard) -> Iterator[str]:
    """Variables query labels that exist."""
    for each in _queried(dashboard):
        found = _VARIABLE.fullmatch(each["query"])
        if not found:
            yield f"{each['name']}: {each['query']}"
        elif found[1] not in LABELS or found[2] not in {*LABELS[found[1]], "job", "instance"}:
            yield f"{each['name']}: {found[1]} does not exist with {found[2]}"


def template_on_time_change_reload(dashboard: Dashboard) -> Iterator[str]:
    """Variables are queried again when the range of time changes."""
    yield from (each["name"] for each in _queried(dashboard) if each["refresh"] != 2)


def panel_datasource(dashboard: Dashboard) -> Iterator[str]:
    """Panels, targets and variables use the variable for the data source."""
    targets = [target for panel in panels(dashboard) for target in panel["targets"]]
    for each in (*panels(dashboard), *targets, *_queried(dashboard)):
        if each["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            yield str(each)


def panel_title_description(dashboard: Dashboard) -> Iterator[str]:
    """Panels have a title, which is the only one of its name, and a description of sentences."""
    titles = [panel["title"] for panel in panels(dashboard)]
    yield from {title for title in titles if not title or titles.count(title) > 1}
    for panel in panels(dashboard):
        if not panel["description"].endswith("."):
            yield f"{panel['title']}: {panel['description']}"


def panel_units(dashboard: Dashboard) -> Iterator[str]:
    """Panels have a unit."""
    for panel in panels(dashboard):
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            yield panel["title"]


def panel_no_targets(dashboard: Dashboard) -> Iterator[str]:
    """Panels have queries."""
    yield from (panel["title"] for panel in panels(dashboard) if not panel["targets"])


def uneditable(dashboard: Dashboard) -> Iterator[str]:
    """Dashboards are changed where they are generated."""
    if dashboard["editable"]:
        yield dashboard["title"]


def target_promql(dashboard: Dashboard) -> Iterator[str]:
    """Queries are not empty, their brackets match, and the dashboard has the variables in them.

    The rest of their grammar is checked by Prometheus, where the tests of `observability` run them.
    """
    known = {each["name"] for each in _variables(dashboard)} | _GRAFANA_VARIABLES
    for query in queries(dashboard):
        if not query or not is_balanced(query) or {*_REFERENCE.findall(query)} - known:
            yield query or "an empty query"


def target_job(dashboard: Dashboard) -> Iterator[str]:
    """Selectors match the variable for the job; those of vLLM's metrics, the one for its job."""
    for query, selector in _selectors(dashboard):
        job = "$vllm_job" if _of_vllm(selector) else "$job"
        if selector.matchers.get("job") != ("=~", job):
            yield query


def target_instance(dashboard: Dashboard) -> Iterator[str]:
    """Selectors match the variable for the instance, except those of vLLM's metrics."""
    for query, selector in _selectors(dashboard):
        found = selector.matchers.get("instance")
        if found != ("=~", "$instance") and not _of_vllm(selector):
            yield query


def target_rate_interval(dashboard: Dashboard) -> Iterator[str]:
    """Ranges are those that Grafana computes from the interval of the scrapes."""
    for query, selector in _selectors(dashboard):
        if selector.range not in ("", "$__rate_interval"):
            yield query


def target_counter_agg(dashboard: Dashboard) -> Iterator[str]:
    """Counters are not shown as they are."""
    for query, selector in _selectors(dashboard):
        counts = selector.name.endswith(("_total", "_bucket", "_sum", "_count"))
        if counts and not (selector.range and selector.function in _RATES):
            yield query


def metrics_exist(dashboard: Dashboard) -> Iterator[str]:
    """Every metric is one that is exported, with the labels that queries match and group by."""
    for query in queries(dashboard):
        known = set(_OWN_LABELS)
        for selector in selectors(query):
            labels = LABELS.get(selector.name)
            if labels is None:
                yield f"{selector.name} does not exist"
                continue
            if unknown := set(selector.matchers) - {*labels, *_OWN_LABELS}:
                yield f"{selector.name} does not have {unknown}"
            known |= {*labels}
        if unknown := groupings(query) - known:
            yield f"no metric of {query} has {unknown}"


def legends_exist(dashboard: Dashboard) -> Iterator[str]:
    """Legends name labels by which their query groups."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            if named - groupings(target["expr"]):
                yield target["legendFormat"]


def layout(dashboard: Dashboard) -> Iterator[str]:
    """Panels are within the 24 columns, and none covers another."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if taken & covered or max(x for x, _ in covered) >= 24:
            yield panel["title"]
        taken |= covered


PUBLISHED: Mapping[str, Rule | None] = {
    "template-datasource-rule": template_datasource,
    "template-job-rule": template_job,
    "template-instance-rule": template_instance,
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-logql-rule": None,
    "target-logql-auto-rule": None,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-job-rule": target_job,
    "target-instance-rule": target_instance,
    "target-counter-agg-rule": target_counter_agg,
    "uneditable-dashboard": uneditable,
}
"""The rules that Grafana's linter documents; None for those of Loki's queries: `panel_datasource`
allows Prometheus alone."""

RULES: tuple[Rule, ...] = (*filter(None, PUBLISHED.values()), metrics_exist, legends_exist, layout)


def panels(dashboard: Dashboard) -> list[Any]:
    """Returns the panels, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard: Dashboard) -> list[str]:
    """Returns the queries of all panels."""
    return [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]


def _selectors(dashboard: Dashboard) -> Iterator[tuple[str, Selector]]:
    for query in queries(dashboard):
        for selector in selectors(query):
            yield query, selector


def _variables(dashboard: Dashboard) -> list[Any]:
    found: list[Any] = dashboard["templating"]["list"]
    return found


def _queried(dashboard: Dashboard) -> list[Any]:
    return [each for each in _variables(dashboard) if each["type"] == "query"]


def _selecting(dashboard: Dashboard, name: str) -> Iterator[str]:
    [found] = [each for each in _variables(dashboard) if each["name"] == name] or [{}]
    wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
    if {key: found.get(key) for key in wanted} != wanted:
        yield f"{name}: {found}"


def _of_vllm(selector: Selector) -> bool:
    return selector.name.startswith("vllm:")
