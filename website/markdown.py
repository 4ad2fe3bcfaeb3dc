"""Pages, and comments of protos, as Markdown."""

import re
from collections.abc import Callable

_CODE = re.compile(r"^(?P<fence>```+).*?^(?P=fence)$|`[^`]+`", re.MULTILINE | re.DOTALL)


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Returns a text in which everything except the code in it was changed."""
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])


def unindented(comment: str) -> str:
    """Returns the comment of a proto without the space at the start of each line.

    Instructions for buf are left out.
    """
    lines = (line.removeprefix(" ") for line in comment.splitlines())
    return "\n".join(line for line in lines if not line.startswith("buf:lint:"))


def escaped(text: str) -> str:
    """Returns a text without characters that Markdown or HTML interprets within lines."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("*", "\\*")


def cell(text: str) -> str:
    """Returns paragraphs and lists as the content of a cell of a table."""
    text = re.sub(r"\n\s*- ", "<br>• ", text.strip())
    text = re.sub(r"\n\s*\n", "<br>", text)
    return " ".join(text.split()).replace("|", "\\|")
