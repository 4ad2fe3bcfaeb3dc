"""An upstream that reads complete requests and sends given answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request as received."""

    path: str
    head: bytes
    body: bytes

    @property
    def streams(self) -> bool:
        """Whether it requests a stream."""
        return b"accept: text/event-stream" in self.head.lower()


@dataclass
class Upstream:
    """An upstream that sends given bytes and closes the connection; it is never healthy.

    Attributes:
        answer: returns the bytes of an answer.
        blocks: offsets in the answer where to split it.
        asked: requests since the last `respond_with`.
        faults: errors in requests.
    """

    url: str = ""
    answer: Callable[[Asked], bytes] = lambda _: b""
    blocks: tuple[int, ...] = ()
    asked: list[Asked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def respond_with(self, answer: bytes, blocks: tuple[int, ...] = ()) -> None:
        """Sets the next answer."""
        self.answer = lambda _: answer
        self.blocks = blocks
        self.asked.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"x-request-id: probe-" in head.lower():
                writer.write(b"HTTP/1.1 503 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            else:
                asked = Asked(head.split(b" ")[1].decode(), head, await _body(head, reader))
                self._check(asked)
                await self._write(self.answer(asked), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def _write(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        cuts = sorted({0, len(answer), *(cut for cut in self.blocks if cut < len(answer))})
        for start, end in pairwise(cuts):
            if writer.is_closing():
                break  # the service has what it needs
            writer.write(answer[start:end])
            await asyncio.sleep(0)

    def _check(self, asked: Asked) -> None:
        self.asked.append(asked)
        if b"content-type: application/json" not in asked.head.lower():
            return
        try:
            strict_json(asked.body)
        except ValueError as error:
            self.faults.append(f"{asked.path}: {error}: {asked.body[:500]!r}")


def strict_json(text: bytes) -> Any:
    """Reads JSON without NaN.

    Raises:
        ValueError: it is not valid JSON.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return body
    length = lowered.partition(b"content-length: ")[2].partition(b"\r")[0]
    return await reader.readexactly(int(length)) if length else b""


@asynccontextmanager
async def listening() -> AsyncIterator[Upstream]:
    """Runs an upstream on a free port."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
