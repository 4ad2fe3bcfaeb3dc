"""An upstream that reads whole requests and answers them as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request, as it came."""

    path: str
    head: bytes
    body: bytes

    @property
    def streams(self) -> bool:
        """Whether it asks for a stream."""
        return b"accept: text/event-stream" in self.head.lower()


@dataclass
class Upstream:
    """Answers with the bytes that it is told, and closes the connection; it is never well.

    Attributes:
        answer: makes the bytes of an answer.
        blocks: where to divide them: offsets in the answer.
        asked: the requests since the last `tell`.
        faults: what was wrong with requests.
    """

    url: str = ""
    answer: Callable[[Asked], bytes] = lambda _: b""
    blocks: tuple[int, ...] = ()
    asked: list[Asked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def tell(self, answer: bytes, blocks: tuple[int, ...] = ()) -> None:
        """Takes the next answer."""
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
    """Reads JSON, and no NaN.

    Raises:
        ValueError: it is none.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


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
