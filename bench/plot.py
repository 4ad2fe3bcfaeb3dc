"""The plot of CPU times: a dot for each server on a logarithmic scale, a line for each scenario."""

import math
from collections.abc import Sequence
from html import escape

from bench import stats
from bench.report import Report
from bench.servers import Row
from bench.tables import number

_LEFT, _RIGHT, _LINE, _TOP, _BOTTOM = 230, 30, 34, 46, 34
_WIDTH = 900
_COLORS = (
    "#8c8c8c",
    "#7b4fb0",
    "#1f77b4",
    "#d1495b",
    "#f0a03c",
    "#2e8b57",
    "#111111",
    "#e377c2",
    "#17becf",
)
_STYLE = "font-family: system-ui, sans-serif; font-size: 12px"


class _Scale:
    """Microseconds to pixels, by powers of ten."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)

    def x(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def svg(report: Report) -> str:
    """Returns the plot."""
    points = [
        (line, row, value)
        for line, scenario in enumerate(report.scenarios)
        for row in report.compared
        if (value := report.results.middle(scenario.name, row.name, stats.cpu_us))
    ]
    scale = _Scale([value for _, _, value in points] or [1.0])
    height = _TOP + _LINE * len(report.scenarios) + _BOTTOM
    parts = [*_legend(report.compared), *_grid(scale, height)]
    parts += [
        _text(_LEFT - 12, _y(line), f"{scenario.title}, per {scenario.unit}", "end")
        for line, scenario in enumerate(report.scenarios)
    ]
    parts += [
        _dot(scale.x(value), line, row, report.compared, value) for line, row, value in points
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" style="{_STYLE}">'
    )
    background = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    title = "<title>CPU time of the server in microseconds</title>"
    return "\n".join((head, title, background, *parts, "</svg>")) + "\n"


def _y(line: int) -> float:
    return _TOP + _LINE * (line + 0.5)


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def _grid(scale: _Scale, height: int) -> list[str]:
    parts = []
    for power in range(scale.low, scale.high + 1):
        x = scale.x(10.0**power)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - _BOTTOM}" stroke="#ddd"/>'
        )
        parts.append(_text(x, height - _BOTTOM + 14, f"{10.0**power:,g} µs", "middle"))
    return parts


def _legend(rows: Sequence[Row]) -> list[str]:
    parts, x = [], 20.0
    for row in rows:
        parts.append(f'<circle cx="{x:.0f}" cy="20" r="5" fill="{_color(row, rows)}"/>')
        parts.append(_text(x + 10, 20, row.title))
        x += 34 + 6.6 * len(row.title)
    return parts


def _dot(x: float, line: int, row: Row, rows: Sequence[Row], value: float) -> str:
    title = f"<title>{escape(row.title)}: {number(value)} µs</title>"
    place = f'cx="{x:.1f}" cy="{_y(line):.0f}"'
    return f'<circle {place} r="5" fill="{_color(row, rows)}" fill-opacity="0.85">{title}</circle>'


def _color(row: Row, rows: Sequence[Row]) -> str:
    return _COLORS[[one.name for one in rows].index(row.name) % len(_COLORS)]
