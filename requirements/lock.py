"""Resolves the dependencies of pyproject.toml into the lock files beside this script.

make lock
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPILE = (
    sys.executable,
    "-m",
    "uv",
    "pip",
    "compile",
    "--universal",
    "--python-version=3.11",
    "--no-header",
    "--generate-hashes",
    "--quiet",
    "--upgrade",
)
RUNTIME = "requirements/runtime.lock"
LOCKS = {
    RUNTIME: (
        "pyproject.toml",
        "--extra=server",
        "--extra=cli",
        "--constraints=requirements/constraints.txt",
    ),
    "requirements/demo.lock": ("--group=demo",),
    "requirements/dev.lock": (
        "pyproject.toml",
        "--extra=server",
        "--extra=cli",
        "--extra=pydantic",
        "--extra=otel",
        "--group=dev",
        f"--constraints={RUNTIME}",
    ),
    "requirements/codegen.lock": ("--group=codegen",),
    "requirements/docs.lock": ("--group=docs",),
    "requirements/release.lock": ("--group=release",),
    "requirements/fuzz.lock": ("--group=fuzz",),
    "requirements/bench.lock": ("--group=bench",),
    "requirements/manifests.lock": ("--group=manifests",),
    "requirements/peers.lock": ("--group=peers",),
    "requirements/routers.lock": ("--group=routers",),
    # It uses the packages of the vLLM of the tests.
    "requirements/ray.lock": ("--group=ray", "--constraints=tests/vllm/requirements.lock"),
}


def main() -> None:
    """Writes every lock file; the runtime's pins bind those made after it."""
    for lock, what in LOCKS.items():
        subprocess.run([*COMPILE, *what, f"--output-file={lock}"], cwd=HERE.parent, check=True)


if __name__ == "__main__":
    main()
