"""Server-sent events: from blocks of bytes to the data of each event."""

from codecs import BOM_UTF8
from collections import deque


class EventTooLarge(Exception):
    """An event grew past the limit without ending."""


class EventDecoder:
    """Splits a byte stream into events, however the bytes are cut.

    Lines end with LF or CRLF; several data lines of one event are joined by LF; comments and
    the fields `event`, `id` and `retry` are passed over (every event of vLLM names its type
    in its data as well). An event that the stream ends without completing is not delivered.
    A line that is no field but a JSON object, as some proxies write their errors, is an event.

    Attributes:
        offsets: at which byte of the stream the data of each event returned begins; who reads
            the events takes them out.
        position: at which byte the line begins that has not ended.
    """

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        """Takes the largest size of one event in bytes."""
        self._limit = limit
        self._rest: list[bytes] = []  # of a line that has not ended
        self._data: list[bytes] = []
        self._size = 0
        self._begun = 0
        self.offsets: deque[int] = deque()
        self.position = 0

    def feed(self, block: bytes) -> list[bytes]:
        """Returns the data of the events that this block completes.

        Raises:
            EventTooLarge: an event exceeds the limit.
        """
        if not self._size and _is_one_event(block) and len(block) <= self._limit:
            self.offsets.append(self.position)
            self.position += len(block)
            return [block[6:-2]]
        first, *more = block.split(b"\n")
        self._rest.append(first)
        self._size += len(first)
        found: list[bytes] = []
        for start in more:
            line = b"".join(self._rest)
            if (data := self._line(line)) is not None:
                found.append(data)
                self.offsets.append(self._begun)
            self.position += len(line) + 1
            self._rest = [start]
            self._size += len(start)
        if self._size > self._limit:
            raise EventTooLarge(f"an event exceeds {self._limit} bytes")
        return found

    def _line(self, line: bytes) -> bytes | None:
        line = line.removesuffix(b"\r")
        if not self.position:
            line = line.removeprefix(BOM_UTF8)
        if line.startswith(b"data:"):
            if not self._data:
                self._begun = self.position
            self._data.append(line[5:].removeprefix(b" "))
        elif line.startswith(b"{") and not self._data:
            self._size, self._begun = 0, self.position
            return line
        elif not line:
            self._size = 0
            if self._data:
                data = b"\n".join(self._data)
                self._data.clear()
                return data
        return None


def _is_one_event(block: bytes) -> bool:
    """Whether a block is one event of one line, as vLLM sends them: the quick way."""
    return (
        block.startswith(b"data: ")
        and block.endswith(b"\n\n")
        and block.find(b"\n") == len(block) - 2
        and not block.endswith(b"\r\n\n")
    )
