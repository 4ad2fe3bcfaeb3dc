"""Tables in Markdown, and numbers in them."""

from collections.abc import Sequence

NOTHING = "-"


def percent(share: float | None) -> str:
    """Returns a share in percent."""
    return NOTHING if share is None else f"{share * 100:.0f} %"


def number(value: float) -> str:
    """Returns a number with about three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; all columns but the first are numbers."""
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *lines))
