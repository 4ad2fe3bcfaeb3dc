"""An upload does not accumulate in the memory of the service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from cli.process import serving

from penstock.v1.transcription_pb2 import UploadTranscribeRequest

from .transcriptions import CHUNK, TEXT, Upstream, chunk, configured, connected_to, stub

AUDIO_BYTES = 100 * 2**20
# Size of the windows of both protocols, and of memory that the allocator keeps under load.
KEPT_BYTES = 16 * 1024 * 1024
"""Freed memory that the service keeps."""
ALLOWED_BYTES = AUDIO_BYTES // 3 + KEPT_BYTES


class Sink(Upstream):
    """An upstream that discards uploads."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for block in self.blocks(reader):
            self.size += len(block)
            self.received.clear()
        writer.write(TEXT)
        await writer.drain()


async def test_memory_of_a_large_upload() -> None:
    sink = Sink()
    server = await asyncio.start_server(sink.connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    options = ("--max-upload-bytes", str(AUDIO_BYTES + CHUNK), "--probe-interval", "60")
    async with (
        serving("--upstream", url, *options) as (process, target),
        connected_to(target) as channel,
    ):
        await stub(channel).UploadTranscribe(_messages(CHUNK))
        before = _peak_bytes(process.pid)
        await stub(channel).UploadTranscribe(_messages(AUDIO_BYTES))
        grown = _peak_bytes(process.pid) - before
    server.close()
    await sink.finish()
    assert sink.size > AUDIO_BYTES
    assert grown < ALLOWED_BYTES


def _messages(size: int) -> Iterator[UploadTranscribeRequest]:
    yield configured()
    for _ in range(0, size, CHUNK):
        yield chunk(bytes(CHUNK))


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
