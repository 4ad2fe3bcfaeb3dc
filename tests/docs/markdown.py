"""The fenced blocks of the project's pages, and the shell commands in them."""

import re

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(
    r"^```python\n(.*?)^```$(?:\n+^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: str) -> list[str]:
    """Returns the targets of the links."""
    return _LINK.findall(page)


def blocks(page: str, language: str) -> list[str]:
    """Returns the contents of the blocks that are marked with a language."""
    return [content for marked, content in _BLOCK.findall(page) if marked == language]


def programs(page: str) -> list[tuple[str, str]]:
    """Returns each `python` block with the `text` block directly after it, or an empty text."""
    return _PROGRAM.findall(page)


def transcripts(page: str) -> list[tuple[str, str]]:
    """Returns each command of the `console` blocks with the output below it.

    A command begins with `$ ` and continues after lines that end with a backslash.
    """
    found: list[tuple[str, str]] = []
    for block in blocks(page, "console"):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*\\\n)*.*\n", entry)
            assert command, entry
            found.append((command[0].strip(), entry[command.end() :]))
    return found


def commands(page: str) -> list[str]:
    """Returns the commands of the `console` blocks."""
    return [command for command, _ in transcripts(page)]
