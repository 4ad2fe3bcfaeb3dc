"""Server-sent events: from blocks of bytes to the data of each event."""


class EventTooLarge(Exception):
    """An event grew past the limit without ending."""


class EventDecoder:
    """Splits a byte stream into events, however the bytes are cut.

    Lines end with LF or CRLF; several data lines of one event are joined by LF; comments and
    the fields `event`, `id` and `retry` are passed over (every event of vLLM names its type
    in its data as well). An event that the stream ends without completing is not delivered.
    """

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        """Takes the largest size of one event in bytes."""
        self._limit = limit
        self._rest: list[bytes] = []  # of a line that has not ended
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> list[bytes]:
        """Returns the data of the events that this block completes.

        Raises:
            EventTooLarge: an event exceeds the limit.
        """
        first, *more = block.split(b"\n")
        self._rest.append(first)
        self._size += len(first)
        found: list[bytes] = []
        for start in more:
            if (data := self._line(b"".join(self._rest))) is not None:
                found.append(data)
            self._rest = [start]
            self._size += len(start)
        if self._size > self._limit:
            raise EventTooLarge(f"an event exceeds {self._limit} bytes")
        return found

    def _line(self, line: bytes) -> bytes | None:
        line = line.removesuffix(b"\r")
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line:
            self._size = 0
            if self._data:
                data = b"\n".join(self._data)
                self._data.clear()
                return data
        return None
