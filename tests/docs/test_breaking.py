"""The version that `make check` compares the contract with."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the contract on main."""
    for name in ("Makefile", "buf.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    git(folder, *who, "commit", "--quiet", "--message=a")


def against(folder: Path) -> str:
    shown = ("--silent", "--eval", "against:; @echo '$(AGAINST)'", "against")
    return subprocess.run(
        ["make", *shown], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def breaks(folder: Path) -> bool:
    found = subprocess.run([BUF, "breaking", "--against", against(folder)], cwd=folder, check=False)
    return bool(found.returncode)


def renumber(folder: Path) -> None:
    proto = folder / "protos/penstock/v1/model.proto"
    proto.write_text(proto.read_text().replace("string root = 4;", "string root = 44;"))
    commit(folder)


def test_main_until_there_is_a_release(repository: Path) -> None:
    assert against(repository) == ".git#branch=main"
    assert not breaks(repository)


def test_the_last_release_from_then_on(repository: Path) -> None:
    git(repository, "tag", "v0.1.0")
    assert against(repository) == ".git#tag=v0.1.0"
    assert not breaks(repository)
    renumber(repository)
    assert breaks(repository)  # although it is on main
    git(repository, "tag", "v0.2.0")
    assert against(repository) == ".git#tag=v0.2.0"
    assert not breaks(repository)
