"""The anchors of the reasons on the page of errors, and links to them."""

import re
from collections.abc import Iterator

from website.index import ROOT

PAGE = "docs/errors.md"
_ROW = re.compile(r"^(\| `([A-Z_]+)` \| `([A-Z_]+)`)", re.MULTILINE)


def rows() -> Iterator[tuple[str, str]]:
    """Yields the code and the reason of each row of the table."""
    for _, code, reason in _ROW.findall((ROOT / PAGE).read_text("utf-8")):
        yield code, reason


def with_anchors(page: str) -> str:
    """Returns the page of errors with an anchor at the first row of each reason."""
    seen = set()

    def anchored(match: re.Match[str]) -> str:
        if match[3] in seen:
            return match[0]
        seen.add(match[3])
        return f"{match[0]}{{ #{match[3]} }}"

    return _ROW.sub(anchored, page)


def with_error_links(text: str, page: str) -> str:
    """Returns a text in which each code with its reason is a link.

    Args:
        text: Markdown.
        page: the relative path of the page of errors.
    """
    # A line may end between the two.
    known = "|".join(rf"{code}\s+{reason}" for code, reason in rows())
    return re.sub(
        rf"\b({known})\b", lambda match: f"[{match[0]}]({page}#{match[0].split()[1]})", text
    )
