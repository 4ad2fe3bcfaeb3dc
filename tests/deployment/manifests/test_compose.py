"""The compose file is valid by the schema of compose files."""

from pathlib import Path

import yaml

from deployment.manifests.validation import compose_errors

FILE = Path(__file__).parents[3] / "deploy" / "compose" / "compose.yaml"


def test_valid() -> None:
    ours = yaml.safe_load(FILE.read_text("utf-8"))
    # Newer than the schema.
    assert ours.pop("name") == "penstock"
    files = {
        "ours": ours,
        "an unknown key": {"services": {"a": {"image": "a", "portz": []}}},
        "a value of another type": {"services": {"a": {"image": "a", "read_only": "often"}}},
    }
    errors = compose_errors(files)
    assert "ours" not in errors
    assert "portz" in errors["an unknown key"]
    assert "boolean" in errors["a value of another type"]
