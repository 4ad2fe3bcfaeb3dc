"""`make demo` in a terminal."""

import subprocess
import sys
from pathlib import Path

from child import child

REPOSITORY = Path(__file__).resolve().parents[2]

# Runs the command in a pseudo-terminal; the input of this program is typed there.
AT_A_TERMINAL = """
import os, pty, sys
ports = ["LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0"]
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["make", "demo", *ports])))
"""


def test_ctrl_c_ends_it_cleanly() -> None:
    with child(
        [sys.executable, "-c", AT_A_TERMINAL],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as demo:
        assert demo.stdin
        assert demo.stdout
        shown = b""
        while b"Serving until Ctrl-C." not in shown:
            line = demo.stdout.readline()
            assert line, shown.decode()
            shown += line
        demo.stdin.write(b"\x03")
        demo.stdin.flush()
        shown += demo.stdout.read()
    assert b"Hello! How can I help you today?" in shown
    assert demo.returncode == 0, shown.decode()
