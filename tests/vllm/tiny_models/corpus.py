"""The text that the tokenizers are trained on."""

from collections.abc import Iterator
from pydoc_data.topics import topics


def paragraphs() -> Iterator[str]:
    """Yield the paragraphs of Python's built-in help, 700 kB of English that is always there."""
    for topic in topics.values():
        yield from topic.split("\n\n")
