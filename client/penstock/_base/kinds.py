"""Inspects types and functions, for `penstock.schema` and `penstock.values`."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NewType,
    TypeVar,
    get_origin,
    get_type_hints,
    is_typeddict,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

R = TypeVar("R")


def is_object(kind: Any) -> bool:
    """Returns whether a type is a dataclass or a TypedDict."""
    return dataclasses.is_dataclass(kind) or is_typeddict(kind)


def is_pydantics(kind: Any) -> bool:
    """Returns whether a type is a pydantic type, or constrained by pydantic's `Field`."""
    if get_origin(kind) is Annotated:
        return not all(isinstance(note, str) for note in kind.__metadata__)
    return hasattr(kind, "__pydantic_core_schema__")


def without_names(kind: Any) -> Any:
    """Returns the type behind a NewType, or the type itself."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    return kind


def with_pydantic(kind: Any, use: Callable[["TypeAdapter[Any]"], R]) -> R:
    """Applies a function to pydantic's adapter of a type and returns the result.

    Raises:
        TypeError: pydantic does not support the type either, or is not installed.
    """
    try:
        from pydantic import PydanticUserError, TypeAdapter
    except ModuleNotFoundError:
        raise TypeError(f"{kind!r} cannot be represented in JSON without pydantic") from None
    try:
        return use(TypeAdapter(kind))
    except PydanticUserError as error:
        raise TypeError(f"{kind!r} cannot be represented in JSON") from error


def fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Returns the type of each field of a dataclass or TypedDict, and whether it is required."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        return {name: (hint, name in kind.__required_keys__) for name, hint in hints.items()}
    missing = dataclasses.MISSING
    return {
        field.name: (
            hints[field.name],
            field.default is missing and field.default_factory is missing,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }


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
