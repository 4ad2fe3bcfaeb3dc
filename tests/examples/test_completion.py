"""The scripts of `penstock completion` in their shells."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from client.terminal import PENSTOCK, clean, shown

COMPLETED = {
    "penstock tr": "transcribe",
    "penstock chat --tem": "--temperature",
    "penstock transcribe --sr": "--srt",
    "penstock upstreams --wa": "--watch",
    "penstock serve --upstr": "--upstream",
    "penstock completion f": "fish",
    "penstock transcribe spe": "speech.wav",
    "penstock chat --image spe": "speech.wav",
}
PROMPT = "ready> "
SHELLS = {"bash": "bash --norc --noprofile -i", "zsh": "zsh -f -i"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file."""
    (tmp_path / "speech.wav").touch()
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """Returns the variables of a user with `penstock` installed, whose home is a folder."""
    path = os.pathsep.join([str(Path(PENSTOCK).parent), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(folder), "PS1": PROMPT}


@pytest.mark.parametrize("shell", SHELLS)
def test_tab(shell: str, folder: Path) -> None:
    with shown(shlex.split(SHELLS[shell]), folder, **environment(folder)) as typed:
        typed.wait_for(PROMPT)
        typed.type(f'eval "$(penstock completion {shell})"\n')
        typed.wait_for(')"')
        typed.wait_for(PROMPT)
        for words, completed in COMPLETED.items():
            typed.type(f"{words}\t")
            known, _, _ = words.rpartition(" ")
            typed.wait_for(f"{known} {completed} ")
            typed.type("\x15")  # clears the line


@pytest.mark.parametrize("words", COMPLETED)
def test_fish(words: str, folder: Path) -> None:
    script = f"penstock completion fish | source; complete --do-complete {shlex.quote(words)}"
    result = subprocess.run(
        ("fish", "--no-config", "--command", script),
        cwd=folder,
        env=clean() | environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == [COMPLETED[words]]
    assert all(len(line) == 2 for line in lines) == (COMPLETED[words] != "speech.wav")
