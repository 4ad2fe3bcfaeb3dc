"""Marks a version that a library requires of another one as weak, so that it loads without it.

python older/weak_version.py LIBRARY GLIBCXX_3.4.32
"""

import struct
import sys
from pathlib import Path

NEEDED_VERSIONS = 0x6FFFFFFE
WEAK = 2
SECTION = struct.Struct("<IIQQQQIIQQ")
NEED = struct.Struct("<HHIII")
VERSION = struct.Struct("<IHHII")


def main() -> int:
    """Rewrites the library; returns the exit status."""
    path, wanted = Path(sys.argv[1]), sys.argv[2]
    data = bytearray(path.read_bytes())
    table, size, count = (*struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HH", data, 58))
    sections = [SECTION.unpack_from(data, table + i * size) for i in range(count)]
    for _, kind, _, _, start, _, link, needs, *_ in sections:
        if kind == NEEDED_VERSIONS:
            _weaken(data, start, needs, sections[link][4], wanted.encode())
    path.write_bytes(data)
    return 0


def _weaken(data: bytearray, at: int, needs: int, names: int, wanted: bytes) -> None:
    for _ in range(needs):
        _, versions, _, first, following = NEED.unpack_from(data, at)
        entry = at + first
        for _ in range(versions):
            digest, flags, other, name, after = VERSION.unpack_from(data, entry)
            if data[names + name :].split(b"\0", 1)[0] == wanted:
                VERSION.pack_into(data, entry, digest, flags | WEAK, other, name, after)
            entry += after
        at += following


if __name__ == "__main__":
    sys.exit(main())
