"""Certificates between the service and an upstream, replaced while the service runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from authority import Authority, write
from grpc import StatusCode, aio

from penstock.v1.transcription_pb2 import (
    TranscribeRequest,
    TranscriptionConfig,
    UploadTranscribeRequest,
)
from penstock.v1.transcription_pb2_grpc import TranscriptionServiceStub
from penstock_server.simulator import Simulator, SimulatorSettings

from .test_reload import served

AUDIO = (Path(__file__).parents[2] / "examples" / "tone.wav").read_bytes()


async def serve_tls(
    simulator: Simulator, authority: Authority, folder: Path, port: int = 0
) -> asyncio.Server:
    """Serves the simulator by TLS, to clients with a certificate of the authority.

    Connections that exist continue after the server is closed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = authority.issue()
    context.load_cert_chain(
        write(folder / "server.pem", certificate), write(folder / "server.key", key)
    )
    context.load_verify_locations(cadata=authority.root.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    host, _, place = simulator.url.removeprefix("http://").partition(":")

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, out = await asyncio.open_connection(host, int(place))
        await asyncio.gather(copy(reader, out), copy(inner, writer))

    return await asyncio.start_server(connect, "127.0.0.1", port, ssl=context)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies what arrives until its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass
    writer.close()


class Files:
    """What the service presents to the upstream, and what it trusts; replaced all at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current = folder / "current"

    def replace(self, name: str, authority: Authority) -> None:
        """Replaces the files by others in a folder of a name, as Kubernetes does."""
        fresh = self._folder / name
        fresh.mkdir()
        certificate, key = authority.issue()
        write(fresh / "ca.pem", authority.root)
        write(fresh / "client.pem", certificate)
        write(fresh / "client.key", key)
        link = self._folder / "next"
        link.symlink_to(fresh)
        link.rename(self._current)

    def table(self, port: int) -> str:
        return "\n".join(
            [
                "[[upstream]]",
                f'url = "https://127.0.0.1:{port}"',
                f'ca_file = "{self._current}/ca.pem"',
                f'client_certificate_file = "{self._current}/client.pem"',
                f'client_key_file = "{self._current}/client.key"',
            ]
        )


async def parts() -> AsyncIterator[UploadTranscribeRequest]:
    yield UploadTranscribeRequest(config=TranscriptionConfig())
    yield UploadTranscribeRequest(audio_chunk=AUDIO)


async def works(channel: aio.Channel) -> None:
    """Sends audio in a message and as an upload, which have different requests upstream."""
    stub = TranscriptionServiceStub(channel)
    whole = await stub.Transcribe(TranscribeRequest(audio=AUDIO))
    uploaded = await stub.UploadTranscribe(parts())
    assert whole.transcription.text == uploaded.transcription.text != ""


async def test_a_new_authority_of_an_upstream(tmp_path: Path) -> None:
    first, second = Authority("first"), Authority("second")
    files, config = Files(tmp_path), tmp_path / "penstock.toml"
    files.replace("first", first)
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="whisper")
    async with Simulator(settings) as simulator:
        server = await serve_tls(simulator, first, tmp_path)
        port = server.sockets[0].getsockname()[1]
        config.write_text(files.table(port))
        async with served(config) as (process, channel):
            await works(channel)
            simulator.faults = "stall after=1"
            running = TranscriptionServiceStub(channel).UploadStreamTranscribe(parts())
            await running.read()
            simulator.faults = ""
            server.close()
            server = await serve_tls(simulator, second, tmp_path, port)
            with pytest.raises(aio.AioRpcError) as raised:
                await TranscriptionServiceStub(channel).UploadTranscribe(parts())
            assert raised.value.code() is StatusCode.UNAVAILABLE
            files.replace("second", second)
            await process.log("reloaded")
            await works(channel)
            assert not running.done()
            running.cancel()
        server.close()
