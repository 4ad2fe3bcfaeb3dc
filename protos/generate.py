"""Generates client/penstock/v1, the descriptor set, and the stubs in gen/ from the protos.

python -m protos.generate            write the generated code
python -m protos.generate --check    fail if the checked-in code is not what would be written
"""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

from protos import stubs
from protos.protoc import PACKAGE, PYTHON, ROOT, protoc

DESCRIPTORS = Path("penstock/descriptors.binpb")


def generate(out: Path) -> None:
    """Writes the generated package and the descriptor set below `out`."""
    (out / PACKAGE).mkdir(parents=True, exist_ok=True)
    protoc(
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out={out}",
        f"--mypy_grpc_out={out}",
    )
    # With the error details, so that a caller who has only this can read them.
    protoc(
        f"--proto_path={_googleapis()}",
        f"--descriptor_set_out={out / DESCRIPTORS}",
        "--include_imports",
        "--include_source_info",
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    )
    (out / PACKAGE / "__init__.py").write_text('"""Generated stubs of the API; see protos/."""\n')


def _googleapis() -> str:
    """Returns the folder that holds google/rpc."""
    command = (str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def stale(fresh: Path, kept: Path) -> list[str]:
    """Names the generated files that differ, are missing, or have no proto any more."""
    names = {p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file()}
    kept_names = {p.relative_to(kept) for p in (kept / PACKAGE).glob("*.py*") if p.is_file()}
    return sorted(
        str(name)
        for name in names | kept_names
        if not (
            (fresh / name).exists()
            and (kept / name).exists()
            and filecmp.cmp(fresh / name, kept / name, shallow=False)
        )
    )


def main() -> int:
    """Runs the command line; returns the exit code."""
    client = ROOT / "client"
    if "--check" not in sys.argv[1:]:
        for path in (client / PACKAGE).glob("*.py*"):
            path.unlink()
        generate(client)
        if stubs.stale():
            stubs.replace()
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        differing = [f"client/{name}" for name in stale(Path(scratch), client)]
    for name in differing:
        print(f"stale: {name}; run: make generate", file=sys.stderr)
    for name in (changed := stubs.stale()):
        print(f"changed since gen/ was generated: {name}; run: make generate", file=sys.stderr)
    return 1 if differing or changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
