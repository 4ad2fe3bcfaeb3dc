"""HTTP/1.1 answers from the bytes of a connection, one after the other. Does no I/O."""

import httptools
import httpx

# The limit of everything but the body: headers, trailers, the frames of chunks.
_MOST_OVERHEAD_BYTES = 100 * 1024
_LINE_END = b"\r\n"

Headers = list[tuple[bytes, bytes]]


class UnparsableAnswer(httpx.DecodingError):
    """The answer is not valid HTTP/1.1, or its head does not end."""


class ResponseParser:
    """Parses the answers on one connection.

    Attributes:
        status: the answer's status, once its head has arrived.
        headers: its headers, their names in lower case.
        headed: whether its head has arrived.
        complete: whether all of it has arrived; also true while no answer is expected.
        waiting_bytes: number of received bytes of its body that have not been taken.
    """

    def __init__(self) -> None:
        """Creates a parser that expects no answer yet."""
        self.status = 0
        self.headers: Headers = []
        self.headed = False
        self.complete = True
        self.waiting_bytes = 0
        self._parser = httptools.HttpResponseParser(self)
        self._blocks: list[bytes] = []
        self._overhead_bytes = 0
        self._interim = False
        self._keeps_alive = True

    def expect(self) -> None:
        """Prepares for the next answer."""
        self.status = 0
        self.headers = []
        self.headed = self.complete = False
        self._overhead_bytes = 0

    @property
    def begun(self) -> bool:
        """Whether any of it has arrived."""
        return self.headed or self._overhead_bytes > 0

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another answer: all of this one was taken."""
        return self.complete and not self._blocks and self._keeps_alive

    def take(self) -> bytes:
        """Returns the part of the body that has arrived; empty if there is none."""
        blocks = self._blocks
        block = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        blocks.clear()
        self.waiting_bytes = 0
        return block

    def feed(self, data: memoryview) -> None:
        """Parses received bytes.

        Raises:
            UnparsableAnswer: they are not HTTP/1.1, or the head or a trailer does not end.
        """
        before = self.waiting_bytes
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError:
            raise  # a bug of this parser
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keeps_alive = False
            raise UnparsableAnswer(f"it is not HTTP/1.1: {error}") from None
        if self.waiting_bytes > before:
            # The body grew: chunk frames may arrive without their contents and must not add up.
            self._overhead_bytes = 0
        elif not self.complete:
            self._overhead_bytes += len(data)
            if self._overhead_bytes > _MOST_OVERHEAD_BYTES:
                raise UnparsableAnswer("its headers are too long")

    def _parse(self, data: memoryview) -> None:
        """Parses received bytes, and records whether more follow a complete answer.

        The parser reports such bytes, except line ends, which it skips.
        """
        if data[-1] in _LINE_END:
            self._parser.feed_data(data[:-1])
            if self.complete:
                self._keeps_alive = False
            data = data[-1:]
        self._parser.feed_data(data)

    def feed_end(self) -> None:
        """Records that the connection is closed, which ends an answer without a length.

        Raises:
            httpx.RemoteProtocolError: the answer is not complete.
        """
        if not self.complete and (not self.headed or is_delimited(self.headers)):
            raise httpx.RemoteProtocolError("the connection was closed")
        self.complete = True

    # For the parser

    def on_message_begin(self) -> None:
        """Begins an answer, or records that one arrived without a request."""
        if self.complete:
            self._keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; ignores a trailer."""
        if not self.headed:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Records the status."""
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            self.headers.clear()
        elif not self.complete:
            self.status = status
            self.headed = True

    def on_body(self, data: bytes) -> None:
        """Keeps a part of the body."""
        if not self.complete:
            self._blocks.append(data)
            self.waiting_bytes += len(data)

    def on_message_complete(self) -> None:
        """Ends the answer."""
        if not self._interim and not self.complete:
            self.complete = True
            self._keeps_alive = self._keeps_alive and self._parser.should_keep_alive()


def is_delimited(headers: Headers) -> bool:
    """Returns whether headers, their names in lower case, announce where the body ends."""
    return any(
        name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower())
        for name, value in headers
    )
