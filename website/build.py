"""Builds the site: gathers the pages, runs Zensical on them, adds files for programs."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from website.index import INDEX, ROOT, Entry, Section, sections
from website.reference import api, command_line, errors, python
from website.sources import API, pages, site_path

ZENSICAL = ROOT / ".venv/docs/bin/zensical"
_CONFIGURATION = Path(__file__).with_name("zensical.toml")
_STYLES = Path(__file__).with_name("site.css")
_PYTHON, _COMMAND_LINE = "reference/python.md", "reference/command-line.md"
# Its pages follow those of the index in this section.
_REFERENCE = "Reference"

Navigation = list[dict[str, Any]]


def build(folder: Path) -> Path:
    """Builds the site in a folder, whose contents it replaces; returns the folder of the site.

    Raises:
        DeadLink: a page links to a file that does not exist.
        subprocess.CalledProcessError: a link or an anchor is not valid; Zensical has printed which.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in (*_written(), *_generated()):
        file = folder / "pages" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    shutil.copy(_STYLES, folder / "pages")
    (folder / _CONFIGURATION.name).write_text(_configuration(), "utf-8")
    subprocess.run([ZENSICAL, "build", "--strict"], cwd=folder, check=True)
    _add_markdown(folder)
    (folder / "site" / "llms.txt").write_text(overview(), "utf-8")
    return folder / "site"


def _written() -> Iterator[tuple[str, str | bytes]]:
    """Yields the pages that are written by hand, and the files that they link to."""
    entries = [entry.path for section in _sections() for entry in section.entries]
    for path, content in pages(dict.fromkeys([*entries, str(INDEX.relative_to(ROOT))])):
        if path == site_path(errors.PAGE):
            assert isinstance(content, str)
            content = errors.with_anchors(content)
        yield path, content


def _generated() -> Iterator[tuple[str, str]]:
    yield _PYTHON, python.page()
    yield _COMMAND_LINE, command_line.page()
    for name, content in api.pages():
        yield f"{API}/{name}", content


def _sections() -> list[Section]:
    return sections(INDEX.read_text("utf-8"))


def _configuration() -> str:
    """Returns Zensical's configuration with the navigation."""
    begin, section, settings = _CONFIGURATION.read_text("utf-8").partition("[project]\n")
    return f"{begin}{section}nav = {_inline(navigation())}\n{settings}"


def navigation() -> Navigation:
    """Returns the navigation of the site: sections of pages, each a title and its contents."""
    found: Navigation = []
    for section in _sections():
        listed: Navigation = [{entry.title: site_path(entry.path)} for entry in section.entries]
        if section.title == _REFERENCE:
            listed += [{"Command line": _COMMAND_LINE}, {"Python API": _PYTHON}]
            listed.append({"API": [{title: f"{API}/{page}"} for title, page in api.titles()]})
        found.append({section.title: listed})
    return found


def _inline(value: Any) -> str:
    """Returns a value as TOML on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_inline(one)}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(value)


def _add_markdown(folder: Path) -> None:
    """Adds the Markdown of each page next to it."""
    for page in (folder / "pages").rglob("*.md"):
        path = page.relative_to(folder / "pages")
        shutil.copy(page, folder / "site" / path)


def overview() -> str:
    """Returns the pages with their summaries, for language models (llmstxt.org)."""
    lines = ["# Penstock", "", "> A typed gRPC service in front of vLLM."]
    for section in _sections():
        lines += ["", f"## {section.title}", "", *map(_line, section.entries)]
    lines += [f"- [Command line]({_COMMAND_LINE})", f"- [Python API]({_PYTHON})"]
    lines += [f"- [API: {title}]({API}/{page})" for title, page in api.titles()]
    return "\n".join([*lines, ""])


def _line(entry: Entry) -> str:
    return f"- [{entry.title}]({site_path(entry.path)}): {entry.summary}"
