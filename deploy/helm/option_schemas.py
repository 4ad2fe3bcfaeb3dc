"""JSON schemas of the service's options and of its `[[upstream]]` tables."""

import typing
from collections.abc import Collection, Mapping
from enum import StrEnum
from types import UnionType
from typing import Any

from penstock_server.configuration import File, Settings, UpstreamTable
from penstock_server.options import Option, options

SET_BY_THE_CHART = frozenset(
    {
        "upstream",
        "upstream_api_key",
        "upstream_api_key_file",
        "listen",
        "admin_listen",
        "metrics_listen",
        "health_listen",
        "tls_cert",
        "tls_key",
        "tls_client_ca",
        "insecure",
        "callers_file",
    }
)
"""Options that follow from other values; a key in a ConfigMap would not be secret."""

_TEXT_OR_FILE = {"type": "string"}


def _schema(settings: type, excluded: Collection[str]) -> Mapping[str, Any]:
    types = typing.get_type_hints(settings)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"description": option.help, **_value(types[name], option)}
            for name, option in options(settings).items()
            if name not in excluded
        },
    }


def _value(type_: Any, option: Option) -> Mapping[str, Any]:
    if isinstance(type_, UnionType):
        [type_] = (one for one in typing.get_args(type_) if one is not type(None))
    if type_ is bool:
        return {"type": "boolean"}
    if type_ is int:
        number = {"type": "integer", "minimum": 0}
        return {"anyOf": [number, {"const": "auto"}]} if "auto" in option.metavar else number
    if type_ is float:
        return {"type": "number", "minimum": 0}
    if isinstance(type_, type) and issubclass(type_, StrEnum):
        return {"enum": [member.value for member in type_]}
    if typing.get_origin(type_) is Mapping:
        return _table(option)
    if typing.get_origin(type_) is tuple:
        return {"type": "array", "items": {"type": "string"}}
    assert type_ in (str, File), option.help
    return _TEXT_OR_FILE


def _table(option: Option) -> Mapping[str, Any]:
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    if option.metavar != "MODELS":
        return texts
    return {"anyOf": [texts, {"type": "array", "items": {"type": "string"}}]}


OPTIONS = _schema(Settings, SET_BY_THE_CHART)
UPSTREAM = {**_schema(UpstreamTable, {"api_key"}), "required": ["url"]}
LIVE = tuple(name for name, option in options(Settings).items() if option.live)
"""Options that pods apply without a restart."""
