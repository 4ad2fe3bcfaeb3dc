"""The protoc that generates all stubs, and the folders that it reads."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = Path("penstock/v1")
PYTHON = ROOT / ".venv/codegen/bin/python"


def files() -> list[Path]:
    """Returns the protos of the API."""
    return sorted((PROTOS / PACKAGE).glob("*.proto"))


def protoc(*arguments: str) -> None:
    """Runs protoc on the protos of the API.

    Args:
        arguments: options, and other protos.
    """
    command = (str(PYTHON), "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *arguments)
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([*command, *map(str, files())], check=True, env=os.environ | {"PATH": path})
