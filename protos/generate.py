"""Makes client/penstock/v1 and the descriptor set from the protos.

python protos/generate.py            write the generated code
python protos/generate.py --check    fail if what is checked in is not what would be written
"""

import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = Path("penstock/v1")
DESCRIPTORS = Path("penstock/descriptors.binpb")
PYTHON = ROOT / ".venv/codegen/bin/python"


def generate(out: Path) -> None:
    """Writes the generated package and the descriptor set below `out`."""
    (out / PACKAGE).mkdir(parents=True, exist_ok=True)
    _protoc(
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out={out}",
        f"--mypy_grpc_out={out}",
    )
    # With the error details, so that a caller who has only this can read them.
    _protoc(
        f"--proto_path={_googleapis()}",
        f"--descriptor_set_out={out / DESCRIPTORS}",
        "--include_imports",
        "--include_source_info",
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    )
    (out / PACKAGE / "__init__.py").write_text('"""Generated stubs of the API; see protos/."""\n')


def _protoc(*arguments: str) -> None:
    protos = sorted(str(path) for path in (PROTOS / PACKAGE).glob("*.proto"))
    command = (str(PYTHON), "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *arguments)
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([*command, *protos], check=True, env=os.environ | {"PATH": path})


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
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        differing = stale(Path(scratch), client)
    for name in differing:
        print(f"stale: client/{name}; run: make generate", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
