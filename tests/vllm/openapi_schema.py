"""The request side of vLLM's /openapi.json, reduced for a comparison of fields."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).with_name("openapi")
"""Folder with one <kind>.json per kind of model, because the routes depend on the kind."""

# Descriptions in a schema, which do not restrict its values.
PROSE = frozenset({"title", "description", "examples", "example"})
REFERENCE = "#/components/schemas/"


def normalise(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the request bodies of a document by path, and every schema that they refer to.

    {"paths": {path: {method: {content type: schema}}}, "schemas": {name: schema}}
    """
    paths: dict[str, dict[str, Any]] = {}
    for path, operations in document["paths"].items():
        if bodies := dict(_request_bodies(operations)):
            paths[path] = bodies
    components = document.get("components", {}).get("schemas", {})
    return {"paths": paths, "schemas": _reachable(paths, components)}


def captured(kind: str) -> dict[str, Any]:
    """Returns the checked-in schema of a kind: chat, embed, rerank, classify or whisper."""
    schema: dict[str, Any] = json.loads((CAPTURES / f"{kind}.json").read_text(encoding="utf-8"))
    return schema


def fetch(url: str) -> dict[str, Any]:
    """Returns the normalised schema of the server at the base URL."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{url}/openapi.json", timeout=30) as response:
        return normalise(json.load(response))


def dump(schema: dict[str, Any]) -> str:
    """Returns a normalised schema as sorted JSON text with one line per property."""
    return _dump(schema, 0) + "\n"


def _dump(node: Any, depth: int) -> str:
    # The document, its two parts, a schema, and the schema's properties have separate lines.
    if not (isinstance(node, dict) and node and depth < 4):
        return json.dumps(node, sort_keys=True, ensure_ascii=False)
    fields = (
        f"{' ' * (depth + 1)}{json.dumps(key)}: {_dump(node[key], depth + 1)}"
        for key in sorted(node)
    )
    return "{\n" + ",\n".join(fields) + "\n" + " " * depth + "}"


def _request_bodies(operations: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for method, operation in operations.items():
        content = operation.get("requestBody", {}).get("content", {})
        if content:
            yield method, {kind: _strip(media["schema"]) for kind, media in content.items()}


def _reachable(root: object, components: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = list(_references(root))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _strip(components[name])
            waiting.extend(_references(found[name]))
    return found


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(REFERENCE)
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _references(child)


def _strip(node: Any) -> Any:
    if isinstance(node, list):
        return [_strip(item) for item in node]
    if not isinstance(node, dict):
        return node
    # The keys of "properties" are names of fields, one of which may be "title".
    return {
        key: {name: _strip(field) for name, field in value.items()}
        if key == "properties"
        else _strip(value)
        for key, value in node.items()
        if key not in PROSE
    }
