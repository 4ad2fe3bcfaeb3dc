#!/usr/bin/env python3
"""Runs the steps of the Dockerfile without Docker, in copies of a Debian root, then the service.

    tests/deployment/docker_steps.py FOLDER [--copy PATH ...] [--env NAME ...]

Needs root, debootstrap and git. FOLDER keeps the Debian root, in place of the image of Python, and
gets a root for each stage. `--copy` and `--env` pass what pip and uv need to reach a package index.
Docker itself would also check layers, labels and the health check's interval; this does not.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
RELEASE = "trixie"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIMULATOR = "127.0.0.1:18000"
_BOUND_S = 120


@dataclass
class Stage:
    """The state of a build stage.

    Attributes:
        root: its file system.
        env: the variables of its processes.
        args: the values of its arguments.
        folder: its working directory.
        user: user and group of the container.
        commands: ENTRYPOINT, CMD and HEALTHCHECK.
    """

    root: Path
    env: dict[str, str]
    args: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    commands: dict[str, list[str]] = field(default_factory=dict)

    def run(self, *command: str) -> None:
        """Runs a command in the root, as RUN does."""
        subprocess.run(self._chroot(*command), check=True)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Starts a command as a container does: as its user, and with a root that is read-only."""
        root = shlex.quote(str(self.root))
        mounts = (
            f"mount --bind {root} {root}",
            f"mount -o remount,ro,bind {root}",
            f"mount -t tmpfs tmpfs {root}/tmp",
            f"mount -t proc proc {root}/proc",
        )
        confined = shlex.join(self._chroot(*command, user=self.user))
        script = " && ".join((*mounts, f"exec {confined}"))
        return subprocess.Popen(("unshare", "--mount", "--propagation=private", "sh", "-c", script))

    def _chroot(self, *command: str, user: str = "0:0") -> list[str]:
        variables = [f"{name}={value}" for name, value in (self.env | self.args).items()]
        change = ("sh", "-c", 'cd "$0" && exec "$@"', self.folder, *command)
        return ["chroot", f"--userspec={user}", str(self.root), "env", "-i", *variables, *change]


class Build:
    """Runs the instructions of a Dockerfile."""

    def __init__(self, folder: Path, base: Path, passed: Mapping[str, str]) -> None:
        """Prepares a build.

        Args:
            folder: gets the roots of the stages.
            base: the root of the image that each stage starts from.
            passed: variables for RUN alone, such as those of a package index.
        """
        self._folder, self._base, self._passed = folder, base, passed
        self._arguments: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}
        self.stage: Stage | None = None

    def step(self, name: str, text: str) -> str:
        """Runs an instruction; returns what was done."""
        if name == "FROM":
            return self._from(self._filled(text, self._arguments))
        if not self.stage:
            assert name == "ARG", name
            key, _, value = text.partition("=")
            self._arguments[key] = value
            return "ran"
        return self._in_stage(self.stage, name, text)

    def _from(self, text: str) -> str:
        image, _, name = text.partition(" AS ")
        root = self._folder / (name or "image")
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(("cp", "--archive", self._base, root), check=True)
        self.stage = self._stages[name] = Stage(root, {"PATH": _PATH})
        return f"Debian {RELEASE} in place of {image}"

    def _in_stage(self, stage: Stage, name: str, text: str) -> str:
        filled = self._filled(text, stage.env | stage.args)
        match name:
            case "ARG":
                key, _, value = filled.partition("=")
                stage.args[key] = value
            case "ENV":
                stage.env |= dict(pair.split("=", 1) for pair in shlex.split(filled))
            case "WORKDIR":
                stage.folder = filled
                (stage.root / filled[1:]).mkdir(parents=True, exist_ok=True)
            case "USER":
                stage.user = filled
            case "RUN":
                build = Stage(stage.root, {**stage.env, **self._passed}, stage.args, stage.folder)
                build.run("sh", "-c", text)
            case "COPY":
                self._copy(stage, filled)
            case "ENTRYPOINT" | "CMD":
                stage.commands[name] = json.loads(filled)
            case "HEALTHCHECK":
                stage.commands[name] = json.loads(text.partition(" CMD ")[2])
            case _:
                return "read only: it changes no file"
        return "ran"

    def _copy(self, stage: Stage, text: str) -> None:
        *sources, to = text.split()
        target = stage.root / stage.folder[1:] / to.removeprefix("./").rstrip(".")
        if to.startswith("/"):
            target = stage.root / to[1:]
        if sources[0].startswith("--from="):
            origin = self._stages[sources.pop(0).removeprefix("--from=")].root
            [source] = sources
            shutil.copytree(origin / source[1:], target, symlinks=True)
            return
        for source in sources:
            for file in _in_context(source):
                # A folder is copied by its contents, a file into the target.
                inside = file.relative_to(source) if file != Path(source) else Path(file.name)
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, target / inside)

    @staticmethod
    def _filled(text: str, values: Mapping[str, str]) -> str:
        return string.Template(text).safe_substitute(values)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yields the name and the text of each instruction."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for instruction in re.split(r"(?<!\\)\n", "\n".join(lines)):
        name, _, rest = instruction.replace("\\\n", " ").partition(" ")
        yield name, " ".join(rest.split())


