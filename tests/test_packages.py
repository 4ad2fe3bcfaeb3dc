"""The packages that an index would serve."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
TOP = {"client", "server", "protos", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"}
MADE = {"PKG-INFO", ".gitignore"}


def test_the_source_distribution(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "hatchling", "build", "--target", "sdist", "-d", tmp_path)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [PurePosixPath(name).parts[1:] for name in archive.getnames()]
        [info] = [name for name in archive.getnames() if name.endswith("/PKG-INFO")]
        content = archive.extractfile(info)
        assert content
        metadata = content.read().decode()
    assert {name[0] for name in names} == TOP | MADE
    assert {name[1] for name in names if name[0] in ("client", "server")} == {
        "penstock",
        "penstock_server",
    }
    relative = [
        link for link in re.findall(r"\]\(([^)]+)\)", metadata) if not re.match(r"\w+:", link)
    ]
    assert relative == []
    assert "Classifier: Programming Language :: Python :: 3.11" in metadata
