"""Changes of the stubs in gen/, and of their sources, that `make check` reports."""

import shutil
from pathlib import Path

import pytest

from protos import stubs
from protos.protoc import ROOT


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the stubs and of what they are generated from."""
    for line in stubs.SUMS.read_text().splitlines():
        name = line.split()[1]
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(stubs.SUMS, tmp_path / "gen")
    monkeypatch.setattr(stubs, "ROOT", tmp_path)
    monkeypatch.setattr(stubs, "GEN", tmp_path / "gen")
    monkeypatch.setattr(stubs, "SUMS", tmp_path / "gen" / stubs.SUMS.name)
    return tmp_path


def test_the_stubs_are_fresh(copy: Path) -> None:
    assert stubs.stale() == []


CHANGED = [
    "LICENSE",
    "examples/googleapis/google/rpc/status.proto",
    "gen/go/penstock/v1/message.pb.go",
    "gen/ts/lib/penstock/v1.d.ts",
    "gen/ts/lib/penstock/v1/message_pb.js",
    "gen/ts/package-lock.json",
    "protos/penstock/v1/message.proto",
    "protos/stubs.py",
]


@pytest.mark.parametrize("name", CHANGED)
def test_a_change(copy: Path, name: str) -> None:
    with (copy / name).open("a") as file:
        file.write("\n")
    assert stubs.stale() == [name]


@pytest.mark.parametrize("name", ["gen/go/penstock/v1/message_grpc.pb.go", "gen/ts/lib/a.js"])
def test_an_additional_file(copy: Path, name: str) -> None:
    (copy / name).touch()
    assert stubs.stale() == [name]


@pytest.mark.parametrize("name", CHANGED)
def test_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert stubs.stale() == [name]
