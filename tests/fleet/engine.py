"""An upstream whose answer for each path is set by a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from upstream.wire import http, read_request, served

MISSING = http(b'{"detail": "Not Found"}', status="404 Not Found")
LISTED = {"data": [{"id": "a"}]}


def said(document: Any, status: str = "200 OK") -> bytes:
    return http(orjson.dumps(document), status=status)


class Engine:
    """An upstream whose answer for each path is set by a test.

    Attributes:
        url: its URL.
        answers: answers by path; 404 for other paths.
        asked: paths of the requests.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, bytes] = {"/health": http(b""), "/v1/models": said(LISTED)}
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                path = (await read_request(reader)).split()[1].decode()
                self.asked.append(path)
                writer.write(self.answers.get(path, MISSING))
        writer.close()


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    running = Engine()
    async with served(running.serve) as running.url:
        yield running
