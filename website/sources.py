"""Pages of the site from files of the repository, with their links adapted.

A page may link to any file of the repository. The files that are linked, directly or through other
pages, become pages too: Markdown as it is, folders as lists, others as blocks of code.
"""

import os
import posixpath
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from website.index import ROOT
from website.markdown import outside_code

_FIXED = {"README.md": "index.md", "docs/README.md": "contents.md"}
_DOCS = "docs/"
_PROTOS = "protos/penstock/v1"
API = "reference/api"
_SOURCE = "source/"
# Larger files, such as dashboards, are copied instead of shown.
_LARGEST_SHOWN = 60_000
_SHOWN_AS = {
    ".cc": "cpp",
    ".conf": "ini",
    ".css": "css",
    ".go": "go",
    ".java": "java",
    ".js": "js",
    ".json": "json",
    ".mod": "text",
    ".proto": "protobuf",
    ".py": "python",
    ".service": "ini",
    ".sh": "bash",
    ".toml": "toml",
    ".ts": "typescript",
    ".yaml": "yaml",
    ".yml": "yaml",
}
# A link whose text is code reaches beyond it, so the pattern begins with the end of the text.
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_FOLDED = re.compile(
    r"^<details[^>]*>\n<summary>(.*?)</summary>\n(.*?)^</details>$", re.MULTILINE | re.DOTALL
)


class DeadLink(ValueError):
    """A page links to a file that does not exist; the message names both."""


def site_path(path: str) -> str:
    """Returns the path within the site of a file or folder of the repository."""
    if path in _FIXED:
        return _FIXED[path]
    if path == _PROTOS:
        return f"{API}/index.md"
    if path.startswith(f"{_PROTOS}/"):
        return f"{API}/{PurePosixPath(path).stem}.md"
    if path.startswith(_DOCS):
        return path.removeprefix(_DOCS)
    if path.endswith("/README.md"):
        path = path.removesuffix("/README.md") + ".md"
    elif not path.endswith(".md") and not _is_copied(ROOT / path):
        path = f"{path}.md"
    # Zensical leaves out hidden files and folders.
    return _SOURCE + re.sub(r"(^|/)\.", r"\1", path)


def _is_copied(path: Path) -> bool:
    """Returns whether the site contains a file unchanged."""
    return path.is_file() and (path.suffix not in _SHOWN_AS or path.stat().st_size > _LARGEST_SHOWN)


def pages(first: Iterable[str]) -> Iterator[tuple[str, str | bytes]]:
    """Yields each page and each copied file: its path within the site, and its content.

    Args:
        first: paths in the repository; the files that they link to follow.
    """
    waiting = list(first)
    seen = set(waiting)

    def link(path: str) -> None:
        if path not in seen:
            seen.add(path)
            waiting.append(path)

    while waiting:
        path = waiting.pop(0)
        if not path.startswith(_PROTOS):
            yield site_path(path), _content(path, link)


def _content(path: str, link: Callable[[str], None]) -> str | bytes:
    file = ROOT / path
    if not file.is_dir() and file.suffix != ".md":
        return file.read_bytes() if _is_copied(file) else _shown(path, file)
    text = _listing(path) if file.is_dir() else file.read_text("utf-8")
    base = path if file.is_dir() else posixpath.dirname(path)
    return with_tabs(with_links(text, base, site_path(path), link))


def _shown(path: str, file: Path) -> str:
    language = _SHOWN_AS[file.suffix]
    return f"# {path}\n\n````{language}\n{file.read_text('utf-8').rstrip()}\n````\n"


def _listing(folder: str) -> str:
    """Returns a page that lists the files of a folder."""
    command = ("git", "-C", ROOT / folder, "ls-files")
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return "\n".join([f"# {folder}\n", *(f"- [{name}]({name})" for name in names), ""])


def with_links(text: str, base: str, here: str, link: Callable[[str], None]) -> str:
    """Returns a page whose links to files of the repository lead to pages of the site.

    Args:
        text: the page.
        base: the folder that its links are relative to, in the repository.
        here: the path of the page within the site.
        link: called with each file that the page links to.

    Raises:
        DeadLink: a file does not exist.
    """

    def replaced(match: re.Match[str]) -> str:
        target, hash_, anchor = match[2].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(base, target))
        if (ROOT / path / "README.md").exists():
            path = f"{path}/README.md"
        if not (ROOT / path).exists():
            raise DeadLink(f"{here}: {match[2]}: there is no {path}")
        link(path)
        there = os.path.relpath(site_path(path), posixpath.dirname(here) or ".")
        return f"{match[1]}{there}{hash_}{anchor}{match[3]}"

    return outside_code(text, lambda part: _LINK.sub(replaced, part))


def with_tabs(text: str) -> str:
    """Returns a page with tabs instead of folded parts."""

    def tab(match: re.Match[str]) -> str:
        body = "\n".join(f"    {line}".rstrip() for line in match[2].splitlines())
        return f'=== "{match[1]}"\n{body}'

    return _FOLDED.sub(tab, text)
