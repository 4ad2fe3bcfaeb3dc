"""Writes empty CUDA libraries next to a torch that was built for CUDA, so that its CPU part loads.

    python older/cuda_stubs.py .../site-packages/torch/lib

PyPI has older torches for CUDA only, and the CUDA libraries that they load take 2.7 GB. Every
function of a stub fails, so torch finds no device; torch itself is not changed. Functions that
describe an error return a text, because torch reads it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Libraries that every Linux has.
SYSTEM = re.compile(
    r"(libc|libm|libdl|libpthread|librt|libutil|libgcc_s|libstdc\+\+|libgomp.*|libnuma|ld-linux.*)"
    r"(\.so.*|-.*)?"
)
CUDA = re.compile(r"cu|nv|nccl|__cuda|__nv|CUPTI")
TEXT = re.compile(r"cudaGetError(Name|String)")
FAILURE = 999


def main() -> int:
    """Writes the stubs; returns the exit status."""
    folder = Path(sys.argv[1])
    libraries = sorted(folder.glob("*.so*"))
    missing = _needed(libraries) - {library.name for library in libraries}
    functions = _undefined(libraries)
    rest = min(missing, default="")
    for library in sorted(missing):
        own = {
            name: version
            for name, version in functions.items()
            if (version if version in missing else rest) == library
        }
        _write(folder / library, own)
    return 0


def _needed(libraries: list[Path]) -> set[str]:
    found = (re.findall(r"NEEDED.*\[(.*)\]", _output("readelf", "-dW", one)) for one in libraries)
    return {name for names in found for name in names if not SYSTEM.fullmatch(name)}


def _undefined(libraries: list[Path]) -> dict[str, str]:
    """Returns the functions of CUDA that no library defines, each with its version, if any."""
    defined: set[str] = set()
    wanted: dict[str, str] = {}
    for library in libraries:
        for line in _output("nm", "-D", "--defined-only", library).splitlines():
            defined.add(line.split()[-1].partition("@")[0])
        for line in _output("nm", "-D", "--undefined-only", library).splitlines():
            *_, kind, symbol = line.split()
            name, _, version = symbol.partition("@")
            if kind == "U" and CUDA.match(name):
                wanted[name] = version.strip("@")
    return {name: version for name, version in wanted.items() if name not in defined}


def _write(path: Path, functions: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source, script = Path(scratch, "stub.c"), Path(scratch, "versions")
        lines = [_function(name) for name in functions]
        source.write_text("\n".join(lines or ["int penstock_stub;"]) + "\n", encoding="utf-8")
        versions = sorted({version for version in functions.values() if version})
        script.write_text("".join(_block(version, functions) for version in versions))
        flags = [f"-Wl,--version-script={script}"] if versions else []
        command = ["gcc", "-w", "-shared", "-fPIC", "-fno-builtin", f"-Wl,-soname,{path.name}"]
        subprocess.run([*command, *flags, "-o", path, source], check=True)


def _function(name: str) -> str:
    if TEXT.fullmatch(name):
        return f'const char *{name}(void) {{ return "no CUDA here"; }}'
    return f"int {name}(void) {{ return {FAILURE}; }}"


def _block(version: str, functions: Mapping[str, str]) -> str:
    names = (name for name, own in functions.items() if own == version)
    return f"{version} {{ global: {' '.join(f'{name};' for name in names)} }};\n"


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
