"""Packs the Go module in gen/go into a zip file as module proxies serve it.

python -m protos.module_zip VERSION FILE
"""

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from protos.stubs import GEN

MODULE = GEN / "go"


def path() -> str:
    """Returns the path of the module, which `go.mod` defines."""
    return (MODULE / "go.mod").read_text("utf-8").split()[1]


def pack(version: str, out: Path) -> None:
    """Writes the module, with the same bytes for the same files."""
    with ZipFile(out, "w") as archive:
        for file in sorted(file for file in MODULE.rglob("*") if file.is_file()):
            entry = ZipInfo(f"{path()}@v{version}/{file.relative_to(MODULE)}")
            archive.writestr(entry, file.read_bytes(), ZIP_DEFLATED)


if __name__ == "__main__":
    pack(sys.argv[1], Path(sys.argv[2]))
