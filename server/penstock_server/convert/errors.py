"""Errors of requests and of upstream JSON."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

MOST_VIOLATIONS = 32
"""Maximum number of faults that an error lists: a request may contain very long lists."""

# A longer missing key is not one that the conversions read, so it is not quoted.
_LONGEST_KEY = 40

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions that reading a value of an unexpected type raises."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request: the path of a field, and the description of the fault."""

    field: str
    description: str


class InvalidRequest(Exception):
    """The request cannot be sent upstream.

    Attributes:
        violations: faults that were found.
        conflicting: whether the faults are fields that contradict each other.
    """

    def __init__(self, *violations: Violation, conflicting: bool = False) -> None:
        """Creates the error for at least one violation."""
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations
        self.conflicting = conflicting


class UnsupportedRequest(Exception):
    """The request requires something that this kind of upstream does not support.

    Attributes:
        violations: fields that request it.
    """

    def __init__(self, *violations: Violation) -> None:
        """Creates the error for at least one violation."""
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations


class MalformedAnswer(Exception):
    """The upstream's JSON does not have the API's shape, or a value does not fit our message."""


def invalid(field: str, description: str) -> InvalidRequest:
    """Returns the error for one faulty field."""
    return InvalidRequest(Violation(field, description))


def unsupported(field: str, description: str) -> UnsupportedRequest:
    """Returns the error for one field that is not supported."""
    return UnsupportedRequest(Violation(field, description))


def _fault(error: Exception) -> str:
    """Describes the fault of an answer without quoting the answer."""
    key = error.args[0] if isinstance(error, KeyError) else None
    if isinstance(key, str) and key.isidentifier() and key.isascii() and len(key) <= _LONGEST_KEY:
        return f"it lacks {key}"
    return "a value in it has the wrong type"


def reads_answer(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates a conversion of upstream JSON: a wrong shape raises `MalformedAnswer`."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UNREADABLE as error:
            raise MalformedAnswer(_fault(error)) from error

    return checked
