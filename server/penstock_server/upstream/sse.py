"""Server-sent events: from blocks of bytes to the data of each event."""

from codecs import BOM_UTF8

_CR = ord("\r")


class EventTooLarge(Exception):
    """An event exceeds the limit."""


class EventDecoder:
    """Splits a byte stream into events, however the bytes are cut.

    Lines end with LF, CRLF or CR; several data lines of one event are joined by LF; comments
    and the fields `event`, `id` and `retry` are ignored (every event of vLLM names its type
    in its data as well). An event that is incomplete at the end of the stream is delivered by
    `pending` only. A line that is not a field but a JSON object, as some proxies write their
    errors, is an event.

    Attributes:
        offsets: the position in the stream of the data of each returned event; the reader of the
            events removes them.
        position: the position of the first line that has not ended.
    """

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        """Creates a decoder.

        Args:
            limit: the largest size of one event, in bytes.
        """
        self._limit = limit
        self._rest: list[bytes] = []  # of a line that has not ended
        self._data: list[bytes] = []
        self._size = 0
        self._begun = 0
        self._after_cr = -1  # where a line begins unless with the LF of a CRLF cut in two
        self.offsets: list[int] = []
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
        if self._after_cr == self.position and block.startswith(b"\n"):
            block = block[1:]
            self.position += 1
        found: list[bytes] = []
        for piece in block.splitlines(keepends=True):
            self._size += len(piece)
            if piece[-1] in b"\r\n":
                self._end_line(piece, found)
            else:
                self._rest.append(piece)
        self._after_cr = self.position if block.endswith(b"\r") else -1
        if self._size > self._limit:
            raise EventTooLarge(f"an event exceeds {self._limit} bytes")
        return found

    def pending(self) -> bytes | None:
        """Returns the data of an event that lacks only the end of its lines; None without one.

        Only the end of the stream makes it an event.
        """
        found: list[bytes] = []
        self._end_line(b"\n", found)
        self._end_line(b"\n", found)
        return found[0] if found else None

    def _end_line(self, line: bytes, found: list[bytes]) -> None:
        if self._rest:
            line = b"".join((*self._rest, line))
            self._rest.clear()
        if (data := self._line(line.rstrip(b"\r\n"))) is not None:
            found.append(data)
            self.offsets.append(self._begun)
        self.position += len(line)

    def _line(self, line: bytes) -> bytes | None:
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
    """Returns whether a block is one event of one line, the usual form of vLLM's."""
    return (
        block.startswith(b"data: ")
        and block.endswith(b"\n\n")
        and block.find(b"\n") == len(block) - 2
        and _CR not in block
    )
