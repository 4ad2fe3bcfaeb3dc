"""The fenced blocks of the project's pages, and the shell commands in them."""

import re

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(
    r"^```python\n(.*?)^```$(?:\n+^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


def blocks(page: str, language: str) -> list[str]:
    """The contents of the blocks that are marked with a language."""
    return [content for marked, content in _BLOCK.findall(page) if marked == language]


def programs(page: str) -> list[tuple[str, str]]:
    """Each `python` block, with the `text` block that follows it at once; empty if none does."""
    return _PROGRAM.findall(page)


def transcripts(page: str) -> list[tuple[str, str]]:
    """Each command of the `console` blocks, with the output that stands below it.

    A command begins with `$ ` and goes on in lines that follow one ending in a backslash.
    """
    found: list[tuple[str, str]] = []
    for block in blocks(page, "console"):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*\\\n)*.*\n", entry)
            assert command, entry
            found.append((command[0].strip(), entry[command.end() :]))
    return found


def commands(page: str) -> list[str]:
    """The commands of the `console` blocks."""
    return [command for command, _ in transcripts(page)]
