"""A picture of a dashboard from the results of its queries: a preview that needs no Grafana."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from deploy.grafana.panels import Json

_COLUMN, _LINE, _GAP = 50, 26, 3
_COLORS = ("#1f77b4", "#d1495b", "#2e8b57", "#f0a03c", "#7b4fb0", "#8c8c8c")
_STYLE = "font-family: system-ui, sans-serif; font-size: 11px"
_HEAD, _LEGEND = 24, 15
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SUFFIXES = {"reqps": "/s", "bytes": "B", "Bps": "B/s"}
_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a result.

    Attributes:
        labels: its labels.
        points: times and values; not empty.
    """

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


Query = Callable[[str], Sequence[Series]]
"""Returns the result of a query over the time that the picture shows."""


@dataclass(frozen=True, slots=True)
class _Box:
    """The inside of a panel, in pixels."""

    x: float
    y: float
    width: float
    height: float


def svg(dashboard: Json, query: Query) -> str:
    """Returns the picture of a dashboard."""
    panels = dashboard["panels"]
    height = _LINE * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * _COLUMN} {height}" '
        f'role="img" style="{_STYLE}">'
    )
    background = f'<rect width="{24 * _COLUMN}" height="{height}" fill="#f4f5f5"/>'
    title = f"<title>{escape(dashboard['title'])}</title>"
    drawn = [part for panel in panels for part in _panel(panel, query)]
    return "\n".join((head, title, background, *drawn, "</svg>")) + "\n"


def _panel(panel: Json, query: Query) -> Iterator[str]:
    place = panel["gridPos"]
    x, y = _COLUMN * place["x"], _LINE * place["y"]
    if panel["type"] == "row":
        yield _text(x + 8, y + 18, panel["title"], weight="bold")
        return
    width, height = _COLUMN * place["w"] - 2 * _GAP, _LINE * place["h"] - 2 * _GAP
    yield (
        f'<rect x="{x + _GAP}" y="{y + _GAP}" width="{width}" height="{height}" '
        'rx="3" fill="white" stroke="#d8d9da"/>'
    )
    yield _text(x + 12, y + 18, panel["title"], weight="600")
    named = [
        (_legend(target["legendFormat"], series), series)
        for target in panel["targets"]
        for series in query(target["expr"])
    ]
    box = _Box(x + 12, y + _HEAD + _GAP, width - 24, height - _HEAD - 2 * _GAP)
    yield from _CONTENTS[panel["type"]](box, named, panel["fieldConfig"]["defaults"]["unit"])


def _legend(template: str, series: Series) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: series.labels.get(found[1], ""), template).strip()


Named = Sequence[tuple[str, Series]]


def _now(named: Named) -> Sequence[tuple[Series, float]]:
    """Returns the series that have a value at the end, and that value."""
    end = max((series.points[-1][0] for _, series in named), default=0.0)
    return [(each, each.points[-1][1]) for _, each in named if each.points[-1][0] == end]


def _stat(box: _Box, named: Named, unit: str) -> Iterator[str]:
    words = "".join(number(value, unit) for _, value in _now(named)[:1]) or "no data"
    middle = box.x + box.width / 2
    yield _text(middle, box.y + box.height / 2 + 10, words, anchor="middle", size=28)


def _table(box: _Box, named: Named, unit: str) -> Iterator[str]:
    lines = int(box.height // _LEGEND)
    for line, (series, value) in enumerate(_now(named)[:lines]):
        cells = [text for label, text in sorted(series.labels.items()) if label != "__name__"]
        words = "   ".join((*cells, number(value, unit)))
        yield _text(box.x, box.y + _LEGEND * (line + 0.8), words)


def _curves(box: _Box, named: Named, unit: str) -> Iterator[str]:
    """Yields the largest series with their legend."""
    shown = sorted(named, key=lambda each: -_most(each[1]))[: len(_COLORS)]
    most = max((_most(series) for _, series in shown), default=0.0) or 1.0
    lines = math.ceil(len(shown) / 2)
    plot = _Box(box.x + 48, box.y + 4, box.width - 48, box.height - 12 - _LEGEND * lines)
    for part in (0.0, 0.5, 1.0):
        y = plot.y + plot.height * (1 - part)
        yield (
            f'<line x1="{plot.x}" x2="{plot.x + plot.width}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="#e6e6e6"/>'
        )
        yield _text(plot.x - 4, y + 4, number(part * most, unit), anchor="end")
    times = [time for _, series in shown for time, _ in series.points]
    for index, (name, series) in enumerate(shown):
        color = _COLORS[index]
        yield _curve(plot, series, (min(times), max(times)), most, color)
        x = box.x + index % 2 * box.width / 2
        y = plot.y + plot.height + 14 + _LEGEND * (index // 2)
        yield f'<rect x="{x:.0f}" y="{y - 5:.0f}" width="10" height="3" fill="{color}"/>'
        yield _text(x + 14, y, _cut(name, int(box.width / 2 / 7.2)))


def _curve(plot: _Box, series: Series, range_: tuple[float, float], most: float, color: str) -> str:
    first, last = range_
    points = " ".join(
        f"{plot.x + plot.width * (time - first) / ((last - first) or 1):.0f},"
        f"{plot.y + plot.height * (1 - value / most):.0f}"
        for time, value in series.points
    )
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.4"/>'


def _most(series: Series) -> float:
    return max((value for _, value in series.points), default=0.0)


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"


def number(value: float, unit: str) -> str:
    """Returns a value with its unit, shortened as Grafana does."""
    if unit == "percentunit":
        return f"{_short(100 * value)} %"
    if unit == "s":
        return _duration(value)
    suffix = _SUFFIXES.get(unit, "")
    for least, prefix in _PREFIXES:
        if abs(value) >= least:
            return f"{_short(value / least)} {prefix}{suffix}"
    return f"{_short(value)} {suffix}".rstrip()


def _duration(seconds: float) -> str:
    if abs(seconds) >= _DAY_S:
        return f"{_short(seconds / _DAY_S)} d"
    if abs(seconds) >= 1 or not seconds:
        return f"{_short(seconds)} s"
    return f"{_short(1000 * seconds)} ms"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", weight: str = "", size: int = 0
) -> str:
    style = (f' font-weight="{weight}"' if weight else "") + (
        f' font-size="{size}"' if size else ""
    )
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


_CONTENTS = {"stat": _stat, "table": _table, "timeseries": _curves}
