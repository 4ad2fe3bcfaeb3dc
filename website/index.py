"""The index of the pages, `docs/README.md`: the navigation of the site follows its tables."""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
INDEX = ROOT / "docs" / "README.md"

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ENTRY = re.compile(r"^\| \[(.+?)\]\((.+?)\) \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A page in the navigation.

    Attributes:
        title: its title there.
        path: its file, relative to the repository.
        summary: its contents, in one line of Markdown.
    """

    title: str
    path: str
    summary: str


@dataclass
class Section:
    """A section of the navigation.

    Attributes:
        title: its title.
        entries: its pages.
    """

    title: str
    entries: list[Entry] = field(default_factory=list)


def sections(text: str) -> list[Section]:
    """Returns the sections of the index that contain a table of pages."""
    _, *parts = _SECTION.split(text)
    found = [
        Section(title, [_entry(*row) for row in _ENTRY.findall(body)])
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    ]
    return [section for section in found if section.entries]


def _entry(title: str, target: str, summary: str) -> Entry:
    path = (INDEX.parent / target).resolve().relative_to(ROOT)
    return Entry(title, str(path), summary)