def _in_context(source: str) -> list[Path]:
    """Returns the files of a source, without those that are not part of the repository."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [Path(line[1:]) for line in ignored if line.startswith("!")]
    listed = subprocess.run(
        ("git", "ls-files", source), cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    found = [Path(one) for one in listed if any(Path(one).is_relative_to(p) for p in allowed)]
    assert found, f"{source} is not in the context"
    return found


def _debian(folder: Path, copied: Sequence[str]) -> Path:
    """Returns a root with Python, which it makes if it does not exist."""
    base = folder / "debian"
    if not (base / "usr/bin/python3").exists():
        subprocess.run(
            ("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", RELEASE, base),
            check=True,
        )
    # As in the image of Python: `python` is there, and pip may install.
    for name in ("python", "python3"):
        (base / "usr/local/bin" / name).unlink(missing_ok=True)
        (base / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    for marker in base.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    for path in ("/etc/resolv.conf", "/etc/hosts", *copied):
        (base / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, base / path[1:])
    return base


def _serve(image: Stage) -> None:
    """Starts the service as a container would, checks its health, and stops it."""
    entry = image.commands["ENTRYPOINT"]
    simulator = image.start(*entry, "simulate", "--listen", _SIMULATOR)
    service = image.start(
        *(*entry, *image.commands["CMD"]),
        *("--upstream", f"http://{_SIMULATOR}"),
    )
    try:
        end = time.monotonic() + _BOUND_S
        while image.start(*image.commands["HEALTHCHECK"]).wait():
            assert time.monotonic() < end, "the service did not become healthy"
        assert image.start(*entry, "chat", "Say hello.").wait() == 0
        service.send_signal(signal.SIGTERM)
        assert service.wait(_BOUND_S) == 0
    finally:
        for process in (service, simulator):
            process.kill()
            process.wait()


def main() -> None:
    """Runs all steps, and prints each with what was done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copy", action="append", default=[], metavar="PATH")
    parser.add_argument("--env", action="append", default=[], metavar="NAME")
    given = parser.parse_args()
    base = _debian(given.folder.resolve(), given.copy)
    build = Build(given.folder.resolve(), base, {name: os.environ[name] for name in given.env})
    for name, text in instructions(DOCKERFILE.read_text()):
        print(f"== {name} {text}", flush=True)
        print(f"-- {build.step(name, text)}", flush=True)
    assert build.stage
    _serve(build.stage)
    print("-- the service ran as a container would: healthy, a chat, stopped", flush=True)


if __name__ == "__main__":
    main()
