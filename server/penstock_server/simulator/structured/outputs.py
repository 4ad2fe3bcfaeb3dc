"""Answers that match a JSON schema, a regular expression, a choice or a grammar."""

import json
from collections.abc import Callable

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.http.errors import ApiError, parameter_error
from penstock_server.simulator.structured.patterns import GrammarError, example, grammar_example
from penstock_server.simulator.structured.schemas import instance

_KINDS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
_NOT_SET = {
    **dict.fromkeys(("json", "regex", "choice", "grammar", "json_object")),
    "disable_any_whitespace": False,
    "disable_additional_properties": False,
    "whitespace_pattern": None,
    "structural_tag": None,
    "_backend": None,
    "_backend_was_auto": False,
}


def check_request(body: dict[str, Json]) -> None:
    """Refuses requests without a constraint or with several, as vLLM does before it generates."""
    asked = body.get("response_format") or {}
    if asked.get("type") == "json_schema" and not asked.get("json_schema"):
        message = (
            "When response_format type is 'json_schema', the 'json_schema' field must be provided."
        )
        raise parameter_error(message, "response_format")
    if "structured_outputs" in body:
        _check_outputs(body["structured_outputs"])


def constrained_text(body: dict[str, Json]) -> str | None:
    """Returns a text that matches the constraint of a request; None if there is no constraint.

    Refuses a constraint that is not valid; in a stream, the status has already been sent.
    """
    kind, value = _constraint(body)
    return _WRITERS[kind](value) if kind in _WRITERS else None


def _check_outputs(outputs: dict[str, Json]) -> None:
    kinds = [kind for kind in _KINDS if outputs.get(kind) not in (None, False)]
    if len(kinds) > 1:
        raise ApiError(
            "You can only use one kind of constraints for structured outputs "
            "('json', 'regex' or 'choice')."
        )
    if not kinds:
        raise ApiError(
            "You must use one kind of structured outputs constraint "
            f"but none are specified: {_NOT_SET}"
        )
    if outputs.get("choice") == []:
        raise ApiError("Choice '[]' cannot be an empty list")


def _constraint(body: dict[str, Json]) -> tuple[str, Json]:
    outputs = body.get("structured_outputs") or {}
    for kind in _KINDS:
        if outputs.get(kind) not in (None, False):
            return kind, outputs[kind]
    asked = body.get("response_format") or {}
    if asked.get("type") == "json_schema":
        return "json", asked["json_schema"].get("schema", {})
    return asked.get("type", "text"), True


def schema_text(schema: Json) -> str:
    """Returns the JSON of a value that a schema allows; the schema may be a text."""
    try:
        schema = json.loads(schema) if isinstance(schema, str) else schema
    except (ValueError, RecursionError):
        raise ApiError("Invalid JSON grammar specification.") from None
    try:
        return json.dumps(instance(schema), ensure_ascii=False)
    except (GrammarError, RecursionError) as error:
        raise ApiError(f"Grammar error: {error}") from None


def _of_regex(pattern: str) -> str:
    try:
        return example(pattern)
    except GrammarError as error:
        raise ApiError(f"Grammar error: at 1(8): {error}") from None


def _of_grammar(grammar: str) -> str:
    try:
        return grammar_example(grammar)
    except GrammarError as error:
        raise ApiError(f"Invalid grammar specification: {error}") from None


_WRITERS: dict[str, Callable[[Json], str]] = {
    "json": schema_text,
    "regex": _of_regex,
    "choice": lambda choices: str(choices[0]),
    "grammar": _of_grammar,
    "json_object": lambda _: '{"answer": "Hello!"}',
}
