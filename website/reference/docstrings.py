"""Docstrings in Google's style as Markdown."""

import re
from collections.abc import Iterator
from itertools import groupby

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$", re.MULTILINE)
_ENTRY = re.compile(r"^    (\*{0,2}\w+): ", re.MULTILINE)
_TITLES = {"Args": "Arguments"}


def as_markdown(docstring: str) -> str:
    """Returns the text, examples and lists of a docstring, which is not indented."""
    text, *sections = _SECTION.split(docstring)
    lists = [
        f"{_TITLES.get(name, name)}:\n\n{_list(body)}"
        for name, body in zip(sections[::2], sections[1::2], strict=True)
    ]
    return "\n\n".join([*_paragraphs(text), *lists])


def entries(docstring: str, section: str) -> list[tuple[str, str]]:
    """Returns the names in a section of a docstring with their descriptions, each on one line."""
    _, *sections = _SECTION.split(docstring)
    bodies = dict(zip(sections[::2], sections[1::2], strict=True))
    return _entries(bodies.get(section, ""))


def _entries(body: str) -> list[tuple[str, str]]:
    _, *found = _ENTRY.split(body)
    pairs = zip(found[::2], found[1::2], strict=True)
    return [(name, " ".join(text.split())) for name, text in pairs]


def _list(body: str) -> str:
    listed = [f"- `{name}`: {text}" for name, text in _entries(body)]
    return "\n".join(listed) or " ".join(body.split())


def _paragraphs(text: str) -> Iterator[str]:
    """Yields the paragraphs; those that are indented or start with a prompt are examples."""
    blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
    for example, group in groupby(blocks, key=_is_example):
        if example:
            lines = [line.strip() for block in group for line in block.splitlines()]
            yield "\n".join(["```pycon", *lines, "```"])
        else:
            yield from (block.strip() for block in group)


def _is_example(block: str) -> bool:
    return block.lstrip().startswith(">>> ")
