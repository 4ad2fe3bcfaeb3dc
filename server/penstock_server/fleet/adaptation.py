"""Adaptation of requests to older versions of vLLM: renamed fields, or a refusal."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from penstock_server import routes
from penstock_server.upstream import Body, ErrorBody, Form, Kind, Operation, Stage, UpstreamFailure
from penstock_server.vllm_fields import (
    COMPLETION_SCHEMAS,
    OLDER_CONSTRAINTS,
    STRUCTURED_OUTPUTS,
    Field,
    Fields,
    numbers,
    text,
    younger_than,
)


def adapted(operation: Operation, body: Body, version: str) -> Body:
    """Returns a request adapted to a version of vLLM; unchanged for an unknown version.

    Raises:
        UpstreamFailure: the version would ignore some fields (FIELD_UNKNOWN).
    """
    younger = younger_than(version).get(operation.path)
    if not younger:
        return body
    if isinstance(body, Form):
        _check_form(operation, body, version, younger)
        return body
    if operation.path == routes.COMPLETIONS:
        body = _schema_as_constraint(body, version)
    if younger.keys().isdisjoint(body):
        return body
    return _adapted(operation, body, version, younger)


def _schema_as_constraint(body: Mapping[str, Any], version: str) -> Mapping[str, Any]:
    """Moves the JSON schema of a text completion to where the version obeys it."""
    chosen = body.get("response_format") or {}
    obeyed = (numbers(version) or ()) >= COMPLETION_SCHEMAS
    if obeyed or chosen.get("type") != "json_schema" or STRUCTURED_OUTPUTS in body:
        return body
    rest = {name: value for name, value in body.items() if name != "response_format"}
    return rest | {STRUCTURED_OUTPUTS: {"json": chosen["json_schema"]["schema"]}}


def _adapted(
    operation: Operation, body: Mapping[str, Any], version: str, younger: Fields
) -> dict[str, Any]:
    sent = dict(body)
    unknown: dict[str, Field] = {}
    for name in body.keys() & younger.keys():
        field = younger[name]
        if field.hint or body[name] == field.unset:
            continue
        if name == STRUCTURED_OUTPUTS and operation.path in OLDER_CONSTRAINTS:
            older = OLDER_CONSTRAINTS[operation.path]
            constraints = sent.pop(name)
            unknown |= dict.fromkeys(_constrain(sent, constraints, older), field)
        elif field.older and _has(version, field):
            sent[field.older] = sent.pop(name)
        else:
            unknown[name] = field
    if unknown:
        raise _refusal(operation, version, unknown)
    return sent


def _constrain(
    sent: dict[str, Any], constraints: Mapping[str, Any], older: Mapping[str, str]
) -> Iterator[str]:
    """Writes parts of `structured_outputs` under their older names; yields parts without one."""
    for name, value in constraints.items():
        if name in older:
            sent[older[name]] = value
        elif name == "json_object" and "response_format" not in sent:
            sent["response_format"] = {"type": "json_object"}
        elif value is not False:
            yield f"{STRUCTURED_OUTPUTS}.{name}"


def _check_form(operation: Operation, form: Form, version: str, younger: Fields) -> None:
    unknown = {
        name: younger[name]
        for name, value in form.fields
        if name in younger and not _is_unset(younger[name], value)
    }
    if unknown:
        raise _refusal(operation, version, unknown)


def _is_unset(field: Field, value: str) -> bool:
    return field.unset in (True, False, 1) and value == orjson.dumps(field.unset).decode()


def _has(version: str, field: Field) -> bool:
    return (numbers(version) or ()) >= field.older_since


def _refusal(operation: Operation, version: str, unknown: Mapping[str, Field]) -> UpstreamFailure:
    faults = tuple(
        (name, f"the upstream's vLLM {version} does not have it; it came with {text(field.since)}")
        for name, field in sorted(unknown.items())
    )
    message = "; ".join(f"{name}: {what}" for name, what in faults)
    return UpstreamFailure(
        Kind.FIELD_UNKNOWN,
        message,
        Stage.REQUEST,
        path=operation.path,
        error=ErrorBody(message, faults=faults),
    )
