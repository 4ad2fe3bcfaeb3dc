"""The archive for users of other languages, and `buf.gen.yaml` with plugins on this machine."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from docs.markdown import commands
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).parents[2]
OURS = "penstock/v1/"

# Local replacement of each plugin on buf.build.
LOCAL = {
    "buf.build/protocolbuffers/go": "local: protoc-gen-go",
    "buf.build/grpc/go": "local: protoc-gen-go-grpc",
    "buf.build/protocolbuffers/java": "protoc_builtin: java",
    "buf.build/grpc/java": "local: grpc_java_plugin",
    "buf.build/protocolbuffers/cpp": "protoc_builtin: cpp",
    "buf.build/grpc/cpp": "local: grpc_cpp_plugin",
    "buf.build/bufbuild/es": "local: protoc-gen-es",
    "buf.build/community/stephenh-ts-proto": "local: protoc-gen-ts_proto",
    "buf.build/protocolbuffers/python": "protoc_builtin: python",
    "buf.build/grpc/python": "local: grpc_python_plugin",
}
# For each language: one of our files, a part of its contents, and a file of the error details.
GENERATED = {
    "go/penstock/v1/chat_completion_grpc.pb.go": "package penstockv1",
    "go/penstock/v1/message.pb.go": "package penstockv1",
    "java/penstock/v1/ChatMessage.java": "package penstock.v1;",
    "java/penstock/v1/ChatCompletionServiceGrpc.java": "package penstock.v1;",
    "cpp/penstock/v1/chat_completion.grpc.pb.h": "class ChatCompletionService final",
    "cpp/penstock/v1/message.pb.h": "class ChatMessage final",
    "es/penstock/v1/chat_completion_pb.ts": 'from "./message_pb.js"',
    "ts/penstock/v1/chat_completion.ts": "ChatCompletionServiceClient",
    "python/penstock/v1/message_pb2.py": "DESCRIPTOR",
    "python/penstock/v1/chat_completion_pb2_grpc.py": "class ChatCompletionServiceStub",
    "cpp/google/rpc/error_details.pb.h": "class BadRequest final",
    "es/google/rpc/error_details_pb.ts": "BadRequestSchema",
    "ts/google/rpc/error_details.ts": "interface BadRequest ",
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The unpacked archive."""
    subprocess.run(["make", "release"], cwd=ROOT, check=True)
    made = max((ROOT / "dist").glob("penstock-protos-*.tar.gz"), key=lambda p: p.stat().st_mtime)
    with tarfile.open(made) as opened:
        opened.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert folder.name == made.name.removesuffix(".tar.gz")
    return folder


@pytest.fixture(scope="session")
def plugins() -> str:
    """The search path with all plugins."""
    found = [Path(sys.executable).parent]
    for name in ("typescript-connect", "typescript-grpc-js"):
        folder = ROOT / "examples" / name
        if not (folder / "node_modules").exists():
            subprocess.run(["npm", "ci"], cwd=folder, check=True)
        found.append(folder / "node_modules" / ".bin")
    return os.pathsep.join([*map(str, found), os.environ["PATH"]])


def test_release(archive: Path, tmp_path: Path) -> None:
    assert {path.name for path in archive.iterdir()} == {
        "LICENSE",
        "README.md",
        "buf.gen.yaml",
        "descriptors.binpb",
        "googleapis",
        "penstock",
    }
    protos = sorted(str(path.relative_to(archive)) for path in archive.glob("penstock/**/*.proto"))
    compiled = tmp_path / "compiled.binpb"
    protoc = ["protoc", "--descriptor_set_out", str(compiled), *protos]
    subprocess.run(protoc, cwd=archive, check=True)
    assert _methods(compiled) == _methods(archive / "descriptors.binpb") != set()


def test_stubs(archive: Path, plugins: str) -> None:
    """The commands of the archive's README generate the stubs of every language."""
    template = archive / "buf.gen.yaml"
    remote = re.compile(r"remote: (\S+)")
    used = remote.findall(template.read_text())
    assert set(used) == set(LOCAL)
    template.write_text(remote.sub(lambda plugin: LOCAL[plugin[1]], template.read_text()))
    for command in commands((archive / "README.md").read_text()):
        subprocess.run(
            ["bash", "-euc", command], cwd=archive, env=os.environ | {"PATH": plugins}, check=True
        )
    for name, part in GENERATED.items():
        assert part in (archive / "gen" / name).read_text(), name
    protoc_made = archive / "gen" / "penstock" / "v1" / "chat_completion_grpc.pb.go"
    assert "package penstockv1" in protoc_made.read_text()


def _methods(path: Path) -> set[str]:
    """Returns the full names of our methods in a descriptor set."""
    files = FileDescriptorSet.FromString(path.read_bytes()).file
    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in files
        if file.name.startswith(OURS)
        for service in file.service
        for method in service.method
    }


@pytest.mark.timeout(600)
def test_everything_of_a_release() -> None:
    """`make dist` writes the files that docs/releasing.md lists, with valid checksums."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    subprocess.run(["make", "dist"], cwd=ROOT, check=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    page = (ROOT / "docs" / "releasing.md").read_text("utf-8").partition("\nThe workflow")[0]
    cells = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    made = {path.name for path in (ROOT / "dist").iterdir()}
    assert made == {name.replace("X.Y.Z", version) for name in named}
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=ROOT / "dist", check=True)
    listed = {line.split()[1] for line in (ROOT / "dist/SHA256SUMS").read_text().splitlines()}
    assert listed == made - {"SHA256SUMS"}
