"""docs/sizing.md: its figures are those of docs/performance.md."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
SIZING, PERFORMANCE = ((DOCS / name).read_text("utf-8") for name in ("sizing.md", "performance.md"))
ROW = re.compile(r"^\| (.+?) \| ([\d,.]+) \|(?: ([\d,]+) \w+ \|)?$", re.MULTILINE)


def measured(heading: str) -> dict[str, str]:
    """Returns the figures of Penstock in the table below a heading of the benchmark, by row."""
    table = PERFORMANCE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "|" in line]
    return {row[0]: row[head.index("Penstock")] for row in rows}


def test_the_figures_of_the_benchmark() -> None:
    figures = measured("Memory") | measured("CPU time")
    rows = ROW.findall(SIZING)
    assert len(rows) == 9
    assert not [name for name, figure, _ in rows if figures[name] != figure]


def test_what_a_core_serves() -> None:
    rows = [(float(cost.replace(",", "")), served) for _, cost, served in ROW.findall(SIZING)]
    for cost, served in rows:
        if served:
            assert served == f"{float(f'{1e6 / cost:.3g}'):,.0f}"
