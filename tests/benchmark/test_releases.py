"""The pins of an environment with another release of grpcio."""

import re

from bench.releases import pins
from bench.servers import ROOT

LOCK = """\
click==8.4.2 ; sys_platform == 'win32' \\
    --hash=sha256:00
    # via penstock (pyproject.toml)
grpcio==1.85.1 \\
    --hash=sha256:01 \\
    --hash=sha256:02
grpcio-health-checking==1.85.1 \\
    --hash=sha256:03
grpcio-other==1.2
"""


def test_only_the_release_of_grpcio_changes() -> None:
    assert pins(LOCK, "1.83.2") == [
        "click==8.4.2 ; sys_platform == 'win32'",
        "grpcio==1.83.2",
        "grpcio-health-checking<=1.83.2",
        "grpcio-other==1.2",
    ]


def test_every_pin_of_the_lock_is_read() -> None:
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    assert len(pins(lock, "1")) == len(re.findall("^[a-z]", lock, re.MULTILINE))
