"""Validates custom resources with the types and validators of `@kubernetes-models`.

TypeScript finds unknown fields and values of other types; the validators find what is missing.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deployment.manifests.programs import FOLDER, run

_PACKAGES = {
    "cert-manager.io": "cert-manager",
    "gateway.networking.k8s.io": "gateway-api",
    "keda.sh": "keda",
    "monitoring.coreos.com": "prometheus-operator",
    "networking.istio.io": "istio",
    "security.istio.io": "istio",
}
_COMPILER = "node_modules/.bin/tsc"
_OPTIONS = ("--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022")


def is_custom(manifest: Mapping[str, Any]) -> bool:
    """Returns whether a manifest is of a kind that `errors` knows."""
    return _group(manifest) in _PACKAGES


def errors(manifests: Mapping[str, Any]) -> dict[str, str]:
    """Returns the error of each manifest that has one."""
    # Modules are found from the folder of the file.
    with TemporaryDirectory(dir=FOLDER, prefix="resources.") as made:
        folder = Path(made)
        named = {f"m{number}": name for number, name in enumerate(manifests)}
        for file, name in named.items():
            (folder / f"{file}.ts").write_text(_program(manifests[name]))
        (folder / "package.json").write_text('{"type": "module"}')
        files = sorted(folder.glob("*.ts"))
        found = _by_file(run(_COMPILER, *_OPTIONS, *files).stdout)
        for file in named:
            found.setdefault(file, "")
            found[file] += _validate(folder / f"{file}.js")
    return {named[file]: error for file, error in found.items() if error}


def _group(manifest: Mapping[str, Any]) -> str:
    return str(manifest["apiVersion"]).partition("/")[0]


def _program(manifest: Mapping[str, Any]) -> str:
    kind, version = manifest["kind"], manifest["apiVersion"]
    module = f"@kubernetes-models/{_PACKAGES[_group(manifest)]}/{version}/{kind}"
    return (
        f'import {{ I{kind}, {kind} }} from "{module}";\n'
        f"const resource: I{kind} = {json.dumps(manifest)};\n"
        f"try {{ new {kind}(resource).validate(); }}\n"
        "catch (error) { console.log((error as Error).message); }\n"
    )


def _by_file(printed: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for file, error in re.findall(r"(m\d+)\.ts\(\d+,\d+\): (error .*)", printed):
        found[file] = f"{found.get(file, '')}{error}\n"
    assert found or not printed, printed
    return found


def _validate(file: Path) -> str:
    ended = run("/usr/bin/env", "node", file)
    return ended.stdout + ended.stderr
