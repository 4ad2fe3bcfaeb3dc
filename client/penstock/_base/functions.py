"""Inspects the functions that tools are built from."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, get_type_hints


def behind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function or object that a partial calls."""
    while isinstance(function, partial):
        function = function.func
    return function


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of a function, with their annotations resolved to types.

    Leaves out parameters that a `functools.partial` already binds.

    Raises:
        TypeError: a parameter cannot be passed by name.
        NameError: an annotation names an unknown type; the return annotation is not read.
    """
    given = function.keywords if isinstance(function, partial) else ()
    found = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in given
    }
    for name, parameter in found.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter {name!r} cannot be passed by name")
    hints = _hints(function, found)
    return {name: one.replace(annotation=hints.get(name, Any)) for name, one in found.items()}


def _hints(
    function: Callable[..., Any], found: Mapping[str, inspect.Parameter]
) -> Mapping[str, Any]:
    annotations = {
        name: parameter.annotation
        for name, parameter in found.items()
        if parameter.annotation is not parameter.empty
    }
    called = behind(function)
    code = inspect.unwrap(called if inspect.isroutine(called) else type(called).__call__)
    holder = SimpleNamespace(__annotations__=annotations)
    names = getattr(code, "__globals__", {})
    return get_type_hints(holder, globalns=names, include_extras=True)
