"""The use that callers make of their limits, in a file that all worker processes map."""

import fcntl
import mmap
import os
from collections.abc import Sequence
from hashlib import sha256

from penstock_server.rpc.middleware.ledger import RUNNING, Entry, Ledger

_NUMBER = 8
_NAME = sha256().digest_size
# Each takes a few microseconds; a process that is not stopped holds the lock for less than all.
_ATTEMPTS = 1000


class _Alone:
    """A context in which no other process changes an entry.

    A process that is stopped inside it does not stop the others: after a while, they continue
    without the lock, and may overwrite each other's changes.
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.sched_yield()
            else:
                return

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


class SharedLedger(Ledger):
    """The entries of a service that is several processes.

    The file is a list of records: the digest of a caller's name, and the caller's entry. Records
    are only added, so they never move. The lock of the file guards every change.
    """

    def __init__(self, path: str, number: int, count: int) -> None:
        """Opens or creates the file; the calls of this worker's predecessor no longer run.

        Args:
            path: the file.
            number: the number of this worker, from 0.
            count: the number of workers.
        """
        super().__init__()
        self.own = RUNNING + number
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.alone = _Alone(self._file)
        self._size = _NAME + _NUMBER * (RUNNING + count)
        with self.alone:
            for at in self._records().values():
                os.pwrite(self._file, bytes(_NUMBER), at + _NAME + _NUMBER * self.own)

    def entries(self, names: Sequence[str]) -> list[Entry]:
        """Returns the entries of callers; those that are not new keep their contents."""
        digests = [sha256(name.encode()).digest() for name in names]
        with self.alone:
            known = self._records()
            for new in digests:
                if new not in known:
                    known[new] = len(known) * self._size
                    os.pwrite(self._file, new.ljust(self._size, b"\0"), known[new])
        if not names:
            return []
        numbers = memoryview(mmap.mmap(self._file, 0)).cast("d")
        starts = [(known[one] + _NAME) // _NUMBER for one in digests]
        return [numbers[at : at + (self._size - _NAME) // _NUMBER] for at in starts]

    def _records(self) -> dict[bytes, int]:
        """Returns the places of all records by the digests of names."""
        content = os.pread(self._file, os.fstat(self._file).st_size, 0)
        return {content[at : at + _NAME]: at for at in range(0, len(content), self._size)}
