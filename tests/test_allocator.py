"""Freed memory is kept, so that using as much again costs no page faults."""

import subprocess
import sys

CYCLES = """
import resource
from penstock_server import allocator

allocator.keep_freed_memory()

def use():
    [b"x" * 2_000_000 for _ in range(4)]

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_OF_ONE_USE = 4 * 2_000_000 // 4096


def test_freed_memory_is_kept() -> None:
    ran = subprocess.run((sys.executable, "-c", CYCLES), capture_output=True, check=True)
    assert int(ran.stdout) < PAGES_OF_ONE_USE
