"""Answers of a real vLLM, with the requests that led to them."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "captures" / "chat"


def load(name: str) -> Any:
    """Returns a capture by its name."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def names(wanted: Any) -> list[str]:
    """Returns the names of the selected captures, all of them chats."""
    found = sorted(path.stem for path in FOLDER.glob("*.json"))
    assert found, f"no captures in {FOLDER}"
    return [name for name in found if wanted(load(name))]
