"""The errors of manifests and of compose files, by the schemas that `install.sh` installs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployment.manifests import custom_resources
from deployment.manifests.programs import FOLDER, run

_SCRIPT = Path(__file__).with_name("core_schemas.py")


def manifest_errors(sources: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[str]]:
    """Returns the errors of the manifests of each source."""
    manifests = {
        f"{source}/{number}/{manifest['kind']}": manifest
        for source, found in sources.items()
        for number, manifest in enumerate(found)
    }
    custom = {n: one for n, one in manifests.items() if custom_resources.is_custom(one)}
    core = {n: one for n, one in manifests.items() if n not in custom}
    errors = _core_errors(kubernetes=core) | custom_resources.errors(custom)
    return {
        source: [f"{n}: {error}" for n, error in errors.items() if n.startswith(f"{source}/")]
        for source in sources
    }


def compose_errors(files: Mapping[str, Any]) -> Mapping[str, str]:
    """Returns the error of each compose file that has one."""
    return _core_errors(compose=files)


def _core_errors(**given: Mapping[str, Any]) -> dict[str, str]:
    text = json.dumps({"kubernetes": {}, "compose": {}} | given)
    ended = run("venv/bin/python", _SCRIPT, FOLDER, given=text)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))
