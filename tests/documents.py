"""Free JSON in messages: `JsonDocument` from values, and back."""

import json
from typing import Any

from penstock.v1.common_pb2 import JsonDocument


def document(value: Any) -> JsonDocument:
    """Returns a document with the JSON text of a value."""
    return JsonDocument(json=json.dumps(value))


def value_of(held: JsonDocument) -> Any:
    """Returns the value of a document from the server, which always sends JSON text."""
    assert held.WhichOneof("document") == "json"
    return json.loads(held.json)
