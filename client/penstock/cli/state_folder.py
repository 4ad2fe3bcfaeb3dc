"""The folder in which commands keep messages and conversations, which only its user can read."""

import os
from pathlib import Path

VARIABLE = "PENSTOCK_HISTORY"

_NOTHING = ("off", "0", "no", "none")


def keeps_nothing() -> bool:
    """Returns whether the user wants nothing to be kept."""
    return os.environ.get(VARIABLE, "").strip().lower() in _NOTHING


def state_folder() -> Path:
    """Returns the folder, which may not exist."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(f"{state}/penstock").expanduser()


def create(folder: Path) -> None:
    """Creates a folder that only its user can read, unless it exists."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
