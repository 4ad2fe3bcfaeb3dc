"""Runs the targets under atheris, which looks for inputs that reach new code.

python -m fuzz.coverage_guided SECONDS [TARGET …]    in tests/
"""

import io
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

_LONGEST_INPUT = 1 << 16
_LONGEST_RUN_S = 10


def main(seconds: int, names: list[str]) -> int:
    """Runs each target for a number of seconds; returns 1 if one failed."""
    from .targets import TARGETS

    failed = []
    for name in names or TARGETS:
        with tempfile.TemporaryDirectory() as corpus:
            for number, seed in enumerate(TARGETS[name][1]()):
                (Path(corpus) / str(number)).write_bytes(seed)
            print(f"fuzzing {name} for {seconds} s", flush=True)
            if not _run(name, corpus, seconds):
                failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "nothing was found")
    return 1 if failed else 0


def _run(name: str, corpus: str, seconds: int) -> bool:
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST_INPUT}",
        f"-timeout={_LONGEST_RUN_S}",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={name}-",
    )
    command = (sys.executable, "-m", "fuzz.coverage_guided", name, corpus, *options)
    return subprocess.run(command, check=False).returncode == 0


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzzes one target in this process, which exits at the end."""
    import atheris

    messages = io.StringIO()  # of every module
    with redirect_stderr(messages), atheris.instrument_imports(include=["penstock_server"]):
        from .targets import run

    atheris.Setup([name, *arguments], lambda data: run(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
    fuzz(sys.argv[1], sys.argv[2:])
