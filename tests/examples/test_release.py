"""The archive for users of other languages."""

import subprocess
import tarfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).parents[2]
OURS = "penstock/v1/"


def test_release(tmp_path: Path) -> None:
    subprocess.run(["make", "release"], cwd=ROOT, check=True)
    archive = max((ROOT / "dist").glob("penstock-protos-*.tar.gz"), key=lambda p: p.stat().st_mtime)
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert folder.name == archive.name.removesuffix(".tar.gz")
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE",
        "buf.gen.yaml",
        "descriptors.binpb",
        "penstock",
    }

    protos = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    compiled = tmp_path / "compiled.binpb"
    protoc = ["protoc", "--descriptor_set_out", str(compiled), *protos]
    subprocess.run(protoc, cwd=folder, check=True)
    assert _methods(compiled) == _methods(folder / "descriptors.binpb") != set()


def _methods(path: Path) -> set[str]:
    """The full names of our methods in a descriptor set."""
    files = FileDescriptorSet.FromString(path.read_bytes()).file
    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in files
        if file.name.startswith(OURS)
        for service in file.service
        for method in service.method
    }
