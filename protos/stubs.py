"""The stubs for other languages in gen/: a Go module and an npm package.

Their generators are programs of Debian 12 and of npm, so they run only if something has changed.
Checksums of the stubs, and of everything that they are generated from, show whether it has.
"""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from protos.protoc import PACKAGE, PROTOS, ROOT, files, protoc

GEN = ROOT / "gen"
SUMS = GEN / "SHA256SUMS"
LICENSE = Path("LICENSE")
GOOGLEAPIS = Path("examples/googleapis")
ERRORS = Path("google/rpc")
SOURCES = (
    str(LICENSE),
    str(GOOGLEAPIS / ERRORS / "*.proto"),
    "gen/ts/package-lock.json",
    str(PROTOS.relative_to(ROOT) / PACKAGE / "*.proto"),
    str(Path(__file__).relative_to(ROOT)),
)
GENERATED = ("go/LICENSE", f"go/{PACKAGE}/*.pb.go", "ts/LICENSE", "ts/lib/**/*.*")

# Output of newer generators does not compile with older libraries, such as those of Debian 12.
GO_PLUGINS = Path("/usr/bin")
GO_VERSION = "protoc-gen-go v1.28.1"
GO_PACKAGES = "protoc-gen-go-1-5 protoc-gen-go-grpc"
# Instructions to buf in the comments of the protos.
_LINT = re.compile(r"^\s*(//|\*) buf:lint:ignore .*\n", re.MULTILINE)


def stale() -> list[str]:
    """Returns the files that have changed since the stubs were generated."""
    changed = set(SUMS.read_text().splitlines()) ^ set(checksums().splitlines())
    return sorted({line.split()[1] for line in changed})


def checksums() -> str:
    """Returns the checksums of the stubs and their sources, in the format of sha256sum."""
    paths = [path for pattern in SOURCES for path in ROOT.glob(pattern)] + list(generated(GEN))
    sums = {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()) for path in paths}
    return "".join(f"{sums[name].hexdigest()}  {name}\n" for name in sorted(sums))


def generated(folder: Path) -> Iterator[Path]:
    """Yields the files below `folder` that are generated."""
    for pattern in GENERATED:
        yield from folder.glob(pattern)


def replace() -> None:
    """Generates the stubs again, and their checksums."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        for path in generated(GEN):
            path.unlink()
        shutil.copytree(scratch, GEN, dirs_exist_ok=True)
    SUMS.write_text(checksums())


def generate(out: Path) -> None:
    """Writes the stubs below `out`."""
    _go(out / "go")
    _typescript(out / "ts")
    for path in generated(out):
        path.write_text(_LINT.sub("", path.read_text("utf-8")), "utf-8")


def _go(out: Path) -> None:
    out.mkdir()
    packages = ",".join(f"M{PACKAGE}/{file.name}={PACKAGE};penstockv1" for file in files())
    protoc(
        _plugin("protoc-gen-go"),
        _plugin("protoc-gen-go-grpc"),
        f"--go_out={out}",
        f"--go_opt={packages}",
        f"--go-grpc_out={out}",
        f"--go-grpc_opt={packages}",
    )
    if GO_VERSION not in (out / PACKAGE / "message.pb.go").read_text("utf-8"):
        raise SystemExit(f"{GO_PLUGINS}/protoc-gen-go is not {GO_VERSION}, that of Debian 12")
    shutil.copy(ROOT / LICENSE, out)


def _plugin(name: str) -> str:
    """Returns the option of protoc for one of Debian's plugins."""
    path = GO_PLUGINS / name
    if not path.exists():
        raise SystemExit(f"{path} is missing; on Debian 12, run: apt-get install {GO_PACKAGES}")
    return f"--plugin={path}"


def _typescript(out: Path) -> None:
    lib = out / "lib"
    lib.mkdir(parents=True)
    package = GEN / "ts"
    subprocess.run(("npm", "ci", "--ignore-scripts", "--silent"), cwd=package, check=True)
    protoc(
        f"--plugin={package}/node_modules/.bin/protoc-gen-es",
        f"--es_out={lib}",
        "--es_opt=target=js+dts,import_extension=js",
        f"--proto_path={ROOT / GOOGLEAPIS}",
        *map(str, sorted((ROOT / GOOGLEAPIS / ERRORS).glob("*.proto"))),
    )
    for folder in (lib / PACKAGE, lib / ERRORS):
        names = sorted(path.name for path in folder.glob("*.js"))
        index = "".join(f'export * from "./{folder.name}/{name}";\n' for name in names)
        for suffix in (".js", ".d.ts"):
            folder.with_name(folder.name + suffix).write_text(index)
    shutil.copy(ROOT / LICENSE, out)
