"""Examples of regular expressions and grammars, for answers that must match one."""

import re

# The parser of the standard library's regular expressions; there is no public one.
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_CATEGORIES = {
    ops.CATEGORY_DIGIT: "0",
    ops.CATEGORY_SPACE: " ",
    ops.CATEGORY_WORD: "a",
    ops.CATEGORY_NOT_DIGIT: "a",
    ops.CATEGORY_NOT_SPACE: "a",
    ops.CATEGORY_NOT_WORD: "-",
}
_CANDIDATES = "a0 -_.,!?A~\n"
_LONGEST_TEXT = 1 << 16


class GrammarError(ValueError):
    """The constraint is not valid."""


def require_moderate(characters: int) -> None:
    """Raises GrammarError for a text that is longer than any context."""
    if characters > _LONGEST_TEXT:
        raise GrammarError(f"a text of {characters} characters is too long")


def example(pattern: str) -> str:
    """Returns the shortest obvious text that a regular expression matches.

    Raises:
        GrammarError: the expression is not valid, or the text is too long.
    """
    try:
        return _text(_parser.parse(pattern), {})
    except GrammarError:
        raise
    except (re.error, RecursionError, OverflowError, StopIteration) as error:
        raise GrammarError(f'invalid regex "{pattern}" (in regex): {error}') from None


def grammar_example(grammar: str) -> str:
    """Returns the first literal of a grammar's root rule."""
    balanced = all(grammar.count(left) == grammar.count(right) for left, right in ("()", "[]"))
    literals = re.findall(r'"((?:[^"\\]|\\.)*)"', grammar)
    if not balanced or not re.search(r"::=|:", grammar):
        raise GrammarError("Failed to convert the grammar from GBNF to Lark")
    return literals[0] if literals else ""


def _text(parsed: Any, groups: dict[int, str]) -> str:
    return "".join(_node(code, argument, groups) for code, argument in parsed)


def _node(code: Any, argument: Any, groups: dict[int, str]) -> str:
    if code is ops.LITERAL:
        return chr(argument)
    if code is ops.NOT_LITERAL:
        return next(char for char in _CANDIDATES if ord(char) != argument)
    if code is ops.ANY:
        return "a"
    if code is ops.IN:
        return _member(argument)
    if code is ops.BRANCH:
        return _text(argument[1][0], groups)
    if code is ops.SUBPATTERN:
        text = _text(argument[3], groups)
        groups[argument[0]] = text
        return text
    if code in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        least: int = argument[0]
        repeated = _text(argument[2], groups)
        require_moderate(len(repeated) * least)
        return repeated * least
    if code is ops.GROUPREF:
        return groups.get(argument, "")
    return ""


def _member(choices: list[Any]) -> str:
    if choices[0][0] is ops.NEGATE:
        return next(char for char in _CANDIDATES if not _holds(choices[1:], char))
    code, argument = choices[0]
    if code is ops.CATEGORY:
        return _CATEGORIES[argument]
    codepoint: int = argument[0] if code is ops.RANGE else argument
    return chr(codepoint)


def _holds(choices: list[Any], char: str) -> bool:
    for code, argument in choices:
        if code is ops.RANGE and argument[0] <= ord(char) <= argument[1]:
            return True
        if code is ops.LITERAL and argument == ord(char):
            return True
        if code is ops.CATEGORY and _in_category(argument, char):
            return True
    return False


def _in_category(category: Any, char: str) -> bool:
    name = str(category).removeprefix("CATEGORY_")
    tests = {"DIGIT": char.isdigit(), "SPACE": char.isspace(), "WORD": char.isalnum()}
    held = tests[name.removeprefix("NOT_")]
    return held != name.startswith("NOT_")
