"""Breaks lines between words, as the text arrives."""

import unicodedata
from collections.abc import Callable

from penstock.cli.screen import columns

_TAB = 8


class Wrapping:
    """Lines of a text that are no wider than the terminal, unless a word is.

    A word is held back until it is complete.

    Args:
        columns: returns the width of the terminal.
    """

    def __init__(self, columns: Callable[[], int]) -> None:
        self._columns = columns
        self._column = 0
        self._gap = ""
        self._word = ""

    def add(self, text: str) -> str:
        r"""Adds a piece of the text; returns what can be printed.

        >>> wrapping = Wrapping(lambda: 10)
        >>> [wrapping.add(piece) for piece in ("Hel", "lo", " wonderful", " world ")]
        ['', '', 'Hello', '\nwonderful\nworld']
        """
        return "".join(map(self._next, text))

    def rest(self) -> str:
        """Returns what was held back."""
        rest = self._put() + self._gap
        self._gap = ""
        return rest

    def _next(self, char: str) -> str:
        if char == "\n":
            ended = self.rest() + char
            self._column = 0
            return ended
        if char in " \t":
            before = self._put()
            self._gap += char
            return before
        self._word += char
        # Between wide characters, such as those of Chinese, a line may be broken.
        return self._put() if _width(char) == 2 else ""

    def _put(self) -> str:
        """Returns the held back word with the gap before it, or with a line break instead."""
        if not self._word:
            return ""
        gap, word = self._gap, self._word
        self._gap = self._word = ""
        start = self._after(gap)
        width = sum(map(_width, word))
        if self._column and start + width > self._columns():
            self._column = width
            return f"\n{word}"
        self._column = start + width
        return gap + word

    def _after(self, gap: str) -> int:
        column = self._column
        for char in gap:
            column += _TAB - column % _TAB if char == "\t" else 1
        return column


def wrapped(text: str) -> str:
    """Returns a text with line breaks between words, as wide as the terminal."""
    wrapping = Wrapping(columns)
    return wrapping.add(text) + wrapping.rest()


def _width(char: str) -> int:
    """Returns the number of columns that a character occupies."""
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
